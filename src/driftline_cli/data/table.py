"""A file of rows as columns by name, whatever its format."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from driftline_cli.errors import UserError

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]
"""Some rows: by column, numbers (missing ones are NaN) or objects of text, shape [rows, ...]."""


class Kind(StrEnum):
    """What a column holds."""

    NUMBERS = "numbers"
    TEXT = "text"
    OTHER = "other"  #: dates, lists and what else a model is not given as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a file.

    Attributes:
        name: as the file has it.
        kind: what it holds, as far as can be told before it is read.
        shape: of the value in one row; empty for a single one.
        told: its type, for people.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    told: str = ""


Progress = Callable[[int], object]
"""Hears how far a file was read: bytes, or whatever `Table.size` counts, since the beginning."""


def silent(done: int) -> None:
    """Tell nobody.

    >>> silent(0)
    """
    del done


class Table(Protocol):
    """A file of rows that can be read more than once."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """In the order of the file."""

    @property
    def size(self) -> int:
        """How much there is to read, in what `Progress` hears."""

    def batches(
        self, wanted: Mapping[str, Kind], rows: int, progress: Progress = silent
    ) -> Iterator[Batch]:
        """Yield the rows in the order of the file, at most so many at a time.

        Args:
            wanted: the columns, and what they are read as.
            rows: of a batch.
            progress: hears how far it is.

        Raises:
            UserError: a value is not of its kind, or the file is damaged.
        """


def absent(table: Table, names: Collection[str]) -> None:
    """Refuse columns that a file does not have.

    Raises:
        UserError: it has not all of them.
    """
    has = [column.name for column in table.columns]
    if missing := [name for name in names if name not in has]:
        shown = ", ".join(repr(name) for name in has[:20]) + (", …" if len(has) > 20 else "")
        raise UserError(
            f"{table.path}: there is no column {', '.join(map(repr, missing))}; it has {shown}"
        )


def is_missing(values: Array) -> npt.NDArray[np.bool_]:
    """Return which values are missing; of text none is.

    >>> is_missing(np.array([1.0, np.nan])).tolist()
    [False, True]
    """
    if values.dtype.kind == "f":
        return np.isnan(values)
    return np.zeros(values.shape, bool)

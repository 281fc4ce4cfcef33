"""What is read out of one tensor: a column for each feature that it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from driftline_serving.server.tensors import Array
from driftline_stats.drift.rows import Feature
from driftline_stats.drift.wide import Wide

#: Characters of a level that are looked at: what is longer is no name of a category.
LONGEST_LEVEL: Final = 128

MISSING_TENSOR: Final = "missing_tensor"
WRONG_TYPE: Final = "wrong_type"
WRONG_SHAPE: Final = "wrong_shape"
NOT_A_NUMBER: Final = "not_a_number"
OMITTED: Final = "omitted"

Matrix: TypeAlias = npt.NDArray[np.float32]
#: Of numeric features a matrix of shape [rows, features], of others a column for each.
Columns: TypeAlias = Matrix | Sequence[Array]


class UnreadableError(Exception):
    """A tensor is not what it should be.

    Attributes:
        fault: `wrong_type` or `wrong_shape`.
    """

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


class Read(Protocol):
    """Reads one tensor."""

    def __call__(self, values: Array) -> Columns:
        """Return the columns of all features.

        Args:
            values: at least one row, shape [rows, ...]; a view that may not be kept.

        Raises:
            UnreadableError: it is not of the type or shape that is read here.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One tensor, and what is read out of it.

    Attributes:
        tensor: its name.
        of_output: it is an output of the model, else an input.
        features: what comes out, all of one kind; at least one.
        read: does it.
    """

    tensor: str
    of_output: bool = False
    features: tuple[Feature, ...]
    read: Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Columns of numbers. What is larger than a float32 is infinite."""

    columns: tuple[int, ...]
    flat: bool = False

    def __call__(self, values: Array) -> Matrix:
        """See `Read`."""
        if values.dtype.kind not in "fiub":
            raise UnreadableError(WRONG_TYPE)
        return as_floats(_table(values, self.columns, flat=self.flat)[:, self._chosen])

    @property
    def _chosen(self) -> slice | list[int]:
        first, last = self.columns[0], self.columns[-1]
        if self.columns == tuple(range(first, last + 1)):
            return slice(first, last + 1)
        return list(self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Columns of categories: integers, or text, of which the first 128 characters count."""

    columns: tuple[int, ...]
    flat: bool = False

    def __call__(self, values: Array) -> list[Array]:
        """See `Read`."""
        table = _table(values, self.columns, flat=self.flat)
        return [as_levels(table[:, column]) for column in self.columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Columns of free text, of which only the number of characters is looked at."""

    columns: tuple[int, ...]

    def __call__(self, values: Array) -> Matrix:
        """See `Read`."""
        if values.dtype.kind != "O":
            raise UnreadableError(WRONG_TYPE)
        table = _table(values, self.columns, flat=False)[:, list(self.columns)]
        lengths = [len(each) if isinstance(each, str) else np.nan for each in table.flat]
        return np.array(lengths, np.float32).reshape(table.shape)


@dataclass(frozen=True, kw_only=True)
class WideNumbers:
    """A tensor of many columns, as `Wide` sums it up. 128 bytes for each column are kept."""

    wide: Wide

    def __call__(self, values: Array) -> Matrix:
        """See `Read`."""
        if values.dtype.kind not in "fiub":
            raise UnreadableError(WRONG_TYPE)
        if prod(values.shape[1:]) != self.wide.columns:
            raise UnreadableError(WRONG_SHAPE)
        return self.wide.numbers(values, self._signs)

    @cached_property
    def _signs(self) -> npt.NDArray[np.float64]:
        return self.wide.signs()


@dataclass(frozen=True, slots=True, kw_only=True)
class VaryingNumbers:
    """A tensor whose rows are not all as long: length, mean and share of what is missing."""

    def __call__(self, values: Array) -> Matrix:
        """See `Read`."""
        if values.dtype.kind not in "fiub":
            raise UnreadableError(WRONG_TYPE)
        columns = prod(values.shape[1:])
        table = values.reshape(len(values), columns).astype(np.float64)
        missing = np.isnan(table)
        known = columns - missing.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(missing, 0.0, table).sum(axis=1) / known
            share = missing.sum(axis=1) / columns if columns else np.zeros(len(values))
        length = np.full(len(values), columns, np.float64)
        return as_floats(np.stack([length, mean, share], axis=1))


def as_floats(values: Array) -> Matrix:
    """Return a copy in float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)


def as_levels(values: Array) -> Array:
    """Return a copy that `Rows` takes as a column of levels.

    >>> as_levels(np.array([True, False])).tolist()
    [1, 0]
    """
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind in "iuf":
        return values.copy()
    listed = [each[:LONGEST_LEVEL] if isinstance(each, str) else each for each in values.tolist()]
    column = np.empty(len(listed), object)
    column[:] = listed
    return column


def _table(values: Array, columns: Sequence[int], *, flat: bool) -> Array:
    """Return values as [rows, columns]; columns are those of the last axis, unless flat.

    Raises:
        UnreadableError: they have more axes, or fewer columns.
    """
    width = prod(values.shape[1:])
    if values.ndim > 2 and not flat and width != values.shape[-1]:
        raise UnreadableError(WRONG_SHAPE)
    if width <= max(columns):
        raise UnreadableError(WRONG_SHAPE)
    return values.reshape(len(values), width)

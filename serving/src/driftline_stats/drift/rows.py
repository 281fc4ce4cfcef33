"""Rows as a monitor has them: a matrix of numbers, and columns of levels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError
from driftline_stats.state import State

Column = npt.NDArray[Any]
"""One value a row: integers, floats, or objects (text, bytes, None)."""

Values = Column | Iterable[object]

FLOAT32 = np.dtype(np.float32)
NUMERIC, CATEGORICAL = "numeric", "categorical"
FEATURE, PREDICTION = "feature", "prediction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature(State):
    """A column that is watched; a prediction is one too.

    Attributes:
        name: of the feature.
        kind: `numeric` or `categorical`.
        role: `feature` or `prediction`.
    """

    KIND: ClassVar[str] = "drift-feature"
    name: str
    kind: str = NUMERIC
    role: str = FEATURE

    def __post_init__(self) -> None:
        if self.kind not in (NUMERIC, CATEGORICAL):
            raise ValueError(f"feature {self.name!r}: kind {self.kind!r} is not known")
        if self.role not in (FEATURE, PREDICTION):
            raise ValueError(f"feature {self.name!r}: role {self.role!r} is not known")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some rows: numeric features as one matrix, categorical ones as columns.

    Columns of levels keep what is in them, when parts of different types are joined too:

    >>> none = np.empty((1, 0), np.float32)
    >>> columns = np.array([2**53 + 1]), np.array([0.5])
    >>> parts = [Rows(numeric=none, categorical=(column,)) for column in columns]
    >>> Rows.joined(parts).categorical[0].tolist()
    [9007199254740993, 0.5]

    Attributes:
        numeric: float32, shape [rows, numeric features], in the order of the features.
        categorical: a column of shape [rows] for each categorical feature, in their order.
    """

    numeric: npt.NDArray[np.float32]
    categorical: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        if self.numeric.ndim != 2 or self.numeric.dtype != FLOAT32:
            found = f"{self.numeric.dtype} of shape {self.numeric.shape}"
            raise BatchError(f"numeric: expected float32 of shape [rows, features], found {found}")
        for at, column in enumerate(self.categorical):
            if column.shape != (len(self.numeric),):
                shapes = f"{column.shape}, expected ({len(self.numeric)},)"
                raise BatchError(f"categorical[{at}]: found shape {shapes}")
            if column.dtype.kind not in "iufO":
                raise BatchError(
                    f"categorical[{at}]: expected integers, floats or objects, "
                    f"found {column.dtype}; as_levels makes objects of text"
                )

    def __len__(self) -> int:
        return len(self.numeric)

    def __getitem__(self, part: "slice | npt.NDArray[np.int64]") -> "Rows":
        """Return some of the rows."""
        categorical = tuple(column[part] for column in self.categorical)
        return Rows(numeric=self.numeric[part], categorical=categorical)

    @staticmethod
    def joined(parts: Sequence["Rows"]) -> "Rows":
        """Return the rows of all, which have the same features, one after the other."""
        return Rows(
            numeric=np.concatenate([each.numeric for each in parts]),
            categorical=tuple(
                _concatenated(columns)
                for columns in zip(*(each.categorical for each in parts), strict=True)
            ),
        )


def rows_of(features: Sequence[Feature], columns: Mapping[str, Values]) -> Rows:
    """Return rows from columns by name, whatever their types.

    Numbers become float32, as models get them; what is no number becomes NaN, and so is counted as
    missing. Text becomes objects. What is large and moves little is lost by that: seconds since
    1970 are kept to 128 seconds, so give an age instead.

    >>> features = (Feature(name="age"), Feature(name="city", kind="categorical"))
    >>> rows = rows_of(features, {"age": [31, None, 10**400], "city": ["Rome", None, 7]})
    >>> rows.numeric.T.tolist(), rows.categorical[0].tolist()
    ([[31.0, nan, inf]], ['Rome', None, 7])

    Raises:
        BatchError: a column is missing, or not as long as the others.
    """
    if missing := [each.name for each in features if each.name not in columns]:
        raise BatchError(f"columns missing: {', '.join(missing)}")
    numeric = [as_numbers(columns[each.name]) for each in features if each.kind == NUMERIC]
    levels = tuple(as_levels(columns[each.name]) for each in features if each.kind == CATEGORICAL)
    lengths = {len(each) for each in (*numeric, *levels)}
    if len(lengths) > 1:
        raise BatchError(f"columns of different lengths: {sorted(lengths)}")
    shape = (max(lengths, default=0), len(numeric))
    matrix = np.stack(numeric, axis=1) if numeric else np.empty(shape, np.float32)
    return Rows(numeric=matrix, categorical=levels)


def _concatenated(columns: tuple[Column, ...]) -> Column:
    """Join columns; those of different types become objects, so that no integer is rounded."""
    if len({column.dtype for column in columns}) > 1:
        columns = tuple(column.astype(object) for column in columns)
    return np.concatenate(columns)


def as_numbers(values: Values) -> npt.NDArray[np.float32]:
    """Return values as float32; what is no number is NaN.

    From 2**24 on, whole numbers next to each other become the same:

    >>> as_numbers([1, None, "two", "3", 10**400]).tolist()
    [1.0, nan, nan, 3.0, inf]
    >>> as_numbers([16_777_216, 16_777_217, 16_777_218]).tolist()
    [16777216.0, 16777216.0, 16777218.0]
    """
    array = values if isinstance(values, np.ndarray) else _objects(values)
    with np.errstate(over="ignore", invalid="ignore"):
        if array.dtype.kind in "fiub":
            return array.astype(np.float32)
        return np.array([_number(each) for each in array.tolist()], np.float64).astype(np.float32)


def as_levels(values: Values) -> Column:
    """Return values as integers, floats or objects.

    >>> as_levels(np.array(["Rome", "Oslo"])).dtype, as_levels(np.array([2, 3])).dtype
    (dtype('O'), dtype('int64'))
    """
    array = values if isinstance(values, np.ndarray) else _objects(values)
    return array if array.dtype.kind in "iuf" else array.astype(object)


def _objects(values: Iterable[object]) -> Column:
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # what is no number is caught
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")  # type: ignore[operator]  # an integer
    except (TypeError, ValueError):
        return float("nan")

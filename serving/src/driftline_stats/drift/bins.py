"""Bins of one feature: intervals of numbers, or levels.

Numbers are told apart by *cells*. With d = float32(x) - location, the top 16 bits of d (sign,
exponent and seven bits of its fraction) name one of 65,536 cells, each 1/128 of its distance from
the location wide. A bin is a run of cells, and so a table of 65,536 entries bins a number without a
comparison, NaN and infinities included. The location is a value that occurs: the heaviest one, if
it has 10 % of the rows and the others keep half their cells, otherwise the median. There cells are
finest. So a second mode far away is seen less sharply: at a distance of 1,000, a cell is 4 wide.

To divide d by a power of two would change no cell's rows, only its exponent: there is no scale.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.rows import FEATURE
from driftline_stats.state import State

Cells = npt.NDArray[np.int64]

CELLS = 65536
#: The cell of d = 0, and of -0.0 and what is next to it, which would be the cell before.
ZERO = 32768
#: Cells from here on are NaN; infinity is the one before, minus infinity has the same from below.
NAN_FROM = 65536 - 127
NAN_BELOW = 127
#: The cells of finite numbers are from the one to the other.
FIRST, LAST = NAN_BELOW + 1, NAN_FROM - 2


class BinKind(StrEnum):
    """What lands in a bin."""

    BELOW = "below"  #: a finite number smaller than any of the reference
    INTERVAL = "interval"  #: numbers between two quantiles of the reference
    VALUE = "value"  #: a heavy value of the reference
    ABOVE = "above"  #: a finite number larger than any of the reference
    MISSING = "missing"  #: NaN or None
    INFINITE = "infinite"  #: plus or minus infinity, or a number whose d is more than a float32
    LEVEL = "level"  #: a level of the reference
    OTHER = "other"  #: a level that is new, or that was too rare in the reference to be kept
    CELL = "cell"  #: a cell of a pair's table of terciles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumericBins(State):
    """The bins of a numeric feature: below, runs of cells in order, above, missing, infinite.

    A value with at least 10 % of the rows has a bin of its own, here 0:

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="debts"),)
    >>> rows = rows_of(features, {"debts": [0, 0, 0, 0, 1, 2, 3]})
    >>> bins = build(features, rows).plan.numeric[0]
    >>> bins.labels[:4]
    ('below 0', '= 0', '0 to 1', '1 to 2')

    What is no number, or no finite one, is looked up like all others:

    >>> odd = np.array([-7, 0, np.nan, -np.inf, 1e30], np.float32)
    >>> [bins.kinds[at].value for at in bins.table()[odd.view(np.uint32) >> 16]]
    ['below', 'value', 'missing', 'infinite', 'above']

    Attributes:
        name: of the feature.
        role: `feature` or `prediction`.
        location: what is subtracted; a float32.
        edges: first cells of the runs, and the cell after the last; ascending.
        heavy: of each run, the heavy value that alone is in it, or None.
        low: d below it is in the lowest tercile.
        high: d above it is in the highest tercile; `low <= nextafter(high)`.
        scale: half the distance between two central values, of d; for distances between rows.
    """

    KIND: ClassVar[str] = "drift-numeric-bins"
    name: str
    role: str = FEATURE
    location: float
    edges: npt.NDArray[np.int64]
    heavy: tuple[float | None, ...]
    low: float
    high: float
    scale: float

    @property
    def kinds(self) -> tuple[BinKind, ...]:
        """What lands in each bin."""
        runs = (BinKind.INTERVAL if heavy is None else BinKind.VALUE for heavy in self.heavy)
        return (BinKind.BELOW, *runs, BinKind.ABOVE, BinKind.MISSING, BinKind.INFINITE)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """Where each run begins, and where the last ends, in the unit of the feature.

        A run of one heavy value begins and ends there.
        """
        values = self.location + values_at(self.edges)
        for place, heavy in enumerate(self.heavy):
            if heavy is not None:
                values[place] = values[place + 1] = heavy
        return values

    @property
    def labels(self) -> tuple[str, ...]:
        """Name each bin for people."""
        shown = [f"{value:.6g}" for value in self.values]
        runs = (
            f"{lower} to {upper}" if heavy is None else f"= {lower}"
            for (lower, upper), heavy in zip(pairwise(shown), self.heavy, strict=True)
        )
        return (f"below {shown[0]}", *runs, f"above {shown[-1]}", "missing", "infinite")

    def table(self) -> npt.NDArray[np.int64]:
        """Return the bin of each of the 65,536 patterns of the top 16 bits of d."""
        ordered = np.searchsorted(self.edges, np.arange(CELLS), side="right")
        ordered[ZERO - 1] = ordered[ZERO]
        above = len(self.edges)
        ordered[NAN_FROM:] = ordered[:NAN_BELOW] = above + 1
        ordered[NAN_FROM - 1] = ordered[NAN_BELOW] = above + 2
        by_pattern: npt.NDArray[np.int64] = ordered[ORDERED]
        return by_pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalBins(State):
    """The bins of a categorical feature: its levels, other, missing.

    >>> CategoricalBins(name="city", levels=("Rome", 3)).labels
    ('= Rome', '= 3', 'other', 'missing')

    Attributes:
        name: of the feature.
        role: `feature` or `prediction`.
        levels: the commonest of the reference, commonest first; at most 64.
    """

    KIND: ClassVar[str] = "drift-categorical-bins"
    name: str
    role: str = FEATURE
    levels: tuple[int | str, ...]

    @property
    def kinds(self) -> tuple[BinKind, ...]:
        """What lands in each bin."""
        return (*(BinKind.LEVEL,) * len(self.levels), BinKind.OTHER, BinKind.MISSING)

    @property
    def labels(self) -> tuple[str, ...]:
        """Name each bin for people."""
        return (*(f"= {level}" for level in self.levels), "other", "missing")


def kept_level(value: object) -> int | str | None:
    """Return a level as it is kept: whole numbers as integers, the rest as text, missing as None.

    >>> [kept_level(each) for each in (3, 3.0, "3", b"3", True, 0.5, None, float("nan"))]
    [3, 3, '3', '3', 1, '0.5', None, None]
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN alone is not itself
            return None
        return int(value) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return int(value)
    return value if value is None or isinstance(value, str) else str(value)


def _ordered(patterns: Cells) -> Cells:
    """Return cells in the order of the numbers in them; their own inverse up to the sign."""
    return np.where(patterns < ZERO, ZERO + patterns, CELLS - 1 - patterns)


#: The cell of each pattern of 16 bits, in the order of the numbers.
ORDERED = _ordered(np.arange(CELLS))


def cells_of(values: npt.NDArray[np.float32], location: float) -> Cells:
    """Return the cell of each value; cells are ordered as the values are.

    >>> cells_of(np.array([-1, 0, 1, np.inf], np.float32), 0.0) - ZERO
    array([-16257,      0,  16256,  32640])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        d = values - np.float32(location)
    cells = _ordered((d.view(np.uint32) >> 16).astype(np.int64))
    return np.where(cells == ZERO - 1, ZERO, cells)


def values_at(cells: Cells) -> npt.NDArray[np.float64]:
    """Return the smallest d of each cell, which for a negative one is not in it.

    A cell is 1/128 wide from 1 on, and 4 from 512 on:

    >>> values_at(cells_of(np.array([1.007, 1.008, 1003, 1004], np.float32), 0.0)).tolist()
    [1.0, 1.0078125, 1000.0, 1004.0]
    """
    magnitudes = np.where(cells >= ZERO, cells - ZERO, ZERO - cells).astype(np.uint32) << 16
    d: npt.NDArray[np.float64] = magnitudes.view(np.float32).astype(np.float64)
    return np.where(cells >= ZERO, d, -d)

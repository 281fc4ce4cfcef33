"""Bins of a column of levels, whatever its type."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import CategoricalBins, kept_level
from driftline_stats.drift.rows import Column

Ints = npt.NDArray[np.int64]

#: Levels that are integers as close together as this have a table; others are looked up.
TABLE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelIndex:
    """The bin of each level: place among the levels, then other, then missing.

    Whole numbers are the same level whatever type they come in; text is another.

    >>> index = LevelIndex.of(CategoricalBins(name="plan", levels=(3, "Rome")))
    >>> index.bins_of(np.array([3, 3.0, "3", "Rome", "Oslo", None], object)).tolist()
    [0, 0, 2, 1, 2, 3]
    >>> index.bins_of(np.array([3.0, 3.5, np.nan])).tolist()
    [0, 2, 3]
    """

    places: dict[int | str, int]
    lowest: int
    table: Ints

    @classmethod
    def of(cls, bins: CategoricalBins) -> "LevelIndex":
        """Return the index of some bins."""
        places = {level: place for place, level in enumerate(bins.levels)}
        whole = [level for level in bins.levels if isinstance(level, int) and abs(level) < 1 << 62]
        lowest = min(whole, default=0)
        near = [level for level in whole if level - lowest < TABLE]
        # One more at each end, for all that lies outside.
        table = np.full(max(near, default=lowest) - lowest + 3, len(places))
        for level in near:
            table[level - lowest + 1] = places[level]
        far = len(near) < len([level for level in places if isinstance(level, int)])
        return cls(places=places, lowest=lowest, table=np.empty(0, np.int64) if far else table)

    @property
    def other(self) -> int:
        """The bin of what is no level of the reference; the next one is that of what is missing."""
        return len(self.places)

    def bins_of(self, column: Column) -> Ints:
        """Return the bin of each value."""
        if column.dtype.kind == "f":
            return self._of_floats(column)
        if column.dtype.kind in "iu":
            return self._of_integers(column)
        find, other, bin_of = self.places.get, self.other, self._of_one
        # Most objects are text, which is kept as it is: it is looked up without a call.
        found = [
            find(each, other) if type(each) is str else bin_of(each) for each in column.tolist()
        ]
        return np.array(found, np.int64)

    def _of_integers(self, column: "npt.NDArray[np.integer[Any]]") -> Ints:
        if not len(self.table):
            values, inverse = np.unique(column, return_inverse=True)
            found = np.array([self._of_one(each) for each in values.tolist()], np.int64)
            return found[inverse]
        if column.dtype == np.uint64:
            column = np.minimum(column, np.uint64(np.iinfo(np.int64).max))
        before = self.lowest - 1
        at = np.clip(column.astype(np.int64), before, before + len(self.table) - 1) - before
        by_value: Ints = self.table[at]
        return by_value

    def _of_floats(self, column: "npt.NDArray[np.floating[Any]]") -> Ints:
        with np.errstate(invalid="ignore"):
            whole = (np.abs(column) < 1 << 53) & (np.floor(column) == column)
            bins = self._of_integers(np.where(whole, column, 0).astype(np.int64))
        for place in np.flatnonzero(~whole):
            bins[place] = self._of_one(float(column[place]))
        return bins

    def _of_one(self, value: object) -> int:
        level = kept_level(value)
        return self.other + 1 if level is None else self.places.get(level, self.other)

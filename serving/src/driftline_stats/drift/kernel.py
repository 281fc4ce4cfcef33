"""Counting rows: numpy alone, a few nanoseconds a value.

For each value d = float32(x) - location is taken, its top 16 bits index the feature's table of
bins, and one bincount counts all features. Values lie feature after feature, so that each step is
one pass over memory that the processor's cache holds.

Pairs are counted by bits: a word says of 64 rows whether they are in a tercile, and the number of
bits that two words have in common is the number of rows in both.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import CELLS
from driftline_stats.drift.distance import DistanceIndex
from driftline_stats.drift.levels import LevelIndex
from driftline_stats.drift.plan import PAIR_CELLS, Plan
from driftline_stats.drift.profile import Counts
from driftline_stats.drift.rows import Rows
from driftline_stats.errors import BatchError

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]

#: Rows that are taken at once: their values stay in the processor's cache.
BLOCK = 512
#: Blocks whose bits are gathered before pairs are counted.
BLOCKS_OF_BITS = 16


class Kernel:
    """Counts rows by a plan. It keeps memory of its own to work in: one for each thread.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> profile = build(features, rows_of(features, {"age": range(100)}))
    >>> counts = Kernel(profile.plan).count(rows_of(features, {"age": [50, 1000, None]}))
    >>> channel = profile.channels[0]
    >>> [channel.labels[at] for at in counts.of(channel).nonzero()[0]]
    ['50 to 55', 'above 99.25', 'missing']
    """

    def __init__(self, plan: Plan) -> None:
        starts = np.array(plan.starts, np.int64)
        width = len(plan.numeric)
        self.plan = plan
        self._digest = plan.digest
        self._size = int(starts[-1])
        self._starts = starts
        self._tables = np.concatenate(
            [each.table() + start for each, start in zip(plan.numeric, starts, strict=False)]
            or [np.empty(0, np.int64)]
        )
        self._levels = [LevelIndex.of(each) for each in plan.categorical]
        self._distance = DistanceIndex.of(plan)
        self._location = _column(each.location for each in plan.numeric)
        self._first = (np.arange(width, dtype=np.uint32) * np.uint32(CELLS))[:, None]
        paired = sorted({at for pair in plan.pairs for at in (pair.first, pair.second)})
        place = {feature: at for at, feature in enumerate(paired)}
        self._paired = np.array(paired, np.int64)
        self._low = _column(plan.numeric[at].low for at in paired)
        self._high = _column(plan.numeric[at].high for at in paired)
        self._pairs = np.array(
            [(place[pair.first], place[pair.second]) for pair in plan.pairs], np.int64
        ).reshape(-1, 2)
        self._d = np.empty((width, BLOCK), np.float32)
        self._cell = np.empty((width, BLOCK), np.uint32)
        self._at = np.empty((width, BLOCK), np.int64)
        self._bin = np.empty((width, BLOCK), np.int64)

    @property
    def table_bytes(self) -> int:
        """What the tables take in memory."""
        return self._tables.nbytes + sum(each.table.nbytes for each in self._levels)

    def count(self, rows: Rows) -> Counts:
        """Return the counts of some rows.

        Raises:
            BatchError: they have other features than the plan.
        """
        values = np.zeros(self._size, np.int64)
        self.add_to(values, rows)
        return Counts(plan=self._digest, rows=len(rows), values=values)

    def add_to(self, values: Ints, rows: Rows) -> None:
        """Add the counts of some rows to counts that are being made; see `count`."""
        shape = (rows.numeric.shape[1], len(rows.categorical))
        if shape != (len(self.plan.numeric), len(self._levels)):
            raise BatchError(
                f"rows have {shape[0]} numeric and {shape[1]} categorical features, "
                f"expected {len(self.plan.numeric)} and {len(self._levels)}"
            )
        self._add_levels(values, rows)
        if len(self._d):
            with np.errstate(over="ignore", invalid="ignore"):
                self._add_numbers(values, rows.numeric)

    def _add_levels(self, values: Ints, rows: Rows) -> None:
        starts = self._starts[len(self.plan.numeric) :]
        for index, start, column in zip(self._levels, starts, rows.categorical, strict=False):
            counted = np.bincount(index.bins_of(column))
            values[start : start + len(counted)] += counted

    def _add_numbers(self, values: Ints, numeric: npt.NDArray[np.float32]) -> None:
        step = BLOCK * BLOCKS_OF_BITS
        for begin in range(0, len(numeric), step):
            bits = [
                self._add_block(values, block) for block in _blocks(numeric[begin : begin + step])
            ]
            if len(self._pairs):
                self._add_pairs(
                    values, np.concatenate(bits, axis=2), len(numeric[begin : begin + step])
                )

    def _add_block(self, values: Ints, block: npt.NDArray[np.float32]) -> Bits:
        """Count features and distance; return the bits of the terciles."""
        rows = len(block)
        d, cell = self._d[:, :rows], self._cell[:, :rows]
        at, found = self._at[:, :rows], self._bin[:, :rows]
        np.subtract(block.T, self._location, out=d)
        np.right_shift(d.view(np.uint32), 16, out=cell)
        np.add(cell, self._first, out=cell)
        np.copyto(at, cell)
        self._tables.take(at, out=found, mode="wrap")
        counted = np.bincount(found.ravel())
        values[: len(counted)] += counted
        if self._distance is not None:
            counted = np.bincount(self._distance.bins_of(d))
            start = self._starts[-2]
            values[start : start + len(counted)] += counted
        return self._bits(d)

    def _bits(self, d: npt.NDArray[np.float32]) -> Bits:
        """Return which rows are in the lowest and in the highest tercile: [2, features, words]."""
        words = -(-d.shape[1] // 64)
        inside = np.zeros((2, len(self._paired), words * 64), np.bool_)
        if len(self._paired):
            paired = d if len(self._paired) == len(d) else d[self._paired]
            np.less(paired, self._low, out=inside[0, :, : d.shape[1]])
            np.greater(paired, self._high, out=inside[1, :, : d.shape[1]])
        return np.packbits(inside, axis=2).view(np.uint64)

    def _add_pairs(self, values: Ints, bits: Bits, rows: int) -> None:
        single = _ones(bits)
        first, second = self._pairs.T
        tables = np.empty((len(first), 3, 3), np.int64)
        left, right = bits[:, first], bits[:, second]
        for row, a in ((0, left[0]), (2, left[1])):
            for column, b in ((0, right[0]), (2, right[1])):
                tables[:, row, column] = _ones(a & b)
        tables[:, 0, 1] = single[0, first] - tables[:, 0, 0] - tables[:, 0, 2]
        tables[:, 2, 1] = single[1, first] - tables[:, 2, 0] - tables[:, 2, 2]
        tables[:, 1, 0] = single[0, second] - tables[:, 0, 0] - tables[:, 2, 0]
        tables[:, 1, 2] = single[1, second] - tables[:, 0, 2] - tables[:, 2, 2]
        tables[:, 1, 1] = 0
        tables[:, 1, 1] = rows - tables.sum((1, 2))
        start = self._starts[len(self.plan.numeric) + len(self._levels)]
        values[start : start + len(first) * PAIR_CELLS] += tables.ravel()


def _ones(bits: Bits) -> Ints:
    counted: Ints = np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)
    return counted


def _column(values: "Iterator[float]") -> npt.NDArray[np.float32]:
    return np.array(list(values), np.float32)[:, None]


def _blocks(numeric: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    for begin in range(0, len(numeric), BLOCK):
        yield numeric[begin : begin + BLOCK]

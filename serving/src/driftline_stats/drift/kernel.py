"""Counting rows: numpy alone, a few nanoseconds a value.

For each value d = float32(x) - location is taken, its top 16 bits index the feature's table of
bins, and one bincount counts all features. Each step is one pass, without a branch, over memory
that the processor's cache holds: what differs between features is laid out for a whole block.
"""

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import CELLS
from driftline_stats.drift.distance import DistanceIndex
from driftline_stats.drift.levels import LevelIndex
from driftline_stats.drift.pairs import Bits, PairIndex
from driftline_stats.drift.plan import PAIR_CELLS, Plan
from driftline_stats.drift.profile import Counts
from driftline_stats.drift.rows import Rows
from driftline_stats.errors import BatchError

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float32]

#: Rows that are taken at once: their values stay in the processor's cache.
BLOCK = 1024
#: Blocks after which pairs are counted: it costs little more than after one.
BLOCKS_OF_BITS = 8


class Kernel:
    """The tables of a plan, and memory to work in: one for each thread.

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
        numeric, categorical = len(plan.numeric), len(plan.categorical)
        starts = np.array(plan.starts, np.int64)
        self.plan = plan
        self.digest = plan.digest
        self.features = numeric, categorical
        self.bins = int(starts[-1])
        self.distance = DistanceIndex.of(plan)
        self.pairs = PairIndex.of(plan)
        self._distance_from = int(starts[-2]) if plan.distance is not None else self.bins
        self._pairs_from = int(starts[numeric + categorical])
        self._levels = [
            (LevelIndex.of(bins), int(start))
            for bins, start in zip(plan.categorical, starts[numeric:], strict=False)
        ]
        # As narrow as can be, so that what is used of the tables stays in the cache.
        narrow = np.uint16 if starts[numeric] < 1 << 16 else np.uint32
        self._tables = np.empty(numeric * CELLS, narrow)
        for place, bins in enumerate(plan.numeric):
            self._tables[place * CELLS : (place + 1) * CELLS] = bins.table() + starts[place]
        table_of = np.arange(numeric, dtype=np.uint32) * np.uint32(CELLS)
        location = np.array([bins.location for bins in plan.numeric], np.float32)
        block = BLOCK, numeric
        self._table = np.tile(table_of, (BLOCK, 1))
        self._location = np.tile(location, (BLOCK, 1))
        self._d = np.empty(block, np.float32)
        self._cell = np.empty(block, np.uint32)
        self._at = np.empty(block, np.int64)
        self._bin = np.empty(block, narrow)
        self._by_feature = np.empty((numeric, BLOCK), np.float32)

    @property
    def table_bytes(self) -> int:
        """What the tables take in memory: 128 KiB for each numeric feature."""
        return self._tables.nbytes + sum(index.table.nbytes for index, _ in self._levels)

    def count(self, rows: Rows) -> Counts:
        """Return the counts of some rows.

        Raises:
            BatchError: they have other features than the plan.
        """
        counter = Counter(self)
        counter.add(rows)
        return counter.counts()

    def check(self, rows: Rows) -> None:
        """Make sure that rows have the features of the plan.

        Raises:
            BatchError: they have not.
        """
        found = rows.numeric.shape[1], len(rows.categorical)
        if found != self.features:
            raise BatchError(
                f"rows have {found[0]} numeric and {found[1]} categorical features, "
                f"expected {self.features[0]} and {self.features[1]}"
            )

    def add_levels(self, values: Ints, rows: Rows) -> None:
        """Count categorical features."""
        for (index, start), column in zip(self._levels, rows.categorical, strict=True):
            counted = np.bincount(index.bins_of(column))
            values[start : start + len(counted)] += counted

    def add_block(self, values: Ints, numeric: Numbers) -> Numbers:
        """Count numeric features and distance, of one to `BLOCK` rows.

        Returns:
            d, shape [features, rows], where pairs or distance need it, until the next block.
        """
        rows = len(numeric)
        d, cell, at, found = self._d[:rows], self._cell[:rows], self._at[:rows], self._bin[:rows]
        np.subtract(numeric, self._location[:rows], out=d)
        np.right_shift(d.view(np.uint32), 16, out=cell)
        np.add(cell, self._table[:rows], out=cell)
        np.copyto(at, cell)
        self._tables.take(at, out=found, mode="wrap")
        np.copyto(at, found)
        counted = np.bincount(at.ravel())
        values[: len(counted)] += counted
        by_feature = self._by_feature[:, :rows]
        if self.pairs is not None or self.distance is not None:
            np.copyto(by_feature, d.T)
        if self.distance is not None:
            counted = np.bincount(self.distance.bins_of(by_feature))
            values[self._distance_from : self._distance_from + len(counted)] += counted
        return by_feature

    def add_pairs(self, values: Ints, tables: Ints) -> None:
        """Add tables of pairs."""
        end = self._pairs_from + PAIR_CELLS * len(tables)
        values[self._pairs_from : end] += tables.ravel()


class Counter:
    """Counts rows that come in small batches: they are gathered until a block is full.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature
    >>> rows = Rows(numeric=np.arange(100, dtype=np.float32)[:, None])
    >>> profile = build((Feature(name="x"),), rows)
    >>> counter = Counter(Kernel(profile.plan))
    >>> for at in range(100):
    ...     counter.add(rows[at : at + 1])
    >>> counter.counts() == profile.reference
    True
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._values = np.zeros(kernel.bins, np.int64)
        self._rows = 0
        self._numeric = np.empty((BLOCK, len(kernel.plan.numeric)), np.float32)
        self._waiting = 0
        self._columns: list[Rows] = []
        self._bits: list[Bits] = []
        self._rows_of_bits = 0

    def add(self, rows: Rows) -> None:
        """Count some rows, or keep them until there are more.

        Raises:
            BatchError: they have other features than the plan.
        """
        self._kernel.check(rows)
        number = len(rows.numeric)
        if self._waiting + number > BLOCK:
            self._flush()
        if number >= BLOCK:
            self._add(rows)
        else:
            self._numeric[self._waiting : self._waiting + number] = rows.numeric
            self._waiting += number
            if rows.categorical:
                self._columns.append(rows)
        self._rows += number

    def counts(self) -> Counts:
        """Return the counts of all rows so far."""
        self._flush()
        self._count_pairs()
        return Counts(plan=self._kernel.digest, rows=self._rows, values=self._values.copy())

    def _flush(self) -> None:
        if not self._waiting:
            return
        columns = tuple(Rows.joined(self._columns).categorical) if self._columns else ()
        waiting, self._waiting, self._columns = self._waiting, 0, []
        self._add(Rows(numeric=self._numeric[:waiting], categorical=columns))

    def _add(self, rows: Rows) -> None:
        kernel = self._kernel
        kernel.add_levels(self._values, rows)
        if not kernel.plan.numeric:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            for begin in range(0, len(rows), BLOCK):
                d = kernel.add_block(self._values, rows.numeric[begin : begin + BLOCK])
                if kernel.pairs is not None:
                    self._keep_bits(kernel.pairs.bits_of(d), d.shape[1])

    def _keep_bits(self, bits: Bits, rows: int) -> None:
        self._bits.append(bits)
        self._rows_of_bits += rows
        if len(self._bits) == BLOCKS_OF_BITS:
            self._count_pairs()

    def _count_pairs(self) -> None:
        if self._kernel.pairs is not None and self._bits:
            tables = self._kernel.pairs.tables_of(self._bits, self._rows_of_bits)
            self._kernel.add_pairs(self._values, tables)
        self._bits, self._rows_of_bits = [], 0

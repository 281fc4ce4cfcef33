"""Tables of terciles of pairs of features, counted by bits.

A word says of 64 rows whether they are in a tercile, and the number of bits that two words have in
common is the number of rows that are in both. What is padded has no bits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.plan import Plan

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.float32]

WORD = 64
LOW, MIDDLE, HIGH = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairIndex:
    """Counts the pairs of a plan.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, Rows
    >>> numbers = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)
    >>> plan = build((Feature(name="a"), Feature(name="b")), Rows(numeric=numbers)).plan
    >>> index = PairIndex.of(plan)
    >>> d = np.array([[9, -9, 0, 9], [9, -9, 0, np.nan]], np.float32)
    >>> index.tables_of([index.bits_of(d)], rows=4)[0].tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 1]]

    Attributes:
        features: which of the numeric features are in a pair.
        as_they_stand: whether these are all numeric features.
        low: d below it is in the lowest tercile, shape [features, 1].
        high: d above it is in the highest tercile, shape [features, 1].
        first: place among `features`, of each pair.
        second: the same of the other.
    """

    features: Ints
    as_they_stand: bool
    low: Numbers
    high: Numbers
    first: Ints
    second: Ints

    @classmethod
    def of(cls, plan: Plan) -> "PairIndex | None":
        """Return the index of a plan's pairs, if it has any."""
        if not plan.pairs:
            return None
        features = sorted({at for pair in plan.pairs for at in (pair.first, pair.second)})
        place = {feature: at for at, feature in enumerate(features)}
        return cls(
            features=np.array(features, np.int64),
            as_they_stand=features == list(range(len(plan.numeric))),
            low=_column(plan.numeric[at].low for at in features),
            high=_column(plan.numeric[at].high for at in features),
            first=np.array([place[pair.first] for pair in plan.pairs], np.int64),
            second=np.array([place[pair.second] for pair in plan.pairs], np.int64),
        )

    def bits_of(self, d: Numbers) -> Bits:
        """Return which rows are in the lowest and which in the highest tercile.

        Args:
            d: shape [numeric features, rows].

        Returns:
            Shape [2, features, words].
        """
        rows = d.shape[1]
        paired = d if self.as_they_stand else d[self.features]
        inside = np.empty((2, len(self.features), -(-rows // WORD) * WORD), np.bool_)
        np.less(paired, self.low, out=inside[0, :, :rows])
        np.greater(paired, self.high, out=inside[1, :, :rows])
        inside[:, :, rows:] = False
        return np.packbits(inside, axis=2).view(np.uint64)

    def tables_of(self, parts: Sequence[Bits], rows: int) -> Ints:
        """Return the tables of some rows, of which these are the bits: shape [pairs, 3, 3]."""
        bits = np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
        alone = _ones(bits)
        left, right = bits.take(self.first, axis=1), bits.take(self.second, axis=1)
        tables = np.zeros((len(self.first), 3, 3), np.int64)
        for a, b in product((0, 1), (0, 1)):
            tables[:, 2 * a, 2 * b] = _ones(left[a] & right[b])
        corners = tables.copy()
        for side in (0, 1):
            at = 2 * side
            tables[:, at, MIDDLE] = alone[side, self.first] - corners[:, at].sum(1)
            tables[:, MIDDLE, at] = alone[side, self.second] - corners[:, :, at].sum(1)
        tables[:, MIDDLE, MIDDLE] = rows - tables.sum((1, 2))
        return tables


def _ones(bits: Bits) -> Ints:
    counted: Ints = np.bitwise_count(bits).sum(axis=-1, dtype=np.uint32).astype(np.int64)
    return counted


def _column(values: Iterable[float]) -> Numbers:
    return np.array(list(values), np.float32)[:, None]

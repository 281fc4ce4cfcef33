"""Mergeable histograms of latencies, in logarithmic buckets of whole microseconds.

A bucket holds the values whose first two (or three) decimal digits are the same: 0, 1, ... 99,
100-109, 110-119, ... 990-999, 1000-1099, and so on. So an edge is a round number, a bucket is at
most 10 % (1 %) wide, and with two digits the buckets are those of Envoy's own histograms, whose
counts are taken over as they are. The edges are fixed for ever: histograms of any replicas, slots
and versions add up, exactly and in any order.

The idea is that of HdrHistogram (Tene) and of circllhist (Hartmann & Schlossnagle, "Circllhist",
2020): a value's bucket is found by arithmetic, and counts are all that is kept.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.state import State

Integers = npt.NDArray[np.int64]

#: A latency of 10**12 microseconds (11 days) or more is in one last bucket, infinity included.
LARGEST_EXPONENT = 12
#: Digits that a bucket can be told apart by. Two are Envoy's.
DIGITS = (1, 2, 3)


@cache
def bucket_edges(digits: int) -> Integers:
    """Return the lower edges of all buckets, ascending, in microseconds.

    >>> edges = bucket_edges(2)
    >>> edges[98:103].tolist(), int(edges[-1])
    ([98, 99, 100, 110, 120], 1000000000000)

    Raises:
        ValueError: there are no buckets of so many digits.
    """
    if digits not in DIGITS:
        raise ValueError(f"digits must be one of {DIGITS}, got {digits}")
    first = np.arange(10**digits, dtype=np.int64)
    mantissas = np.arange(10 ** (digits - 1), 10**digits, dtype=np.int64)
    scales = 10 ** np.arange(1, LARGEST_EXPONENT - digits + 1, dtype=np.int64)
    last = np.array([10**LARGEST_EXPONENT], np.int64)
    edges = np.concatenate([first, (scales[:, None] * mantissas).ravel(), last])
    edges.setflags(write=False)
    return edges


def _none() -> Integers:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatencyHistogram(State):
    """Counts of latencies by bucket; only buckets that hold something are kept.

    >>> histogram = LatencyHistogram.of([950, 1049, 1051, float("nan")])
    >>> histogram.edges.tolist(), histogram.counts.tolist(), histogram.missing
    ([950, 1000], [1, 2], 1)
    >>> (histogram + histogram).at_least(1000)
    4

    Attributes:
        digits: decimal digits by which buckets are told apart.
        edges: lower edges of the buckets that hold something, ascending, in microseconds.
        counts: how many latencies each of them holds.
        missing: latencies that are none: NaN, negative, or no number. They are in no bucket.
    """

    KIND: ClassVar[str] = "latency-histogram"
    digits: int = 2
    edges: Integers = field(default_factory=_none)
    counts: Integers = field(default_factory=_none)
    missing: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no histogram.

        Raises:
            StateError: counts are negative or of other buckets.
        """
        known = bucket_edges(self.digits)
        if self.edges.shape != self.counts.shape or self.edges.ndim != 1:
            raise StateError("a histogram needs one count for each edge")
        if (np.diff(self.edges) <= 0).any():
            raise StateError("the edges of a histogram ascend")
        if not np.isin(self.edges, known, assume_unique=True).all():
            raise StateError(f"not all are edges of buckets of {self.digits} digits")
        if (self.counts < 0).any() or self.missing < 0:
            raise StateError("the counts of a histogram are not negative")

    @classmethod
    def of(cls, microseconds: Iterable[object], *, digits: int = 2) -> Self:
        """Count latencies. What is no latency is counted as missing; nothing raises.

        Args:
            microseconds: of any shape. Fractions are cut off.
            digits: decimal digits by which buckets are told apart.
        """
        edges = _edges_below(as_floats(microseconds), digits)
        return cls._of_counts(digits, edges, np.ones(edges.size, np.int64))

    @classmethod
    def of_bins(cls, lowers: Sequence[float], counts: Sequence[int], *, digits: int = 2) -> Self:
        """Take over the bins of a histogram that is at least as fine, such as Envoy's.

        >>> LatencyHistogram.of_bins([5.1, 100, 110], [3, 1, 2]).edges.tolist()
        [5, 100, 110]

        Args:
            lowers: lower edges of the bins in microseconds, in any order. A bin must lie within a
                bucket of ours: Envoy's always do, with two digits.
            counts: how many values each bin holds.
            digits: decimal digits by which buckets are told apart.

        Raises:
            BatchError: counts are negative, or not one for each bin.
        """
        if len(lowers) != len(counts):
            raise BatchError(f"{len(lowers)} bins, but {len(counts)} counts")
        if any(count < 0 for count in counts):
            raise BatchError("a bin holds a negative count")
        edges = _edges_below(as_floats(lowers), digits)
        return cls._of_counts(digits, edges, np.array(counts, np.int64))

    @classmethod
    def _of_counts(cls, digits: int, edges: Integers, counts: Integers, missing: int = 0) -> Self:
        """Add counts up by edge; those of the edge -1 are missing."""
        unknown = edges < 0
        counted = (counts > 0) & ~unknown
        found, at = np.unique(edges[counted], return_inverse=True)
        sums = np.zeros(found.size, np.int64)
        np.add.at(sums, at, counts[counted])
        missing += int(counts[unknown].sum())
        return cls(digits=digits, edges=found, counts=sums, missing=missing)

    def __add__(self, other: Self) -> Self:
        """Return the histogram of what either has counted.

        Raises:
            StateError: the other has other buckets.
        """
        if other.digits != self.digits:
            raise StateError(f"buckets of {self.digits} and of {other.digits} digits do not add up")
        edges = np.concatenate([self.edges, other.edges])
        counts = np.concatenate([self.counts, other.counts])
        return self._of_counts(self.digits, edges, counts, self.missing + other.missing)

    def merge(self, other: Self) -> Self:
        """Return the histogram of what either has counted; the same as `+`."""
        return self + other

    @property
    def total(self) -> int:
        """How many latencies are counted, without what is missing."""
        return int(self.counts.sum())

    def at_least(self, edge: int) -> int:
        """Return how many latencies are this long or longer.

        Exact where `edge` is the edge of a bucket. Between two edges it counts from the next one.
        """
        return int(self.counts[self.edges >= edge].sum())

    def quantile(self, share: float) -> int:
        """Return the lowest edge below which at least this share of all latencies lies.

        So it is the quantile rounded up to an edge, in microseconds.

        >>> LatencyHistogram.of(range(1, 1001)).quantile(0.5)
        510

        Raises:
            ValueError: nothing is counted, or the share is not in (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"a quantile is of a share in (0, 1], got {share}")
        if not self.total:
            raise ValueError("the quantile of no latencies does not exist")
        needed = math.ceil(share * self.total)
        bucket = self.edges[np.searchsorted(np.cumsum(self.counts), needed)]
        return edge_from(int(bucket) + 1, self.digits)


def edge_from(microseconds: float, digits: int) -> int:
    """Return the lowest edge that is not below a value; beyond the last edge, the last.

    >>> edge_from(100, 2), edge_from(101, 2), edge_from(1e300, 2) == 10**12
    (100, 110, True)
    """
    known = bucket_edges(digits)
    return int(known[min(int(np.searchsorted(known, microseconds)), known.size - 1)])


def _edges_below(values: npt.NDArray[np.float64], digits: int) -> Integers:
    """Return the lower edge of the bucket of each value; -1 for what is no latency."""
    known = bucket_edges(digits)
    positive = np.where(values >= 0, values, 0.0)
    capped = np.minimum(positive, 10.0**LARGEST_EXPONENT).astype(np.int64)
    edges = known[np.searchsorted(known, capped, side="right") - 1]
    return np.where(values >= 0, edges, -1)


def as_floats(values: Iterable[object]) -> npt.NDArray[np.float64]:
    """Return values as a flat array, NaN where one is no number.

    >>> as_floats([1, None, "two", 10**400]).tolist()
    [1.0, nan, nan, inf]
    """
    try:
        return np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        return np.array([_as_float(value) for value in values], np.float64)


def _as_float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # what float() refuses is the question
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]  # a huge integer
    except (TypeError, ValueError):
        return math.nan

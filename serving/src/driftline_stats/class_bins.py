"""What becomes of a prediction before `classes` compares arms: a class or a score gets its bin.

The bins are frozen from stable before the canary starts, and are the same in all replicas.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from driftline_stats.errors import StateError
from driftline_stats.histogram import as_floats
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels(State):
    """The classes that stable knew when the canary started; the last bin is for all others.

    >>> Levels(levels=("cat", "dog")).counts(["dog", "dog", "eel", "cat"])
    (1, 2, 1)
    """

    KIND: ClassVar[str] = "class-levels"

    levels: tuple[str, ...]

    def counts(self, predicted: Iterable[str]) -> tuple[int, ...]:
        """Return how often each level was predicted, and last, how often any other."""
        at = {level: index for index, level in enumerate(self.levels)}
        counts = [0] * (len(self.levels) + 1)
        for each in predicted:
            counts[at.get(each, len(self.levels))] += 1
        return tuple(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBins(State):
    """Bins of a score, at quantiles of stable's scores: right edges, then a bin of what is none.

    Infinities land in the outer bins, NaN in the last.

    >>> bins = ScoreBins.frozen(np.arange(1000) / 1000, bins=4)
    >>> bins.edges
    (0.249, 0.499, 0.749)
    >>> bins.counts([0.1, 0.249, 0.9, math.nan, -math.inf])
    (3, 0, 0, 1, 1)
    """

    KIND: ClassVar[str] = "score-bins"

    edges: tuple[float, ...]

    @classmethod
    def frozen(cls, scores: Iterable[object], bins: int = 10) -> Self:
        """Freeze the edges from stable's scores, which may hold anything, or nothing.

        Ties merge edges, so that fewer bins may come out; a constant score has two.
        """
        finite = np.sort(as_floats(scores))
        finite = finite[np.isfinite(finite)]
        if not finite.size:
            return cls(edges=())
        at = np.ceil(np.arange(1, bins) / bins * finite.size).astype(int) - 1
        return cls(edges=tuple(np.unique(finite[np.maximum(at, 0)]).tolist()))

    def __post_init__(self) -> None:
        if any(not a < b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise StateError(f"edges must rise, got {self.edges}")

    @property
    def bins(self) -> int:
        """How many bins there are, that of NaN included."""
        return len(self.edges) + 2

    def bin_of(self, score: float) -> int:
        """Return the bin of one score."""
        return self.bins - 1 if math.isnan(score) else bisect_left(self.edges, score)

    def counts(self, scores: Iterable[object]) -> tuple[int, ...]:
        """Return how many scores fall into each bin."""
        values = as_floats(scores)
        bins = np.searchsorted(self.edges, values, side="left")
        bins[np.isnan(values)] = self.bins - 1
        return tuple(np.bincount(bins, minlength=self.bins).tolist())

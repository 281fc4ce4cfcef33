"""A uniform sample of rows that are seen once, in parts that merge exactly.

Each row has a priority, a hash of its part and its place; the rows of smallest priority are kept
(bottom-k sampling: Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). So the
sample of the whole is that of the samples of its parts, in whatever order they come.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.rows import Rows

#: Rows that say where bins are cut: a quantile is then right to .5 % of the rows (99 %).
SIZE = 50_000


@dataclass(slots=True, kw_only=True)
class Sampler:
    """Keeps a uniform sample of the rows added so far, and the extremes of all of them.

    >>> sampler = Sampler(size=3)
    >>> sampler.add(Rows(numeric=np.arange(10, dtype=np.float32)[:, None]))
    >>> len(sampler.rows()), sampler.seen, sampler.extremes.tolist()
    (3, 10, [[0.0, 9.0]])

    Attributes:
        size: how many rows are kept.
        part: which part of the data this is; parts that are merged must differ in it.
        seen: how many rows there were.
        extremes: smallest and largest finite value of each numeric feature, shape [features, 2].
    """

    size: int = SIZE
    part: int = 0
    seen: int = 0
    extremes: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))
    _kept: list[tuple[npt.NDArray[np.uint64], Rows]] = field(default_factory=list)
    _rows_kept: int = 0

    def add(self, rows: Rows) -> None:
        """See more rows."""
        places = np.arange(self.seen, self.seen + len(rows), dtype=np.uint64)
        self._keep(_priorities(self.part, places), rows)
        self.seen += len(rows)
        self._widen(_extremes(rows.numeric))

    def merge(self, other: "Sampler") -> None:
        """Take in what another part has seen."""
        for priorities, rows in other._kept:  # noqa: SLF001 - it is of the same class
            self._keep(priorities, rows)
        self.seen += other.seen
        self._widen(other.extremes)

    def rows(self) -> Rows:
        """Return the sample."""
        self._shrink()
        return self._kept[0][1]

    def _keep(self, priorities: npt.NDArray[np.uint64], rows: Rows) -> None:
        self._kept.append((priorities, rows))
        self._rows_kept += len(priorities)
        if self._rows_kept > 2 * self.size:
            self._shrink()

    def _shrink(self) -> None:
        priorities = np.concatenate([each for each, _ in self._kept])
        rows = Rows.joined([each for _, each in self._kept])
        chosen = np.argsort(priorities, kind="stable")[: self.size]
        self._kept = [(priorities[chosen], rows[chosen])]
        self._rows_kept = len(chosen)

    def _widen(self, extremes: npt.NDArray[np.float32]) -> None:
        if len(self.extremes):
            lower = np.fmin(self.extremes[:, 0], extremes[:, 0])
            upper = np.fmax(self.extremes[:, 1], extremes[:, 1])
            extremes = np.stack([lower, upper], axis=1)
        self.extremes = extremes


def _extremes(numeric: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return smallest and largest finite value of each column; NaN where there is none."""
    finite = np.isfinite(numeric)
    lower = np.min(numeric, axis=0, initial=np.inf, where=finite)
    upper = np.max(numeric, axis=0, initial=-np.inf, where=finite)
    both = np.stack([lower, upper], axis=1)
    both[np.isinf(both)] = np.nan
    return both


def _priorities(part: int, places: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a hash of part and place (the finaliser of splitmix64, twice)."""
    with np.errstate(over="ignore"):
        return _mixed(_mixed(np.array([part % (1 << 64)], np.uint64)) + places)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))

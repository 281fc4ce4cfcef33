"""AUC, F1 and average precision of two models on the same rows: approximate intervals."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError
from driftline_stats.histogram import as_floats
from driftline_stats.state import State

Floats = npt.NDArray[np.float64]


class RankMetric(StrEnum):
    """What no sum over rows gives, so that no test by betting is at hand."""

    AUC = "auc"
    F1 = "f1"
    AVERAGE_PRECISION = "average-precision"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """Labelled rows that both models have scored.

    A score that is not a number ranks below all others, as if the model had decided against.

    >>> rows = ScoredRows.of([True, False], stable=[np.nan, 0.1], canary=[0.9, 0.1])
    >>> found = paired_bootstrap(rows, RankMetric.AUC, np.random.default_rng(1), resamples=1)
    >>> found.stable, found.canary
    (0.0, 1.0)

    Attributes:
        positive: whether the label is the positive class.
        stable: stable's scores.
        canary: the canary's scores.
        groups: what is drawn as a whole (a user, a day); each row for itself if empty.
        threshold: from which score on the decision is positive, for F1.
    """

    positive: npt.NDArray[np.bool_]
    stable: Floats
    canary: Floats
    groups: npt.NDArray[np.generic]
    threshold: float = 0.5

    def __post_init__(self) -> None:
        sizes = {each.shape for each in (self.positive, self.stable, self.canary)}
        if len(sizes) != 1 or self.positive.ndim != 1:
            raise BatchError(f"labels and scores must be of one length, got {sorted(sizes)}")
        if self.groups.size and self.groups.shape != self.positive.shape:
            raise BatchError(f"{self.groups.size} groups for {self.positive.size} rows")

    @classmethod
    def of(
        cls,
        positive: npt.ArrayLike,
        *,
        stable: Iterable[object],
        canary: Iterable[object],
        groups: npt.ArrayLike = (),
        threshold: float = 0.5,
    ) -> "ScoredRows":
        """Make it of anything that is an array.

        Raises:
            BatchError: not all are of one length.
        """
        return cls(
            positive=np.asarray(positive, bool),
            stable=_ranked(stable),
            canary=_ranked(canary),
            groups=np.asarray(groups),
            threshold=threshold,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapInterval(State):
    """A difference of a metric, canary less stable, with an interval that is approximate.

    >>> found = BootstrapInterval(
    ...     metric="auc", stable=0.8, canary=0.81, low=-0.01, high=0.03,
    ...     level=0.95, groups=400, resamples=1000,
    ... )
    >>> found.exceeds(0.0), found.exceeds(-0.02)
    (False, True)

    Attributes:
        metric: which.
        stable: stable's value; nan where it is not defined (one class only).
        canary: the canary's value.
        low: lower end of the interval of the difference.
        high: upper end.
        level: of the interval.
        groups: that were drawn from.
        resamples: that count; those with one class only do not.
    """

    KIND: ClassVar[str] = "bootstrap-interval"

    metric: str
    stable: float
    canary: float
    low: float
    high: float
    level: float
    groups: int
    resamples: int

    @property
    def difference(self) -> float:
        """The canary's value less stable's."""
        return self.canary - self.stable

    def exceeds(self, margin: float) -> bool:
        """Whether the canary is better by more than a margin (negative: not worse by as much).

        One-sided, hence wrong with a probability of about (1 - level)/2; looked at once.
        """
        return self.low > margin

    def __str__(self) -> str:
        return (
            f"{self.metric} {self.canary:.4g}, stable {self.stable:.4g}: difference "
            f"{self.difference:+.4g} ({self.low:+.4g} to {self.high:+.4g}, approximate: "
            f"{self.level:.0%} bootstrap of {self.groups:,} groups)"
        )


def paired_bootstrap(
    rows: ScoredRows,
    metric: RankMetric,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 1000,
) -> BootstrapInterval:
    """Return a percentile interval of the difference of a metric, by drawing groups of rows.

    Groups are drawn with replacement, as many as there are; both models are scored on the same
    draw, so that what makes rows hard cancels. The interval is between the quantiles (1-level)/2
    and (1+level)/2 of the drawn differences.

    **Approximate, and for one look**: its level holds as the number of groups grows, if groups are
    independent. It is not an e-process: looked at again and again, it will err more often than it
    says. With few groups (below about 50) or few positives it is too narrow.

    Source: Efron & Tibshirani, "An introduction to the bootstrap" (1993), the percentile interval;
    groups as in Davison & Hinkley (1997), section 3.8.

    >>> rng = np.random.default_rng(3)
    >>> y = rng.random(400) < 0.4
    >>> rows = ScoredRows.of(y, stable=y + rng.normal(0, 2, 400), canary=y + rng.normal(0, 1, 400))
    >>> found = paired_bootstrap(rows, RankMetric.AUC, rng, resamples=200)
    >>> found.exceeds(0.0), found.groups
    (True, 400)

    Raises:
        ValueError: the level is not between 0 and 1, or there are no draws.
    """
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level {level} must be between 0 and 1, and {resamples} draws 1 or more")
    stable, canary = (_Sorted.of(rows, each) for each in (rows.stable, rows.canary))
    size, members = _members(rows)
    weights = (_weights(rng, size, members) for _ in range(resamples))
    drawn = [canary.value(metric, each) - stable.value(metric, each) for each in weights]
    known = np.array(drawn)[~np.isnan(drawn)]
    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(known, tails) if known.size else (-np.inf, np.inf)
    ones = np.ones(rows.positive.size)
    return BootstrapInterval(
        metric=metric.value,
        stable=stable.value(metric, ones),
        canary=canary.value(metric, ones),
        low=float(low),
        high=float(high),
        level=level,
        groups=size,
        resamples=known.size,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sorted:
    """One model's rows by falling score, sorted once for all draws."""

    order: npt.NDArray[np.intp]
    positive: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.intp]
    decided: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: ScoredRows, scores: Floats) -> "_Sorted":
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        new = np.ones(falling.size, bool)
        new[1:] = falling[1:] != falling[:-1]
        return cls(
            order=order,
            positive=rows.positive[order],
            starts=np.flatnonzero(new),
            decided=falling >= rows.threshold,
        )

    def value(self, metric: RankMetric, weights: Floats) -> float:
        """Return the metric of rows that count as often as their weight; nan if not defined."""
        weight = weights[self.order]
        hits, misses = weight * self.positive, weight * ~self.positive
        if metric is RankMetric.F1:
            decided = weight[self.decided].sum()
            return _ratio(2 * hits[self.decided].sum(), decided + hits.sum())
        if not self.starts.size:
            return float("nan")
        hits = np.add.reduceat(hits, self.starts)
        misses = np.add.reduceat(misses, self.starts)
        above, above_misses = np.cumsum(hits), np.cumsum(misses)
        if metric is RankMetric.AUC:
            return _ratio((misses * (above - hits / 2)).sum(), above[-1] * above_misses[-1])
        seen = above + above_misses
        precision = np.divide(above, seen, out=np.zeros_like(above), where=seen > 0)
        return _ratio((hits * precision).sum(), above[-1])


def _members(rows: ScoredRows) -> tuple[int, npt.NDArray[np.intp] | None]:
    """Return how many groups there are, and the group of each row where they are not the rows."""
    if not rows.groups.size:
        return rows.positive.size, None
    names, members = np.unique(rows.groups, return_inverse=True)
    return names.size, members


def _weights(rng: np.random.Generator, groups: int, members: npt.NDArray[np.intp] | None) -> Floats:
    if not groups:
        return np.zeros(0)
    times = np.bincount(rng.integers(groups, size=groups), minlength=groups).astype(np.float64)
    return times if members is None else times[members]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _ranked(scores: Iterable[object]) -> Floats:
    values = as_floats(scores)
    return np.where(np.isnan(values), -np.inf, values)

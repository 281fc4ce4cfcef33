"""How far a channel moved, in units people know, with intervals. Nothing is decided by these.

All intervals are approximate ones of 95 %, for rows that are a fixed sample: they say how large a
change is that a detector found, not whether there is one. Under optional stopping they
guarantee nothing: where an alarm chose the rows, the change looks rather larger than it is. `deff`
is the variance inflation of rows that depend on each other.

Sources: Yurdakul & Naranjo, "Statistical properties of the population stability index" (Journal of
Risk Model Validation, 2020) for its bias and variance without change; Woodruff, "Confidence
intervals for medians and other position measures" (JASA, 1952) for quantiles; Zou & Donner (2008,
Statistics in Medicine) for differences; Vallender (1974) for the area between two distributions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.tilts import law
from driftline_stats.state import State
from driftline_stats.wording import figure

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Pieces that a bin is taken in, for areas.
FINER = 8
_Z = 1.96
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval(State):
    """An estimate between the ends of its interval.

    >>> str(Interval(estimate=0.25, low=0.2, high=0.3))
    '0.25 (0.2 to 0.3)'
    """

    KIND: ClassVar[str] = "interval"

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{figure(self.estimate)} ({figure(self.low)} to {figure(self.high)})"


def population_stability(reference: Ints, live: Ints, deff: float = 1.0) -> Interval:
    """Return the population stability index, sum_k (p_k - q_k) ln(p_k / q_k), less its bias.

    Two samples of one law have an index of (k - 1)(1/n + 1/m) on average, and not 0: that much is
    taken off. The interval adds the variance at no change, 2 (k - 1)(1/n + 1/m)**2, to that of the
    delta method.

    >>> str(population_stability(np.array([500, 500]), np.array([650, 350])))
    '0.0907 (0.037 to 0.144)'
    >>> population_stability(np.array([500, 500]), np.array([505, 495])).estimate  # chance alone
    0.0

    Args:
        reference: rows by bin.
        live: the same of live rows.
        deff: variance inflation of live rows.
    """
    q, p = law(reference), law(live)
    log = np.log(p / q)
    noise = deff / max(int(live.sum()), 1) + 1 / max(int(reference.sum()), 1)
    used = int(((reference + live) > 0).sum()) - 1
    of_live = _variance(p, log + 1 - q / p) * deff / max(int(live.sum()), 1)
    of_reference = _variance(q, -log + 1 - p / q) / max(int(reference.sum()), 1)
    error = math.sqrt(of_live + of_reference + 2 * max(used, 0) * noise**2)
    value = max(0.0, float((p - q) @ log) - used * noise)
    return Interval(estimate=value, low=max(0.0, value - _Z * error), high=value + _Z * error)


def _variance(law_: Floats, scores: Floats) -> float:
    return max(0.0, float(law_ @ scores**2) - float(law_ @ scores) ** 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binned:
    """Values of one feature, known by counts between edges.

    Between two edges the normal score of the distribution, the inverse normal of F, is taken to
    grow evenly: then tails thin out in wide bins as tails do. What is below the first edge or above
    the last is taken to lie there, since nothing else is known of it.

    >>> values = Binned(edges=np.arange(5) * 25.0, counts=np.array([0, 250, 250, 250, 250, 0]))
    >>> round(values.quantile(0.75), 6), round(values.quantile(0.95), 1)  # 95 if they were even
    (75.0, 84.3)
    >>> str(values.quantile_interval(0.5))
    '50 (47.1 to 52.9)'

    Attributes:
        edges: ascending, shape [bins + 1].
        counts: below, between each two edges, above; shape [bins + 2].
        deff: variance inflation of the rows.
    """

    edges: Floats
    counts: Ints
    deff: float = 1.0

    @property
    def rows(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    @property
    def distribution(self) -> Floats:
        """Share of values up to each edge."""
        return np.cumsum(self.counts)[:-1] / max(self.rows, 1)

    @property
    def scores(self) -> Floats:
        """Normal score of the distribution at each edge; never infinite."""
        closest = 0.5 / (self.rows + 1)
        clipped = np.clip(self.distribution, closest, 1 - closest)
        return np.array([_NORMAL.inv_cdf(float(each)) for each in clipped])

    def quantile(self, level: float) -> float:
        """Return the value that a share of this size, 0 to 1, lies below."""
        closest = 0.5 / (self.rows + 1)
        score = _NORMAL.inv_cdf(min(max(level, closest), 1 - closest))
        return float(np.interp(score, self.scores, self.edges))

    def quantile_interval(self, level: float) -> Interval:
        """Return a quantile between those of the levels that chance makes of this one."""
        spread = _Z * math.sqrt(level * (1 - level) * self.deff / max(self.rows, 1))
        low, high = (self.quantile(min(max(level + by, 0), 1)) for by in (-spread, spread))
        return Interval(estimate=self.quantile(level), low=low, high=high)


def quantile_shift(reference: Binned, live: Binned, level: float) -> Interval:
    """Return by how much a quantile moved; the two intervals' arms add in quadrature.

    >>> edges = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
    >>> before = Binned(edges=edges, counts=np.array([0, 250, 250, 250, 250, 0, 0]))
    >>> after = Binned(edges=edges, counts=np.array([0, 0, 250, 250, 250, 250, 0]))
    >>> str(quantile_shift(before, after, 0.5))
    '10 (8.37 to 11.6)'

    Args:
        reference: values before.
        live: values now, between the same edges.
        level: of the quantile, 0 to 1.
    """
    before, after = reference.quantile_interval(level), live.quantile_interval(level)
    shift = after.estimate - before.estimate
    down = math.hypot(after.estimate - after.low, before.high - before.estimate)
    up = math.hypot(after.high - after.estimate, before.estimate - before.low)
    return Interval(estimate=shift, low=shift - down, high=shift + up)


def wasserstein(reference: Binned, live: Binned) -> Interval:
    """Return the first Wasserstein distance, the area between both distributions.

    In the feature's unit: how far its values moved on average; a lower bound where values left the
    range. Chance alone makes an area of about sum_k v_k sqrt(2/pi) se_k between two samples, which
    is taken off the lower end; v_k is the width that edge k stands for, se_k the standard error of
    the difference there. The interval is widened by what it matters how values lie within bins: by
    the difference to the area when they are spread evenly.

    >>> edges = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
    >>> before = Binned(edges=edges, counts=np.array([0, 250, 250, 250, 250, 0, 0]))
    >>> after = Binned(edges=edges, counts=np.array([0, 0, 250, 250, 250, 250, 0]))
    >>> str(wasserstein(before, after))  # all of them moved by 10
    '9.99 (8.42 to 11)'

    Args:
        reference: values before.
        live: values now, between the same edges.
    """
    edges = reference.edges
    if len(edges) < 2:
        return Interval(estimate=0.0, low=0.0, high=0.0)
    unit = float(np.abs(edges).max()) or 1.0
    edges = edges / unit
    gap = live.distribution - reference.distribution
    width = np.convolve(np.diff(edges), [0.5, 0.5])
    pooled = (live.distribution + reference.distribution) / 2
    noise = live.deff / max(live.rows, 1) + reference.deff / max(reference.rows, 1)
    errors = np.sqrt(np.maximum(pooled * (1 - pooled), 0.0) * noise)
    value = _area(
        _finer(live.scores) - _finer(reference.scores), np.diff(edges).repeat(FINER) / FINER
    )
    even = _area(gap, np.diff(edges))
    by_chance = float(width @ errors) * math.sqrt(2 / math.pi)
    variance = _area_variance(live, width, gap) + _area_variance(reference, width, gap)
    spread = _Z * math.sqrt(variance) + abs(value - even)
    low = max(0.0, value - by_chance - spread)
    return Interval(estimate=value * unit, low=low * unit, high=(value + spread) * unit)


def _finer(scores: Floats) -> Floats:
    """Return the distribution at the edges and between them, where its scores grow evenly."""
    at = np.arange((len(scores) - 1) * FINER + 1) / FINER
    between = np.interp(at, np.arange(len(scores)), scores)
    return np.array([_NORMAL.cdf(float(each)) for each in between])


def _area(gap: Floats, widths: Floats) -> float:
    """Return the area under the absolute value of what is linear over pieces of these widths."""
    before, after = gap[:-1], gap[1:]
    crosses = before * after < 0
    together = np.abs(before) + np.abs(after)
    crossed = (before**2 + after**2) / np.where(crosses, together, 1.0)
    return float(np.where(crosses, crossed, together) @ widths / 2)


def _area_variance(sample: Binned, width: Floats, gap: Floats) -> float:
    """Return the variance of the area that one sample brings, with the signs of the gap held."""
    signed = width * np.sign(gap)
    scores = np.array([*np.cumsum(signed[::-1])[::-1], 0.0])
    shares = sample.counts / max(sample.rows, 1)
    return _variance(shares, scores) * sample.deff / max(sample.rows, 1)


def shares_of(counts: Ints, bins: Sequence[int]) -> float:
    """Return the share of rows in some of the bins; 0 if there are no rows.

    >>> shares_of(np.array([90, 7, 3]), [1, 2]), shares_of(np.zeros(3, np.int64), [1, 2])
    (0.1, 0.0)
    """
    return float(counts[list(bins)].sum()) / max(int(counts.sum()), 1)

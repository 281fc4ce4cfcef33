"""Top-two Thompson sampling with a floor: more traffic to what does better, some to everyone."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import special

from driftline_stats.errors import BatchError, StateError
from driftline_stats.state import State

FLOOR = 0.05
"""The least share of any arm."""
LEADER_SHARE = 0.7
"""How often the arm that looks best is played, rather than the one that looks second."""
GRID = 128
"""Points of the quadrature."""
SURE = 1e-12
TOLERANCE = 1e-9

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What one weight epoch, or a slot of it, brought.

    Attributes:
        shares: (arms) the propensities: the share that routing gave each arm; they sum to 1.
        units: (arms) units that contributed.
        totals: (arms) sum of their outcomes; of events, where the metric is a rate.
        squares: (arms) sum of the squares; for a rate the same as `totals`.

    Raises:
        BatchError: lengths differ, shares do not sum to 1, an arm of share 0 has units, counts are
            negative, or sums are not finite.
    """

    shares: tuple[float, ...]
    units: tuple[int, ...]
    totals: tuple[float, ...]
    squares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len({len(self.shares), len(self.units), len(self.totals), len(self.squares)}) > 1:
            raise BatchError("shares, units, totals and squares are not of the same arms")
        if not (min(self.shares, default=-1.0) >= 0 and abs(sum(self.shares) - 1) < TOLERANCE):
            raise BatchError(f"shares must be at least 0 and sum to 1: {self.shares}")
        if any(units and not share for units, share in zip(self.units, self.shares, strict=True)):
            raise BatchError(f"units {self.units} in an arm of share 0: {self.shares}")
        if min(self.units) < 0 or not all(map(math.isfinite, (*self.totals, *self.squares))):
            raise BatchError(f"units {self.units}, totals {self.totals}, squares {self.squares}")

    def __add__(self, other: Self) -> Self:
        if other.shares != self.shares:
            raise BatchError(f"other shares, other epoch: {self.shares} and {other.shares}")
        return replace(
            self,
            units=tuple(a + b for a, b in zip(self.units, other.units, strict=True)),
            totals=tuple(a + b for a, b in zip(self.totals, other.totals, strict=True)),
            squares=tuple(a + b for a, b in zip(self.squares, other.squares, strict=True)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation(State):
    """Shares to route by, and why: what is logged at each change of weights.

    Attributes:
        shares: for each arm, the propensity of a unit to be assigned to it.
        best: for each arm, the posterior probability that it is the best.
    """

    KIND: ClassVar[str] = "allocation"

    shares: tuple[float, ...]
    best: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bandit(State):
    r"""Top-two Thompson sampling, by its exact probabilities rather than by drawing.

    With a_i the posterior probability that arm i is best, and b = `leader_share`, arm i is played
    with

        psi_i = a_i * (b + (1 - b) * sum_{j != i} a_j / (1 - a_j))

    and gets the share floor + (1 - arms * floor) * psi_i. With b = 1 it is Thompson sampling. With
    b = 1/2, Russo's default, two arms would get half each whatever is known; b = 0.7 gives an arm
    that is surely best at least 40 % of traffic with up to 10 arms and a floor of 5 %.

    *Posterior*: of a rate, Beta with a uniform prior; of a mean, normal, with one pseudo-unit of
    the pooled mean and variance. Units are weighted by 1/share (Hajek), and count as (sum w)^2 /
    sum w^2: sums over epochs of different shares would mix up arms with hours, and an arm that got
    more traffic when all did well would look well.

    *This decides where traffic goes, and nothing else*: a posterior is no evidence. The tests of
    `pairwise` condition on each batch's realised shares, which were chosen before it: they stay
    valid under any rule that looks at the past.

    *Source*: Russo, "Simple Bayesian algorithms for best-arm identification" (Operations Research
    2020).

    *Assumes*, to choose well: differences between arms that last, units that are comparable within
    an epoch. Nothing breaks if not, but regret grows.

    Attributes:
        higher_is_better: direction of the metric.
        rate: whether the metric is a rate (outcomes 0 and 1), else a mean.
        floor: the least share of any arm.
        leader_share: b.
        weights: (arms,) sum of the units' weights.
        weights_squared: (arms,) of their squares.
        totals: (arms,) weighted sum of outcomes; `squares` (arms,) of their squares.

    >>> start = bandit(arms=2, rate=True)
    >>> start.allocation().shares
    (0.5, 0.5)
    >>> seen = Outcomes(shares=(0.5, 0.5), units=(200, 200), totals=(20, 30), squares=(20, 30))
    >>> after = start.update(seen).allocation()
    >>> [round(share, 2) for share in after.shares], [round(best, 3) for best in after.best]
    ([0.34, 0.66], [0.067, 0.933])
    """

    KIND: ClassVar[str] = "bandit"

    higher_is_better: bool
    rate: bool
    floor: float
    leader_share: float
    weights: npt.NDArray[np.float64]
    weights_squared: npt.NDArray[np.float64]
    totals: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]

    def update(self, batch: Outcomes) -> Self:
        """Return the bandit after one more batch.

        Raises:
            BatchError: it is of another number of arms.
        """
        if len(batch.units) != len(self.weights):
            raise BatchError(f"{len(batch.units)} arms in a bandit of {len(self.weights)}")
        units, shares = np.array(batch.units, float), np.array(batch.shares)
        inverse = 1 / np.where(units > 0, shares * len(shares), 1.0)
        return replace(
            self,
            weights=self.weights + units * inverse,
            weights_squared=self.weights_squared + units * inverse**2,
            totals=self.totals + np.array(batch.totals) * inverse,
            squares=self.squares + np.array(batch.squares) * inverse,
        )

    def merge(self, other: Self) -> Self:
        """Return the bandit after the batches of both.

        Raises:
            StateError: the other has other arms or another plan.
        """
        mine, its = self._plan, other._plan
        if mine != its:
            raise StateError(f"bandit: {mine} and {its} do not merge")
        return replace(
            self,
            weights=self.weights + other.weights,
            weights_squared=self.weights_squared + other.weights_squared,
            totals=self.totals + other.totals,
            squares=self.squares + other.squares,
        )

    def allocation(self) -> Allocation:
        """Return the shares to route by from now on: no randomness, the same in every replica."""
        best = self.best()
        psi = top_two(best, self.leader_share)
        shares = self.floor + (1 - len(psi) * self.floor) * psi
        return Allocation(shares=tuple((shares / shares.sum()).tolist()), best=tuple(best.tolist()))

    @property
    def _plan(self) -> tuple[bool, bool, float, float, int]:
        arms = len(self.weights)
        return (self.higher_is_better, self.rate, self.floor, self.leader_share, arms)

    def best(self) -> Floats:
        """Return the posterior probability of each arm to be the best."""
        some = self.weights > 0
        weights = np.where(some, self.weights, 1.0)
        units = np.where(some, weights**2 / np.where(some, self.weights_squared, 1.0), 0.0)
        means = self.totals / weights
        return (_best_rate if self.rate else self._best_mean)(units, means, self.higher_is_better)

    def _best_mean(self, units: Floats, means: Floats, higher: bool) -> Floats:
        total = max(self.weights.sum(), 1.0)
        pooled = self.totals.sum() / total
        variance = max(self.squares.sum() / total - pooled**2, np.finfo(float).tiny)
        centre = (pooled + units * means) / (1 + units)
        spread = np.sqrt(variance / (1 + units))
        return _best_by_quadrature(
            lambda u: centre[:, None] + spread[:, None] * special.ndtri(u),
            lambda x: special.ndtr((x - centre[:, None, None]) / spread[:, None, None]),
            higher,
        )


def bandit(
    *,
    arms: int,
    rate: bool,
    higher_is_better: bool = True,
    floor: float = FLOOR,
    leader_share: float = LEADER_SHARE,
) -> Bandit:
    """Return a bandit that knows nothing and gives all arms the same.

    Of an arm that is surely best, b of what the floors leave, and the floor:

    >>> seen = Outcomes(
    ...     shares=(0.4, 0.3, 0.3), units=(4000, 3000, 3000),
    ...     totals=(400, 30, 30), squares=(400, 30, 30),
    ... )
    >>> start = bandit(arms=3, rate=True, floor=0.1, leader_share=0.7)
    >>> [round(share, 3) for share in start.update(seen).allocation().shares]
    [0.59, 0.205, 0.205]

    Raises:
        ValueError: fewer than two arms, floors that leave nothing, or a leader's share not in
            [0.5, 1].
    """
    if arms < 2 or not 0 <= floor * arms < 1:
        raise ValueError(f"{arms} arms with {floor} each leave nothing to decide")
    if not 0.5 <= leader_share <= 1:
        raise ValueError(f"the leader's share must be 0.5 to 1, got {leader_share}")
    nothing = np.zeros(arms)
    return Bandit(
        higher_is_better=higher_is_better,
        rate=rate,
        floor=floor,
        leader_share=leader_share,
        weights=nothing,
        weights_squared=nothing,
        totals=nothing,
        squares=nothing,
    )


def top_two(best: Floats, leader_share: float) -> Floats:
    """Return the probability that top-two sampling plays each arm.

    Args:
        best: (arms,) probabilities that an arm is the best; they sum to 1.
        leader_share: how often the first of the two is played.

    >>> top_two(np.array([0.5, 0.5]), 0.7).tolist()
    [0.5, 0.5]
    >>> top_two(np.array([1.0, 0.0, 0.0]), 0.7).round(3).tolist()
    [0.7, 0.15, 0.15]
    """
    others = 1 - np.eye(len(best))
    rest = others @ best
    # Given that j is best, who is second; nobody knows once j is surely best.
    second = np.where(rest[:, None] > SURE, best / np.maximum(rest, SURE)[:, None], 1.0) * others
    second /= second.sum(axis=1, keepdims=True)
    psi: Floats = leader_share * best + (1 - leader_share) * (best @ second)
    return psi


def _best_rate(units: Floats, means: Floats, higher: bool) -> Floats:
    means = np.clip(means, 0.0, 1.0)
    a, b = (1 + units * each for each in (means, 1 - means))
    return _best_by_quadrature(
        lambda u: special.betaincinv(a[:, None], b[:, None], u),
        lambda x: special.betainc(a[:, None, None], b[:, None, None], x),
        higher,
    )


def _best_by_quadrature(
    quantiles: Callable[[Floats], Floats], below: Callable[[Floats], Floats], higher: bool
) -> Floats:
    """Return the probability that each of independent quantities is the largest (smallest).

    It is the integral over u in (0, 1) of prod_{j != i} F_j(F_i^-1(u)), by the midpoint rule.

    Args:
        quantiles: (points,) to (arms, points).
        below: (arms, points) x to (arms, arms, points): F_j at the points of arm i.
        higher: whether the largest is best.
    """
    u = (np.arange(GRID) + 0.5) / GRID
    chances = below(quantiles(u)[None])
    chances = chances if higher else 1 - chances
    arms = np.arange(len(chances))
    chances[arms, arms] = 1.0
    best: Floats = chances.prod(axis=0).mean(axis=1)
    return best / best.sum() if best.sum() > 0 else np.full(len(best), 1 / len(best))

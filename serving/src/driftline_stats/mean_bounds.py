"""How far two means are apart, with bounds that hold however often one looks, asymptotically.

The tilting test of `means` is exact, but its null is that both arms draw from one distribution:
with equal means and a wider canary it would say "worse". What is here asks about the means alone. A
verdict about a mean needs both.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

from driftline_stats.errors import BatchError, StateError
from driftline_stats.state import State

#: Units that each arm needs before its mean is spoken of: the guarantee is one of large samples.
LEAST_UNITS = 30


class Moments(NamedTuple):
    """Sums over the units of one arm in one batch: how many, of values, of their squares.

    >>> of_1_2_3 = Moments(units=3, total=6.0, squares=14.0)
    >>> of_1_2_3.mean, of_1_2_3.deviance
    (2.0, 2.0)
    """

    units: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The arm's mean."""
        return self.total / self.units

    @property
    def deviance(self) -> float:
        """The sum of squared deviations from the mean."""
        return max(0.0, self.squares - self.total**2 / self.units)


class Interval(NamedTuple):
    """Bounds of a quantity, both inclusive.

    >>> 0.2 in Interval(low=0.1, high=0.2), 0 in Interval(low=0.1, high=0.2)
    (True, False)
    """

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread(State):
    """An estimate of the variance of a weighted sum of batch means, as sums over batches.

    Four degrees of freedom with a deviance of 8 are a variance of 2 a unit, which a batch of one
    unit is taken to have too:

    >>> Spread().plus(deviance=8.0, freedom=4, size=3.0).plus(0.0, freedom=0, size=1.0).estimate
    8.0

    Attributes:
        variance: of the batches that tell of it.
        known: what the variance of those would be if each unit had variance 1.
        unknown: the same of the batches that do not, as they hold one unit.
    """

    KIND: ClassVar[str] = "spread"
    variance: float = 0.0
    known: float = 0.0
    unknown: float = 0.0

    def plus(self, deviance: float, freedom: int, size: float) -> Self:
        """Return the estimate after a batch whose sum has variance `size` per unit variance."""
        if freedom < 1:
            return type(self)(variance=self.variance, known=self.known, unknown=self.unknown + size)
        return type(self)(
            variance=self.variance + size * deviance / freedom,
            known=self.known + size,
            unknown=self.unknown,
        )

    def merge(self, other: Self) -> Self:
        """Return the estimate from the batches of both."""
        return type(self)(
            variance=self.variance + other.variance,
            known=self.known + other.known,
            unknown=self.unknown + other.unknown,
        )

    @property
    def estimate(self) -> float:
        """The variance over all batches; those that do not tell are taken to be like the others."""
        return self.variance * (1 + self.unknown / self.known) if self.known else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanBounds(State):
    r"""The difference of two means, canary minus stable, stratified by batch.

    In batch b let d_b be the difference of the arms' means and w_b = n_c n_s / (n_c + n_s). Then
    S = sum w_b (d_b - D) is, for D at least the true difference in every batch, a sum of terms of
    expectation at most 0, whatever the base level does from batch to batch. Its variance V is
    estimated as the larger of sum w_b^2 (s_c^2/n_c + s_s^2/n_s), each arm with its own variance,
    and sum w_b s_p^2, both with the pooled one: the first is right when the canary is wider than
    stable, the second while the canary has shown too few distinct values to know its variance.

    Null hypothesis: the mean difference is at most D, in every batch (or, more generally, its
    average with weights w_b is). Evidence: the mixture of exp(lambda S - lambda^2 V / 2) over a
    half-normal law of lambda with scale rho,

        E = 2 / sqrt(1 + rho^2 V) * exp(x^2 / 2) * Phi(x),  x = rho S / sqrt(1 + rho^2 V).

    Assumes independent units within a batch given the past, with finite variance, and samples large
    enough for sums to be nearly normal. The guarantee is asymptotic: E exceeds 1/alpha with a
    probability that tends to at most alpha as the first look moves to larger samples. Nothing is
    said before each arm has 30 units. How far it is off is measured in the project's simulations.

    Source: Robbins 1970 and Howard, Ramdas, McAuliffe & Sekhon (Annals of Statistics 2021) for the
    mixture; Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (Annals of Statistics 2024) for its use
    with estimated variances.

    >>> bounds = MeanBounds(tuned_at=500.0)
    >>> bounds = bounds.update(Moments(1000, 0.0, 1000.0), Moments(1000, 200.0, 1040.0))
    >>> round(bounds.difference, 3), [round(each, 2) for each in bounds.interval(0.05)]
    (0.2, [0.06, 0.34])

    Attributes:
        tuned_at: the variance V at which the bounds are tightest: with values of unit variance, the
            sum of w_b, which is near the canary's units while its share is small.
        units_stable: units of stable.
        units_canary: units of the canary.
        weight: sum of w_b.
        weighted: sum of w_b d_b.
        stable: variance of the weighted sum of stable's means.
        canary: the same of the canary's.
        pooled: variance of the weighted sum of differences, by pooled variances.
    """

    KIND: ClassVar[str] = "mean-bounds"
    tuned_at: float = 1000.0
    units_stable: int = 0
    units_canary: int = 0
    weight: float = 0.0
    weighted: float = 0.0
    stable: Spread = Spread()
    canary: Spread = Spread()
    pooled: Spread = Spread()

    def __post_init__(self) -> None:
        """Refuse what cannot be tuned for.

        Raises:
            StateError: `tuned_at` is not positive.
        """
        if not 0 < self.tuned_at < math.inf:
            raise StateError(f"tuned_at must be positive, got {self.tuned_at}")

    def update(self, stable: Moments, canary: Moments) -> Self:
        """Return the bounds after one more batch; one of a single arm says nothing.

        Raises:
            BatchError: a sum is not finite, or a number of units negative.
        """
        for moments in (stable, canary):
            if moments.units < 0 or not all(map(math.isfinite, moments)):
                raise BatchError(f"these are no sums over units: {tuple(moments)}")
        n_s, n_c = stable.units, canary.units
        if not n_s or not n_c:
            return self
        weight = n_c * n_s / (n_c + n_s)
        deviance = stable.deviance + canary.deviance
        return type(self)(
            tuned_at=self.tuned_at,
            units_stable=self.units_stable + n_s,
            units_canary=self.units_canary + n_c,
            weight=self.weight + weight,
            weighted=self.weighted + weight * (canary.mean - stable.mean),
            stable=self.stable.plus(stable.deviance, n_s - 1, weight * weight / n_s),
            canary=self.canary.plus(canary.deviance, n_c - 1, weight * weight / n_c),
            pooled=self.pooled.plus(deviance, n_s + n_c - 2, weight),
        )

    def merge(self, other: Self) -> Self:
        """Return the bounds after the batches of both.

        Raises:
            StateError: the other is tuned for something else.
        """
        if other.tuned_at != self.tuned_at:
            raise StateError("bounds that are tuned differently do not add up")
        return type(self)(
            tuned_at=self.tuned_at,
            units_stable=self.units_stable + other.units_stable,
            units_canary=self.units_canary + other.units_canary,
            weight=self.weight + other.weight,
            weighted=self.weighted + other.weighted,
            stable=self.stable.merge(other.stable),
            canary=self.canary.merge(other.canary),
            pooled=self.pooled.merge(other.pooled),
        )

    @property
    def difference(self) -> float:
        """The estimate of the difference, canary minus stable; NaN where nothing is known."""
        return self.weighted / self.weight if self.weight else math.nan

    @property
    def variance(self) -> float:
        """V: the larger of both estimates; NaN where there is none."""
        by_arm = self.stable.estimate + self.canary.estimate
        pooled = self.pooled.estimate
        return pooled if math.isnan(by_arm) else max(by_arm, pooled)

    @property
    def speaks(self) -> bool:
        """Whether there are units enough to say anything."""
        fewest = min(self.units_stable, self.units_canary)
        return fewest >= LEAST_UNITS and not math.isnan(self.variance)

    def log_evidence(self, margin: float = 0.0, *, lower: bool = False) -> float:
        """Return ln E against "the canary's mean is at most stable's plus the margin".

        Args:
            margin: D, in the unit of the values.
            lower: test the other side: "is at least stable's minus the margin".
        """
        if not self.speaks:
            return 0.0
        rise = -self.weighted if lower else self.weighted
        return _log_mixture(rise - margin * self.weight, self.variance, _scale(self.tuned_at))

    def interval(self, alpha: float) -> Interval:
        """Return bounds that hold both, at all looks, with probability about 1 - alpha.

        Each is where the evidence against what lies beyond it reaches 2/alpha. Without units enough
        they are infinite.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        half = reach(alpha, self.variance if self.speaks else 0.0, self.tuned_at)
        if not self.speaks:
            return Interval(-math.inf, math.inf)
        return Interval(self.difference - half / self.weight, self.difference + half / self.weight)


def _tuning(alpha: float) -> float:
    """Return rho^2 V where the two-sided bound is tightest (Waudby-Smith et al., appendix)."""
    twice = -2 * math.log(alpha)
    return twice + math.log(twice + 1)


_TUNING = _tuning(0.05)


def _scale(tuned_at: float) -> float:
    """Return rho^2, such that the bound at level 0.05 is tightest where V is `tuned_at`."""
    return _TUNING / tuned_at


def _log_mixture(rise: float, variance: float, scale: float) -> float:
    """Return ln E of the half-normal mixture at S = rise, with scale = rho^2."""
    spread = 1 + scale * variance
    x = math.sqrt(scale) * rise / math.sqrt(spread)
    return math.log(2) - math.log(spread) / 2 + _log_scaled_normal(x)


def _log_scaled_normal(x: float) -> float:
    """Return ln(exp(x^2 / 2) Phi(x)); far below zero by Mills' ratio, where Phi vanishes.

    >>> round(_log_scaled_normal(-19.999), 5), round(_log_scaled_normal(-20.001), 5)
    (-3.91711, -3.9172)
    """
    if x > -20:
        return x * x / 2 + math.log(math.erfc(-x / math.sqrt(2)) / 2)
    return math.log1p(-1 / (x * x) + 3 / x**4) - math.log(-x * math.sqrt(2 * math.pi))


def reach(alpha: float, variance: float, tuned_at: float) -> float:
    """Return the S at which the evidence of `MeanBounds` reaches 2/alpha, for a variance V.

    >>> bounds = reach(0.05, variance=1000.0, tuned_at=1000.0)
    >>> round(bounds / math.sqrt(1000.0), 2)  # in standard errors, at all looks at once
    3.04

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    scale, log_bar = _scale(tuned_at), math.log(2 / alpha)
    low, high = (
        0.0,
        math.sqrt(2 * (log_bar + math.log1p(scale * variance)) * (variance + 1 / scale)),
    )
    for _ in range(100):
        middle = (low + high) / 2
        if _log_mixture(middle, variance, scale) < log_bar:
            low = middle
        else:
            high = middle
    return high

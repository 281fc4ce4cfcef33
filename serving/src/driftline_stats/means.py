"""Whether the mean of a metric is worse in the canary: exact tilting, and bounds of the means."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.histogram import as_floats
from driftline_stats.mean_bounds import Interval, MeanBounds, Moments
from driftline_stats.state import State

#: Tilts, in units of 1/sd of stable.
TILTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
#: Outcomes are winsorised at stable's quantiles of these shares.
WINSORISED_AT = (0.001, 0.999)
#: A plan is frozen as if no outcome were farther from zero.
LARGEST = 1e100
#: An outcome may lie this many sd from the centre: exp(0.8 * 500) times 1e9 fits a double.
FARTHEST = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanPlan(State):
    """What is frozen from stable before the canary starts, and what is asked.

    Any numbers keep the guarantee, as long as they are chosen before the canary's outcomes are
    seen; good ones make the test quick.

    Attributes:
        low: outcomes below it count as it.
        high: outcomes above it count as it.
        center: stable's mean; it only keeps numbers small.
        sd: stable's standard deviation, of winsorised outcomes. With 0, as of a constant, every
            outcome counts as the same, and no evidence ever arises.
        direction: "higher" or "lower": where the canary's mean must not be.
        tolerance: by how much it may be there, in the metric's unit.
    """

    KIND: ClassVar[str] = "mean-plan"
    low: float
    high: float
    center: float
    sd: float
    direction: str = "higher"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a plan that contradicts itself.

        Raises:
            StateError: says what is wrong.
        """
        if self.direction not in ("higher", "lower"):
            raise StateError(f"direction must be higher or lower, got {self.direction!r}")
        if not -math.inf < self.low <= self.center <= self.high < math.inf:
            raise StateError(f"{self.center} must lie between {self.low} and {self.high}")
        if not 0 <= self.sd < math.inf or not 0 <= self.tolerance < math.inf:
            raise StateError("sd and tolerance are not negative")
        if self.sd and max(self.high - self.center, self.center - self.low) > FARTHEST * self.sd:
            raise StateError(f"outcomes may lie {FARTHEST:g} sd from the center, not more")

    @classmethod
    def of(
        cls, outcomes: Iterable[object], *, direction: str = "higher", tolerance: float = 0.0
    ) -> Self:
        """Freeze a plan from outcomes of stable.

        Outcomes are winsorised at their 0.1 % and 99.9 % quantiles; where those are the same, at
        the smallest and the largest.

        >>> plan = MeanPlan.of([0.0, 1.0, 2.0, 3.0, float("nan")], direction="lower")
        >>> round(plan.center, 2), round(plan.sd, 2)
        (1.5, 1.12)

        Raises:
            StateError: no outcome is a finite number.
        """
        values = as_floats(outcomes)
        values = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
        if not values.size:
            raise StateError("no outcome of stable is a finite number: nothing to freeze from")
        low, high = np.quantile(values, WINSORISED_AT)
        if low == high:
            low, high = values.min(), values.max()
        clipped = np.clip(values, low, high)
        width = high - low or 1.0  # to scale by, lest squares overflow or vanish
        return cls(
            low=float(low),
            high=float(high),
            center=float(np.clip(clipped.mean(), low, high)),
            sd=float(((clipped - low) / width).std() * width),
            direction=direction,
            tolerance=tolerance,
        )

    def standardised(self, outcomes: Iterable[object]) -> npt.NDArray[np.float64]:
        """Return outcomes winsorised, in sd from the centre; NaN where one is no number."""
        values = np.clip(as_floats(outcomes), self.low, self.high)
        if not self.sd:
            return np.where(np.isnan(values), np.nan, 0.0)
        return (values - self.center) / self.sd

    @property
    def lambdas(self) -> tuple[float, ...]:
        """The tilts in units of 1/sd, signed by the direction."""
        return TILTS if self.direction == "higher" else tuple(-tilt for tilt in TILTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSums(State):
    """Sums over the units of one arm in one batch, of winsorised outcomes in sd from the centre.

    Attributes:
        units: units with an outcome.
        total: sum of outcomes.
        squares: sum of their squares.
        tilted: sums of exp(lambda outcome), one for each lambda of the plan.
        missing: units whose outcome is no number; they are in no sum.
    """

    KIND: ClassVar[str] = "mean-sums"
    units: int = 0
    total: float = 0.0
    squares: float = 0.0
    tilted: tuple[float, ...] = (0.0,) * len(TILTS)
    missing: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[object], plan: MeanPlan) -> Self:
        """Sum up outcomes. Infinities are winsorised, what is no number is missing.

        >>> plan = MeanPlan(low=0, high=1, center=0.5, sd=0.5)
        >>> sums = MeanSums.of([0, 1, 7, None], plan)
        >>> sums.units, sums.total, sums.missing
        (3, 1.0, 1)
        """
        values = plan.standardised(outcomes)
        known = values[~np.isnan(values)]
        tilted = np.exp(np.multiply.outer(np.array(plan.lambdas), known)).sum(axis=1)
        return cls(
            units=int(known.size),
            total=float(known.sum()),
            squares=float(known @ known),
            tilted=tuple(tilted.tolist()),
            missing=int(values.size - known.size),
        )

    def __add__(self, other: Self) -> Self:
        """Return the sums over the units of both."""
        return type(self)(
            units=self.units + other.units,
            total=self.total + other.total,
            squares=self.squares + other.squares,
            tilted=tuple(a + b for a, b in zip(self.tilted, other.tilted, strict=True)),
            missing=self.missing + other.missing,
        )

    @property
    def moments(self) -> Moments:
        """What the bounds need of it."""
        return Moments(self.units, self.total, self.squares)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanBatch(State):
    """Both arms in one concurrent slot. Batches of replicas add up before they become evidence."""

    KIND: ClassVar[str] = "mean-batch"
    stable: MeanSums
    canary: MeanSums

    @classmethod
    def of(cls, stable: Iterable[object], canary: Iterable[object], plan: MeanPlan) -> Self:
        """Sum up the outcomes of both arms."""
        return cls(stable=MeanSums.of(stable, plan), canary=MeanSums.of(canary, plan))

    def __add__(self, other: Self) -> Self:
        """Return the batch of the same slot that holds the units of both."""
        return type(self)(stable=self.stable + other.stable, canary=self.canary + other.canary)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanShift(State):
    r"""A test of whether the canary's mean is worse than stable's.

    Two pieces of evidence, of which the smaller counts:

    1. **Exact tilting.** For each lambda, and in each batch with both arms,
       `log e(lambda) = lambda * sum_canary(y) - N_c * ln(mean over both arms of exp(lambda y))`;
       increments add, and the evidence is the mean over the six lambdas of the products. Null:
       within a batch, winsorised outcomes are exchangeable between the arms, as when both arms draw
       them from one distribution, whatever that is and however it changes from batch to batch.
       Then it exceeds 1/alpha with probability at most alpha, exactly and at any sample size: given
       all outcomes of the batch, a sample of N_c of them without replacement has
       E[prod exp(lambda y)] <= (mean exp(lambda y))^N_c (Maclaurin's inequality).
    2. **The bounds of the means** (`MeanBounds`). Null: the canary's mean is not worse by more than
       the tolerance. Asymptotic. Without them a canary of equal mean and larger spread would be
       called worse: the first null does not hold, though the mean does. Only half of its evidence
       counts, so that a verdict at alpha is one that `interval(alpha)`, which looks to both sides,
       agrees with; what that leaves over of alpha is there for samples that are not large. So this
       evidence starts at 1/2.

    Under optional stopping: the smaller of the two is evidence against either null alone. So it
    ever reaches 1/alpha with probability at most alpha, exactly when the arms do not differ at all,
    and asymptotically when their winsorised means do not differ for the worse.

    Assumes independent units: with requests counted whose users stick to an arm, 40 % of simulated
    rollouts called an equal canary worse. It sees winsorised outcomes: a change beyond stable's
    0.1 % and 99.9 % quantiles is seen only as far as those. Where the canary is skewed and wider,
    its winsorised mean may differ from its mean; the verdict is about the winsorised one. Missing
    outcomes are in no sum: if more are missing in one arm, the means may differ for that reason
    alone.

    Source: tilting as in Waudby-Smith & Ramdas, "Estimating means of bounded random variables by
    betting" (JRSS B 2024), with the conditional expectation replaced by that over the batch's
    permutations.

    >>> rng = np.random.default_rng(1)
    >>> plan = MeanPlan.of(rng.normal(10, 2, 1000), direction="lower")
    >>> test = MeanShift(plan=plan)
    >>> for _ in range(20):
    ...     batch = MeanBatch.of(rng.normal(10, 2, 450), rng.normal(9, 2, 50), plan)
    ...     test = test.update(batch)
    >>> test.verdict(0.05).rejected, [round(bound, 1) for bound in test.interval(0.05)]
    (True, [-1.3, -0.9])

    Attributes:
        plan: what was frozen.
        log_tilted: log evidence of each lambda.
        bounds: of the difference of means, in sd of stable. Start with `MeanBounds(tuned_at=...)`
            where the canary will have far more, or fewer, than a thousand units.
        missing_stable: units of stable whose outcome is no number.
        missing_canary: units of the canary whose outcome is no number.
    """

    KIND: ClassVar[str] = "mean-shift"
    plan: MeanPlan
    log_tilted: tuple[float, ...] = (0.0,) * len(TILTS)
    bounds: MeanBounds = field(default_factory=MeanBounds)
    missing_stable: int = 0
    missing_canary: int = 0

    def update(self, batch: MeanBatch) -> Self:
        """Return the test after one more batch. A batch of one arm alone says nothing.

        Raises:
            BatchError: its sums contradict themselves or each other.
        """
        _check(batch)
        return type(self)(
            plan=self.plan,
            log_tilted=tuple(
                log + increment
                for log, increment in zip(self.log_tilted, self._increments(batch), strict=True)
            ),
            bounds=self.bounds.update(batch.stable.moments, batch.canary.moments),
            missing_stable=self.missing_stable + batch.stable.missing,
            missing_canary=self.missing_canary + batch.canary.missing,
        )

    def _increments(self, batch: MeanBatch) -> tuple[float, ...]:
        stable, canary = batch.stable, batch.canary
        if not stable.units or not canary.units:
            return (0.0,) * len(TILTS)
        units = stable.units + canary.units
        return tuple(
            tilt * canary.total - canary.units * math.log((in_stable + in_canary) / units)
            for tilt, in_stable, in_canary in zip(
                self.plan.lambdas, stable.tilted, canary.tilted, strict=True
            )
        )

    def merge(self, other: Self) -> Self:
        """Return the test after the batches of both.

        Raises:
            StateError: the other has another plan.
        """
        if other.plan != self.plan:
            raise StateError("tests of means with different plans do not merge")
        return type(self)(
            plan=self.plan,
            log_tilted=tuple(a + b for a, b in zip(self.log_tilted, other.log_tilted, strict=True)),
            bounds=self.bounds.merge(other.bounds),
            missing_stable=self.missing_stable + other.missing_stable,
            missing_canary=self.missing_canary + other.missing_canary,
        )

    @property
    def log_evidence_tilting(self) -> float:
        """Log evidence against "both arms draw from one distribution"; exact."""
        return log_mean(self.log_tilted)

    @property
    def log_evidence_means(self) -> float:
        """Log of half the evidence against "not worse by more than the tolerance"; asymptotic.

        It reaches ln(1/alpha) exactly when `interval(alpha)` leaves the tolerance out.
        """
        if not self.plan.sd:
            return -math.log(2)
        margin = self.plan.tolerance / self.plan.sd
        lower = self.plan.direction == "lower"
        return self.bounds.log_evidence(margin, lower=lower) - math.log(2)

    @property
    def log_evidence(self) -> float:
        """The smaller of both: evidence against either null, and so fit to be combined."""
        return min(self.log_evidence_tilting, self.log_evidence_means)

    def log_certificate(self, margin: float) -> float:
        """Return log evidence against "the mean is worse by the margin or more"; asymptotic.

        It certifies, for promoting early, that the canary is not worse by the margin, a positive
        number in the metric's unit. Only half of the evidence counts, as for the verdict. Falsely
        certified at beta, which asks for ln(1/beta), with a probability of about beta at most.

        Raises:
            ValueError: the margin is not positive.
        """
        if not 0 < margin < math.inf:
            raise ValueError(f"the margin must be positive, got {margin}")
        if not self.plan.sd:
            return -math.log(2)
        better = self.plan.direction == "higher"
        return self.bounds.log_evidence(-margin / self.plan.sd, lower=better) - math.log(2)

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the canary's mean is worse.

        Where the tilting alone would reject, the verdict says what holds it back.
        """
        tilted = judged(self.log_evidence_tilting, alpha)
        if tilted.rejected and self.log_evidence_means < tilted.log_bar:
            low, high = self.interval(alpha)
            reason = f"the means may be equal: their difference is in [{low:.3g}, {high:.3g}]"
            return judged(self.log_evidence_tilting, alpha, held_back=reason)
        return judged(self.log_evidence, alpha)

    @property
    def difference(self) -> float:
        """The estimate of the difference, canary minus stable, in the metric's unit."""
        return self.bounds.difference * self.plan.sd

    def interval(self, alpha: float) -> Interval:
        """Return bounds of the difference, canary minus stable, in the metric's unit.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        low, high = self.bounds.interval(alpha)
        if not self.plan.sd:
            return Interval(-math.inf, math.inf)
        return Interval(low * self.plan.sd, high * self.plan.sd)


def _check(batch: MeanBatch) -> None:
    for name, sums in (("stable", batch.stable), ("canary", batch.canary)):
        if sums.units < 0 or sums.missing < 0:
            raise BatchError(f"{name} has a negative number of units")
        if len(sums.tilted) != len(TILTS):
            raise BatchError(f"{name} has {len(sums.tilted)} tilted sums, expected {len(TILTS)}")
        if not all(math.isfinite(each) for each in (sums.total, sums.squares, *sums.tilted)):
            raise BatchError(f"{name} has sums that are not finite")
        if sums.units and min(sums.tilted) <= 0:
            raise BatchError(f"{name} has tilted sums that are not positive")

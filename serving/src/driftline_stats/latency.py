"""Whether the canary is slower: exceedances of frozen thresholds, each a rate."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.histogram import LatencyHistogram, bucket_edges, edge_from
from driftline_stats.planning import RatePlan, Traffic, base_rate, smallest_ratio
from driftline_stats.rates import RateBatch, RateRatio
from driftline_stats.state import State

#: Shares of stable's latencies that thresholds are frozen at.
SHARES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds(State):
    """Latencies that are counted as exceeded, frozen before the canary starts.

    Any thresholds keep the guarantee, as long as they are chosen before the canary's latencies are
    seen and each of the canary's is at least (1 + tolerance) times stable's.

    Attributes:
        digits: of the buckets; see `histogram`.
        tolerance: tau, by which share of stable's latency the canary may be slower.
        stable: edges in microseconds, ascending: at or beyond an edge is an exceedance.
        canary: the same for the canary: stable's times (1 + tau), rounded up to an edge again.
    """

    KIND: ClassVar[str] = "latency-thresholds"
    digits: int
    tolerance: float
    stable: tuple[int, ...]
    canary: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse thresholds that are none, or that do not widen.

        Raises:
            StateError: says what is wrong.
        """
        known = bucket_edges(self.digits)
        if not 0 <= self.tolerance < math.inf:
            raise StateError(f"the tolerance is a share of at least 0, got {self.tolerance}")
        if not self.stable or len(self.stable) != len(self.canary):
            raise StateError("each threshold of stable needs one of the canary")
        if not np.isin((*self.stable, *self.canary), known).all():
            raise StateError(f"not all are edges of buckets of {self.digits} digits")
        if any(c < self._widened(s) for s, c in zip(self.stable, self.canary, strict=True)):
            raise StateError("a threshold of the canary is not widened by the tolerance")

    def _widened(self, edge: int) -> int:
        return _widened(edge, self.tolerance, self.digits)

    @classmethod
    def of(cls, stable: LatencyHistogram, *, tolerance: float = 0.0) -> Self:
        """Freeze thresholds at stable's p50, p75, p90, p95, p99 and p99.9, rounded up to edges.

        >>> thresholds = Thresholds.of(LatencyHistogram.of(range(1, 10_001)), tolerance=0.1)
        >>> thresholds.stable
        (5100, 7600, 9100, 9600, 10000, 10000)
        >>> thresholds.canary
        (5700, 8400, 11000, 11000, 11000, 11000)

        Args:
            stable: latencies of stable, best a thousand or more.
            tolerance: tau, by which share of stable's latency the canary may be slower.

        Raises:
            StateError: stable has no latencies, or the tolerance is negative.
        """
        if not stable.total:
            raise StateError("stable has no latencies: nothing to freeze thresholds from")
        if not 0 <= tolerance < math.inf:
            raise StateError(f"the tolerance is a share of at least 0, got {tolerance}")
        edges = tuple(stable.quantile(share) for share in SHARES)
        widened = tuple(_widened(edge, tolerance, stable.digits) for edge in edges)
        return cls(digits=stable.digits, tolerance=tolerance, stable=edges, canary=widened)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceedances(State):
    """One arm in one concurrent slot.

    Attributes:
        units: latencies.
        beyond: how many of them are at or beyond each threshold.
    """

    KIND: ClassVar[str] = "exceedances"
    units: int = 0
    beyond: tuple[int, ...] = (0,) * len(SHARES)

    def __post_init__(self) -> None:
        """Refuse counts that contradict each other.

        Raises:
            BatchError: one is negative, or more than there are units.
        """
        if not all(0 <= count <= self.units for count in (0, *self.beyond)):
            raise BatchError(f"{self.units} latencies cannot have exceedances {self.beyond}")

    def __add__(self, other: Self) -> Self:
        """Return what both have counted.

        Raises:
            BatchError: the other has another number of thresholds.
        """
        if len(other.beyond) != len(self.beyond):
            raise BatchError(f"{len(self.beyond)} and {len(other.beyond)} thresholds do not add up")
        return type(self)(
            units=self.units + other.units,
            beyond=tuple(a + b for a, b in zip(self.beyond, other.beyond, strict=True)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyBatch(State):
    """Both arms in one concurrent slot; batches of replicas add up before they are evidence.

    >>> slot = LatencyHistogram.of([1000] * 8 + [5000, 5700])
    >>> thresholds = Thresholds(digits=2, tolerance=0.1, stable=(5000,), canary=(5500,))
    >>> batch = LatencyBatch.of(slot, slot, thresholds)
    >>> batch.stable.beyond, batch.canary.beyond, (batch + batch).stable.units
    ((2,), (1,), 20)
    """

    KIND: ClassVar[str] = "latency-batch"
    stable: Exceedances
    canary: Exceedances

    @classmethod
    def of(cls, stable: LatencyHistogram, canary: LatencyHistogram, thresholds: Thresholds) -> Self:
        """Count exceedances. What is missing from a histogram is no unit.

        Raises:
            BatchError: a histogram has other buckets than the thresholds.
        """
        return cls(
            stable=_exceedances(stable, thresholds.stable, thresholds.digits),
            canary=_exceedances(canary, thresholds.canary, thresholds.digits),
        )

    def __add__(self, other: Self) -> Self:
        """Return the batch of the same slot that holds the units of both."""
        return type(self)(stable=self.stable + other.stable, canary=self.canary + other.canary)

    def at_each_of(self, thresholds: Thresholds) -> tuple[RateBatch, ...]:
        """Return the batch as rates of exceedances, one for each threshold.

        Raises:
            BatchError: it has counted another number of thresholds.
        """
        for arm in (self.stable, self.canary):
            if len(arm.beyond) != len(thresholds.stable):
                frozen = len(thresholds.stable)
                raise BatchError(f"{len(arm.beyond)} thresholds counted, {frozen} frozen")
        return tuple(
            RateBatch(
                stable_units=self.stable.units,
                stable_events=stable,
                canary_units=self.canary.units,
                canary_events=canary,
            )
            for stable, canary in zip(self.stable.beyond, self.canary.beyond, strict=True)
        )


class SlotTest(Protocol):
    """A test that is fed the rates of one slot after the other."""

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence."""

    def update(self, batch: RateBatch) -> Self:
        """Return the test after one more slot."""

    def merge(self, other: Self) -> Self:
        """Return the test after the slots of both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerThreshold(State):
    """What tests of latency have in common: one test of rates for each threshold.

    Attributes:
        thresholds: what was frozen.
        tests: one for each threshold.
    """

    thresholds: Thresholds
    tests: tuple[SlotTest, ...]

    def __post_init__(self) -> None:
        """Refuse a test that does not fit its thresholds.

        Raises:
            StateError: there is not one test for each threshold.
        """
        if len(self.tests) != len(self.thresholds.stable):
            raise StateError(f"{len(self.tests)} tests of {len(self.thresholds.stable)} thresholds")

    def update(self, batch: LatencyBatch) -> Self:
        """Return the test after one more batch.

        Raises:
            BatchError: the batch has another number of thresholds.
        """
        slots = batch.at_each_of(self.thresholds)
        tests = tuple(test.update(slot) for test, slot in zip(self.tests, slots, strict=True))
        return replace(self, tests=tests)

    def merge(self, other: Self) -> Self:
        """Return the test after the batches of both.

        Raises:
            StateError: the other has other thresholds, or tests something else.
        """
        if other.thresholds != self.thresholds:
            raise StateError(f"{self.KIND}s with different thresholds do not merge")
        tests = tuple(a.merge(b) for a, b in zip(self.tests, other.tests, strict=True))
        return replace(self, tests=tests)

    @property
    def log_evidences(self) -> tuple[float, ...]:
        """Log evidence at each threshold, in their order."""
        return tuple(test.log_evidence for test in self.tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyShift(PerThreshold):
    r"""A test of whether the canary is slower than (1 + tau) times stable.

    At each of six thresholds t_j of stable, with canary's t'_j >= (1 + tau) t_j, an exceedance is
    an event, and `RateRatio` at r0 = 1 tests whether the canary has them more often:
    P(canary >= t'_j) <= P(stable >= t_j). The evidence is the mean of the six.

    Null hypothesis: in every batch the canary's latency is stochastically at most (1 + tau) times
    stable's, which implies all six. It may be rejected because of the typical request or of the
    tail; `log_evidences` says which.

    Assumes what `RateRatio` does: units independent within a batch, concurrent, counted once. Not
    fulfilled by requests that queue behind each other in one pod: a single slow node then looks
    like a slow canary, and stalls make exceedances come in bursts. Where each pod stands still for
    a second once a minute, an equal canary is called slower in 62 % of simulated rollouts when it
    has one pod against four, and in 21 % when both have eight. So look at evidence without each pod
    before acting on it.

    Under optional stopping: reaches 1/alpha with probability at most alpha, ever, while the base
    latency drifts and the share changes; each batch is compared only with itself. Rounding to edges
    costs no validity: it widens the tolerance by at most one bucket.

    Source: as of `RateRatio`; the mean of e-processes is one, whatever their dependence (Vovk &
    Wang, "E-values", Annals of Statistics 2021).

    >>> rng = np.random.default_rng(1)
    >>> before = LatencyHistogram.of(rng.lognormal(9, 0.5, 2000))
    >>> thresholds = Thresholds.of(before)
    >>> test = LatencyShift.start(thresholds)
    >>> for _ in range(12):
    ...     stable = LatencyHistogram.of(rng.lognormal(9.0, 0.5, 450))
    ...     canary = LatencyHistogram.of(rng.lognormal(9.3, 0.5, 50))
    ...     test = test.update(LatencyBatch.of(stable, canary, thresholds))
    >>> test.verdict(0.05).rejected
    True

    Attributes:
        thresholds: what was frozen.
        tests: one for each threshold.
    """

    KIND: ClassVar[str] = "latency-shift"
    tests: tuple[RateRatio, ...]

    @classmethod
    def start(cls, thresholds: Thresholds) -> Self:
        """Return the test before any batch."""
        return cls(thresholds=thresholds, tests=(RateRatio.above(1.0),) * len(thresholds.stable))

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the mean over the thresholds."""
        return log_mean(self.log_evidences)

    def smallest_ratios(self, alpha: float) -> tuple[float | None, ...]:
        """Return the smallest ratio of exceedances that would show at the traffic so far.

        One for each threshold: how many times as often the canary would have to exceed it, if that
        alone moved, for a typical run to have shown it by now; see `planning`. None where no ratio
        would have.
        """
        plan = RatePlan(alpha=alpha, guardrails=len(self.tests))
        return tuple(
            smallest_ratio(plan, [Traffic.of(test.seen)], base_rate(test.seen))
            for test in self.tests
        )

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the canary is slower, with a false alarm probability of at most alpha.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        return judged(self.log_evidence, alpha)


class Band(NamedTuple):
    """A distribution function with a band, at edges; the share of latencies below each edge."""

    edges: npt.NDArray[np.int64]
    low: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def band(histogram: LatencyHistogram, alpha: float) -> Band:
    r"""Return a distribution function with its Dvoretzky-Kiefer-Wolfowitz band. Only for drawing.

    share +- sqrt(ln(2/alpha) / (2n)) holds the true function everywhere with probability
    1 - alpha, for n independent latencies of **one** distribution, looked at **once**. Over a
    rollout neither is so: latencies drift while the share ramps up, and two bands then part
    although the arms do not differ. Never decide by it.

    Source: Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality" (Annals of
    Probability 1990).

    >>> drawn = band(LatencyHistogram.of([100] * 50 + [200] * 50), 0.05)
    >>> drawn.edges.tolist(), drawn.share.tolist(), drawn.high.round(3).tolist()
    ([110, 210], [0.5, 1.0], [0.636, 1.0])

    Raises:
        ValueError: alpha is not between 0 and 1.
        StateError: nothing is counted.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    if not histogram.total:
        raise StateError("no latencies: nothing to draw")
    share = np.cumsum(histogram.counts) / histogram.total
    reach = math.sqrt(math.log(2 / alpha) / (2 * histogram.total))
    known = bucket_edges(histogram.digits)
    after = np.minimum(np.searchsorted(known, histogram.edges, side="right"), known.size - 1)
    return Band(known[after], np.maximum(share - reach, 0), share, np.minimum(share + reach, 1))


def _widened(edge: int, tolerance: float, digits: int) -> int:
    """Return the lowest edge at (1 + tolerance) times an edge or above; 1.1 means 11/10."""
    return edge_from(math.ceil(edge * (1 + Fraction(str(tolerance)))), digits)


def _exceedances(
    histogram: LatencyHistogram, thresholds: tuple[int, ...], digits: int
) -> Exceedances:
    if histogram.digits != digits:
        raise BatchError(f"buckets of {histogram.digits} digits, thresholds of {digits}")
    return Exceedances(
        units=histogram.total, beyond=tuple(histogram.at_least(edge) for edge in thresholds)
    )

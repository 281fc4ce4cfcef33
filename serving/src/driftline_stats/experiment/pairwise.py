"""Every arm against every other: evidence that one is better, at the unit that was assigned."""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged
from driftline_stats.experiment.first_events import RiskSets
from driftline_stats.experiment.window_means import ClosedUnits
from driftline_stats.means import MeanBatch, MeanPlan, MeanShift, MeanSums
from driftline_stats.rates import RateRatio
from driftline_stats.state import State

TestT = TypeVar("TestT", RateRatio, MeanShift)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseRates(State):
    r"""A test of each ordered pair of arms: is the first one's rate better than the second's?

    *H0* of the pair (a, b), where higher is better: p_a <= r0 * p_b in every stratum. Where lower
    is better: p_b <= r0 * p_a. The evidence is that of `rates.RateRatio`: increments of strata in
    which both arms serve, conditional on how many of each arm are at risk in it. Hence it stays
    valid when shares are changed by what was seen, as a bandit does.

    *Assumes* units that count once: users from `first_events`, or requests where each is routed for
    itself. A test of requests that are routed by user calls A/A experiments different. With r0 = 1
    the assignment at random suffices where arms do not differ; with r0 > 1 units must be
    independent.

    *What a rate of first events is*: a hazard, of units that have had none so far. Where users are
    unlike, those of the worse arm who are prone to fail are used up sooner, and its disadvantage
    shrinks with time since exposure. A window bounds that.

    *Optional stopping*: each pair reaches 1/alpha falsely with probability at most alpha, ever. Of
    all pairs together, `best_arm` takes care.

    *Sources* are those of `rates.RateRatio`.

    Attributes:
        arms: their names; at least two.
        higher_is_better: direction of the metric.
        tests: one for each ordered pair, in the order of `itertools.permutations`. What they have
            `seen` are units at risk summed over strata, and so not a number of units.

    >>> pairs = pairwise_rates(("control", "treatment"), higher_is_better=False)
    >>> sets = RiskSets(
    ...     exposures=np.array([500, 500]),
    ...     cohorts=np.array([0]),
    ...     at_risk=np.array([[500, 500]]),
    ...     events=np.array([[30, 5]]),
    ...     rate=1.0,
    ... )
    >>> print(pairs.update(sets).verdict("treatment", "control", 0.05))
    rejected: evidence 4.4e+03 of 20 needed
    """

    KIND: ClassVar[str] = "pairwise-rates"

    arms: tuple[str, ...]
    higher_is_better: bool
    tests: tuple[RateRatio, ...]

    def update(self, sets: RiskSets) -> Self:
        """Return the tests after the strata of one slot.

        Raises:
            BatchError: the strata are of another number of arms, or contradict themselves.
        """
        return self.update_strata(sets.at_risk, sets.events)

    def update_strata(self, units: npt.NDArray[np.int64], events: npt.NDArray[np.int64]) -> Self:
        """Return the tests after strata given as counts, each concurrent in itself.

        Args:
            units: (strata, arms) at risk.
            events: (strata, arms) of these.

        Raises:
            BatchError: as `update`.
        """
        if units.shape != events.shape or units.shape[-1:] != (len(self.arms),):
            raise BatchError(
                f"expected (strata, {len(self.arms)}), got {units.shape} and {events.shape}"
            )
        if not units.size:
            return self
        tests = tuple(
            test.update_many(np.stack([units[:, b], events[:, b], units[:, a], events[:, a]], -1))
            for (a, b), test in zip(self._raised(), self.tests, strict=True)
        )
        return replace(self, tests=tests)

    def merge(self, other: Self) -> Self:
        """Return the tests after the strata of both, which are different ones.

        Raises:
            StateError: the other has other arms, or tests something else.
        """
        if self.higher_is_better != other.higher_is_better:
            raise StateError("pairwise: the better rate is the higher in one, the lower in another")
        return replace(self, tests=_merged((self.arms, self.tests), (other.arms, other.tests)))

    def log_evidence_of(self, better: str, worse: str) -> float:
        """Return the logarithm of the evidence that one arm is better than another.

        Raises:
            ValueError: there is no such pair.
        """
        return self.tests[_index(self.arms, better, worse)].log_evidence

    def verdict(self, better: str, worse: str, alpha: float) -> Verdict:
        """Say whether an arm is better than another, falsely with probability at most alpha.

        Raises:
            ValueError: there is no such pair, or alpha is not between 0 and 1.
        """
        return judged(self.log_evidence_of(better, worse), alpha)

    def _raised(self) -> list[tuple[int, int]]:
        """Return for each test the arm whose rate may be the higher one, and the other."""
        pairs = list(itertools.permutations(range(len(self.arms)), 2))
        return pairs if self.higher_is_better else [(b, a) for a, b in pairs]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseMeans(State):
    r"""A test of each ordered pair of arms: is the first one's mean better than the second's?

    *H0* of the pair (a, b), and what holds under optional stopping: that of `means.MeanShift`, with
    a in place of the canary. Both its parts must speak: exact tilting and the bounds of the means.
    One plan, frozen from outcomes that are not in the test, serves all pairs.

    *Assumes* units that count once, such as those that `window_means` closes, and strata in which
    arms are alike but for what is tested.

    Attributes:
        arms: their names; at least two.
        plan: what was frozen; its direction is where the better mean lies.
        tests: one for each ordered pair, in the order of `itertools.permutations`.

    >>> rng = np.random.default_rng(1)
    >>> plan = MeanPlan.of(rng.normal(5, 1, 1000), direction="higher")
    >>> pairs = pairwise_means(("a", "b"), plan)
    >>> for _ in range(20):
    ...     pairs = pairs.update_strata((rng.normal(5, 1, 60), rng.normal(5.4, 1, 40)))
    >>> pairs.verdict("b", "a", 0.05).rejected, pairs.verdict("a", "b", 0.05).rejected
    (True, False)
    """

    KIND: ClassVar[str] = "pairwise-means"

    arms: tuple[str, ...]
    plan: MeanPlan
    tests: tuple[MeanShift, ...]

    def update(self, closed: tuple[ClosedUnits, ...]) -> Self:
        """Return the tests after the cohorts that one slot has closed.

        Raises:
            BatchError: a cohort is of another number of arms.
        """
        return self.update_strata(*(each.values for each in closed))

    def update_strata(self, *strata: tuple[npt.NDArray[np.float64], ...]) -> Self:
        """Return the tests after strata, each the outcomes of units by arm.

        Raises:
            BatchError: as `update`.
        """
        tests = self.tests
        for values in strata:
            if len(values) != len(self.arms):
                raise BatchError(f"outcomes of {len(values)} arms in a test of {len(self.arms)}")
            sums = [MeanSums.of(each, self.plan) for each in values]
            tests = tuple(
                test.update(MeanBatch(stable=b, canary=a))
                for (a, b), test in zip(itertools.permutations(sums, 2), tests, strict=True)
            )
        return replace(self, tests=tests)

    def merge(self, other: Self) -> Self:
        """Return the tests after the strata of both, which are different ones.

        Raises:
            StateError: the other has other arms, or another plan.
        """
        return replace(self, tests=_merged((self.arms, self.tests), (other.arms, other.tests)))

    def log_evidence_of(self, better: str, worse: str) -> float:
        """Return the logarithm of the evidence that one arm is better than another.

        Raises:
            ValueError: there is no such pair.
        """
        return self.tests[_index(self.arms, better, worse)].log_evidence

    def verdict(self, better: str, worse: str, alpha: float) -> Verdict:
        """Say whether an arm is better than another, falsely with probability at most alpha.

        Raises:
            ValueError: there is no such pair, or alpha is not between 0 and 1.
        """
        return self.tests[_index(self.arms, better, worse)].verdict(alpha)


def pairwise_rates(
    arms: tuple[str, ...], *, higher_is_better: bool, least_ratio: float = 1.0
) -> PairwiseRates:
    """Return tests that have seen nothing.

    With a ratio that matters of 1.5, twice the rate is evidence, and 1.4 times is none:

    >>> start = pairwise_rates(("a", "b"), higher_is_better=True, least_ratio=1.5)
    >>> for events in (400, 280):
    ...     pairs = start.update_strata(np.array([[4000, 4000]]), np.array([[200, events]]))
    ...     print(events, pairs.verdict("b", "a", 0.05).rejected)
    400 True
    280 False

    Args:
        arms: their names.
        higher_is_better: direction of the metric.
        least_ratio: r0, by how much the higher rate must exceed the lower one to matter.

    Raises:
        ValueError: fewer than two arms, two of one name, or a ratio below 1.
    """
    if least_ratio < 1:
        raise ValueError(f"the least ratio must be at least 1, got {least_ratio}")
    tests = (RateRatio.above(least_ratio),) * _pair_count(arms)
    return PairwiseRates(arms=arms, higher_is_better=higher_is_better, tests=tests)


def pairwise_means(arms: tuple[str, ...], plan: MeanPlan) -> PairwiseMeans:
    """Return tests that have seen nothing.

    >>> plan = MeanPlan(low=0.0, high=10.0, center=5.0, sd=1.0)
    >>> len(pairwise_means(("a", "b", "c"), plan).tests)
    6

    Args:
        arms: their names.
        plan: frozen; `direction` says where the better mean lies, `tolerance` by how much it must
            lie there to matter.

    Raises:
        ValueError: fewer than two arms, or two of one name.
    """
    return PairwiseMeans(arms=arms, plan=plan, tests=(MeanShift(plan=plan),) * _pair_count(arms))


def _pair_count(arms: tuple[str, ...]) -> int:
    if len(arms) < 2 or len(set(arms)) < len(arms):
        raise ValueError(f"needs two arms or more, of different names, got {arms}")
    return len(arms) * (len(arms) - 1)


def _index(arms: tuple[str, ...], better: str, worse: str) -> int:
    pairs = list(itertools.permutations(arms, 2))
    if (better, worse) not in pairs:
        raise ValueError(f"no pair {better}, {worse} among {arms}")
    return pairs.index((better, worse))


def _merged(
    mine: tuple[tuple[str, ...], tuple[TestT, ...]], its: tuple[tuple[str, ...], tuple[TestT, ...]]
) -> tuple[TestT, ...]:
    if mine[0] != its[0]:
        raise StateError(f"pairwise: {mine[0]} and {its[0]} do not merge")
    return tuple(a.merge(b) for a, b in zip(mine[1], its[1], strict=True))

"""Every arm against every other: evidence that one is better, at the unit that was assigned."""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged
from driftline_stats.experiment.first_events import RiskSets
from driftline_stats.rates import RateRatio
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseRates(State):
    r"""A test of each ordered pair of arms: is the first one's rate better than the second's?

    *H0* of the pair (a, b), where higher is better: p_a <= r0 * p_b in every stratum. Where lower is
    better: p_b <= r0 * p_a. The evidence is that of `rates.RateRatio`: increments of strata in
    which both arms serve, conditional on how many of each arm are at risk in it. Hence it stays
    valid when shares are changed by what was seen, as a bandit does.

    *Assumes* units that count once: users from `first_events`, or requests where each is routed for
    itself. A test of requests that are routed by user calls A/A experiments different.

    *Optional stopping*: each pair reaches 1/alpha falsely with probability at most alpha, ever. Of
    all pairs together, `best_arm` takes care.

    Attributes:
        arms: their names; at least two.
        higher_is_better: direction of the metric.
        tests: one for each ordered pair, in the order of `itertools.permutations`.

    >>> pairs = pairwise_rates(("control", "treatment"), higher_is_better=False)
    >>> sets = RiskSets(
    ...     exposures=np.array([500, 500]),
    ...     cohorts=np.array([0]),
    ...     at_risk=np.array([[500, 500]]),
    ...     events=np.array([[30, 5]]),
    ...     rate=1.0,
    ... )
    >>> print(pairs.update(sets).verdict("treatment", "control", 0.05))
    rejected: evidence 1.66e+03 of 20 needed
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
            for (a, b), test in zip(self._pairs(), self.tests, strict=True)
        )
        return replace(self, tests=tests)

    def merge(self, other: Self) -> Self:
        """Return the tests after the strata of both, which are different ones.

        Raises:
            StateError: the other has other arms, or tests something else.
        """
        if (self.arms, self.higher_is_better) != (other.arms, other.higher_is_better):
            raise StateError(f"pairwise: {self.arms} and {other.arms} do not merge")
        pairs = zip(self.tests, other.tests, strict=True)
        return replace(self, tests=tuple(mine.merge(its) for mine, its in pairs))

    def log_evidence_of(self, better: str, worse: str) -> float:
        """Return the logarithm of the evidence that one arm is better than another.

        Raises:
            ValueError: there is no such pair.
        """
        names = itertools.permutations(self.arms, 2)
        for pair, test in zip(names, self.tests, strict=True):
            if pair == (better, worse):
                return test.log_evidence
        raise ValueError(f"no pair {better}, {worse} among {self.arms}")

    def verdict(self, better: str, worse: str, alpha: float) -> Verdict:
        """Say whether an arm is better than another, falsely with probability at most alpha.

        Raises:
            ValueError: there is no such pair, or alpha is not between 0 and 1.
        """
        return judged(self.log_evidence_of(better, worse), alpha)

    def _pairs(self) -> list[tuple[int, int]]:
        """Return for each test the arm whose rate may be higher, and the other one."""
        pairs = list(itertools.permutations(range(len(self.arms)), 2))
        return pairs if self.higher_is_better else [(b, a) for a, b in pairs]


def pairwise_rates(
    arms: tuple[str, ...], *, higher_is_better: bool, least_ratio: float = 1.0
) -> PairwiseRates:
    """Return tests that have seen nothing.

    Args:
        arms: their names.
        higher_is_better: direction of the metric.
        least_ratio: r0, by how much the higher rate must exceed the lower one to matter.

    Raises:
        ValueError: fewer than two arms, two of one name, or a ratio below 1.
    """
    if len(arms) < 2 or len(set(arms)) < len(arms):
        raise ValueError(f"needs two arms or more, of different names, got {arms}")
    if least_ratio < 1:
        raise ValueError(f"the least ratio must be at least 1, got {least_ratio}")
    tests = (RateRatio.above(least_ratio),) * (len(arms) * (len(arms) - 1))
    return PairwiseRates(arms=arms, higher_is_better=higher_is_better, tests=tests)

"""What a test of two rates can see at a given traffic: before it starts, and at any time after.

All figures are those of a typical run: when the *expected* log evidence of the best alternative
alone reaches the bar. The others help, so that more than half of the runs have reached it by then
(70 % in simulations, the median after 0.7 to 0.85 of the units). Nothing here decides anything.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from driftline_stats.rates import HIGHER, RateBatch

LARGEST = 1000.0
"""Ratios beyond this are not looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Units of both arms at one weight, and the canary's share of them."""

    units: float
    share: float

    @classmethod
    def of(cls, seen: RateBatch) -> Self:
        """Take all that was seen as of one weight; exact is one `Traffic` per weight epoch.

        >>> Traffic.of(RateBatch(stable_units=75, canary_units=25))
        Traffic(units=100, share=0.25)
        """
        units = seen.stable_units + seen.canary_units
        return cls(units=units, share=seen.share if units else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePlan:
    """A test as `rates.RateRatio.above(null_ratio, factors)`, judged at alpha.

    Of K `guardrails` with equal weights one that moves alone needs K times the evidence.

    Nine alternatives share what is needed, 20 at an alpha of 5 %:

    >>> len(HIGHER), [round(math.exp(RatePlan(alpha=0.05, guardrails=k).log_bar)) for k in (1, 3)]
    (9, [180, 540])
    """

    alpha: float
    null_ratio: float = 1.0
    factors: Sequence[float] = HIGHER
    guardrails: int = 1

    @property
    def log_bar(self) -> float:
        """Log evidence that is needed of the alternative nearest to the truth."""
        return math.log(self.guardrails * len(self.factors) / self.alpha)


def base_rate(seen: RateBatch) -> float:
    """Return stable's rate, never quite 0: half an event is added (Jeffreys' prior).

    >>> base_rate(RateBatch(stable_units=999))
    0.0005
    """
    return (seen.stable_events + 0.5) / (seen.stable_units + 1)


def growth(plan: RatePlan, ratio: float, share: float) -> float:
    """Return the expected log evidence per event of both arms, of the best alternative.

    It is the Kullback-Leibler divergence between the canary's shares of the events, under the
    ratio and under r0, where the ratio is one of the alternatives; less between two of them.

    >>> round(growth(RatePlan(alpha=0.05), ratio=2.0, share=0.5), 4)
    0.0566
    >>> p, q = 2 / 3, 1 / 2
    >>> round(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)), 4)
    0.0566
    """
    if not 0 < share < 1:
        return 0.0
    of_canary = share * ratio / (1 + share * (ratio - 1))
    under_null = 1 + share * (plan.null_ratio - 1)
    return max(
        of_canary * math.log(factor)
        - math.log((1 + share * (plan.null_ratio * factor - 1)) / under_null)
        for factor in plan.factors
    )


def events_needed(plan: RatePlan, ratio: float, share: float) -> float:
    """Return how many events of both arms are needed: (ln(1/alpha) + ln K) / growth.

    K counts the alternatives that share the evidence (times the guardrails). Infinite where the
    ratio is too close to r0 for any alternative.

    >>> round(events_needed(RatePlan(alpha=0.05), ratio=2.0, share=0.5))
    92
    """
    per_event = growth(plan, ratio, share)
    return plan.log_bar / per_event if per_event > 0 else math.inf


def units_needed(plan: RatePlan, ratio: float, stable_rate: float, share: float) -> float:
    """Return how many units of both arms are needed; infinite where nothing fails.

    >>> round(units_needed(RatePlan(alpha=0.05), ratio=4.0, stable_rate=0.005, share=0.2))
    2992
    """
    per_unit = stable_rate * (1 + share * (ratio - 1))
    return events_needed(plan, ratio, share) / per_unit if per_unit > 0 else math.inf


def smallest_ratio(plan: RatePlan, traffic: Iterable[Traffic], stable_rate: float) -> float | None:
    """Return the smallest ratio that a typical run would have shown at this traffic.

    The expected log evidence adds over the weight epochs. None where no ratio up to 1000 would
    show, or only one that makes the canary's rate exceed 1.

    >>> seen = [Traffic(units=12_000, share=0.05), Traffic(units=12_000, share=0.2)]
    >>> round(smallest_ratio(RatePlan(alpha=0.05), seen, stable_rate=0.005), 2)
    2.07
    """
    if stable_rate <= 0:
        return None
    epochs = list(traffic)
    low, high = plan.null_ratio, min(LARGEST, 1 / stable_rate)
    if not _shows(plan, high, epochs, stable_rate):
        return None
    while high - low > 1e-4 * low:
        middle = math.sqrt(low * high)
        if _shows(plan, middle, epochs, stable_rate):
            high = middle
        else:
            low = middle
    return high


def _shows(plan: RatePlan, ratio: float, epochs: Sequence[Traffic], stable_rate: float) -> bool:
    """Whether the expected log evidence of one alternative reaches the bar."""
    return any(
        sum(
            each.units
            * stable_rate
            * (1 + each.share * (ratio - 1))
            * growth(_only(plan, factor), ratio, each.share)
            for each in epochs
        )
        >= plan.log_bar
        for factor in plan.factors
    )


def _only(plan: RatePlan, factor: float) -> RatePlan:
    return RatePlan(alpha=plan.alpha, null_ratio=plan.null_ratio, factors=(factor,))

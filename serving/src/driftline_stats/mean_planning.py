"""What a test of means can see at a given traffic: before it starts, and at any time after.

A figure is that of a typical run: the difference at which the *expected* evidence reaches the bar,
which about half of the runs with that difference have reached by then. Nothing here decides.
"""

import math
from collections.abc import Iterable

from driftline_stats.evidence import log_mean
from driftline_stats.mean_bounds import LEAST_UNITS, reach
from driftline_stats.means import TILTS, MeanShift
from driftline_stats.planning import Traffic

#: Differences beyond so many sd are not looked for.
LARGEST = 10.0


def smallest_difference(
    alpha: float, traffic: Iterable[Traffic], *, tuned_at: float = 1000.0
) -> float | None:
    """Return the smallest difference that a typical run would show, in sd of stable.

    With W the sum of n_c n_s / (n_c + n_s) over batches, which is the canary's units times stable's
    share, and N_c the canary's units, a difference d of outcomes of unit variance adds to
    ln e(lambda) about lambda d W - N_c lambda^2 / 2, and puts the sum of `MeanBounds` at d W with
    variance W. Both pieces of evidence must reach their bar. A tolerance adds to the second alone;
    it is left out here.

    >>> round(smallest_difference(0.05, [Traffic(units=12_000, share=0.05)]), 3)
    0.13
    >>> smallest_difference(0.05, [Traffic(units=12_000, share=0.0)]) is None
    True

    Args:
        alpha: the level of the verdict.
        traffic: units of both arms and the canary's share, one for each weight epoch.
        tuned_at: as of the bounds.

    Returns:
        None where no difference up to 10 sd would show.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    epochs = list(traffic)
    canary = sum(each.units * each.share for each in epochs)
    weight = sum(each.units * each.share * (1 - each.share) for each in epochs)
    stable = sum(each.units for each in epochs) - canary
    if min(stable, canary) < LEAST_UNITS:
        return None
    return _smallest(alpha, canary, weight, reach(alpha, weight, tuned_at) / weight)


def smallest_difference_so_far(test: MeanShift, alpha: float) -> float | None:
    """Return the smallest difference that would typically have shown by now, in the metric's unit.

    As `smallest_difference`, with the traffic and the variance that the test has seen.

    >>> from driftline_stats.means import MeanBatch, MeanPlan
    >>> test = MeanShift(plan=MeanPlan(low=0.0, high=2.0, center=1.0, sd=1.0))
    >>> smallest_difference_so_far(test, 0.05) is None
    True
    >>> batch = MeanBatch.of([0, 2] * 5700, [0, 2] * 300, test.plan)
    >>> round(smallest_difference_so_far(test.update(batch), 0.05), 3)
    0.13

    Returns:
        None where no difference up to 10 sd would have.

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    bounds = test.bounds
    half = reach(alpha, bounds.variance if bounds.speaks else 0.0, bounds.tuned_at)
    if not bounds.speaks or not test.plan.sd:
        return None
    units, weight = float(bounds.units_canary), bounds.weight
    found = _smallest(alpha, units, weight, half / weight + test.plan.tolerance / test.plan.sd)
    return None if found is None else found * test.plan.sd


def _smallest(alpha: float, canary: float, weight: float, by_bounds: float) -> float | None:
    """Return the smallest difference, in sd, that tilting would show, and the bounds as well."""
    low, high = by_bounds, LARGEST
    if not _shows(alpha, high, canary, weight):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        if _shows(alpha, middle, canary, weight):
            high = middle
        else:
            low = middle
    return high


def _shows(alpha: float, difference: float, canary: float, weight: float) -> bool:
    """Whether the expected log evidence of the tilts reaches the bar."""
    logs = [tilt * difference * weight - canary * tilt**2 / 2 for tilt in TILTS]
    return log_mean(logs) >= -math.log(alpha)

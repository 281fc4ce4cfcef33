"""How others compare a canary with stable, as far as that can be told in a few lines.

Each takes slots of shape (looks, 4) and returns at which looks it holds an alarm. They have the
idea and the customary settings of what they are named after, not its code.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from driftline_stats.rates import Counts
from e2e.simulate.traffic import LOOK

Alarms = npt.NDArray[np.bool_]
ALPHA: Final = 0.05
FEWEST_FAILURES: Final = 5
CHECK_SECONDS: Final = 60.0
SUCCESS: Final = 0.99
FAILED_CHECKS: Final = 5
JUDGEMENT_SECONDS: Final = 300.0
CONFIDENCE: Final = 0.98
TOLERANCE: Final = 0.25


def repeated_z_test(slots: Counts) -> Alarms:
    """Test two pooled proportions, one-sided at 5 %, at every look, on everything so far.

    As textbooks ask for, each arm must have five failures first.
    """
    stable, stable_failed, canary, canary_failed = np.cumsum(slots, axis=0).T.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (stable_failed + canary_failed) / (stable + canary)
        spread = np.sqrt(pooled * (1 - pooled) * (1 / stable + 1 / canary))
        z = (canary_failed / canary - stable_failed / stable) / spread
    enough = np.minimum(stable_failed, canary_failed) >= FEWEST_FAILURES
    alarms: Alarms = enough & (z > ndtri(1 - ALPHA))
    return alarms


def flagger_like(slots: Counts) -> Alarms:
    """Check each minute whether 99 % of the canary's requests succeed; five failed checks end it.

    Stable is not looked at.
    """
    checks = _summed(slots, CHECK_SECONDS).astype(float)
    failed = checks[:, 3] > (1 - SUCCESS) * checks[:, 2]
    return _spread(np.cumsum(failed) >= FAILED_CHECKS, len(slots), CHECK_SECONDS)


def kayenta_like(slots: Counts) -> Alarms:
    """Compare the error rates of the last five minutes, one for each, by Mann-Whitney.

    The canary is worse where the lower confidence bound of the shift (Hodges & Lehmann) is above
    a quarter of its estimate, at 98 %.
    """
    minutes = _summed(slots, CHECK_SECONDS).astype(float)
    rates = minutes[:, [1, 3]] / np.maximum(minutes[:, [0, 2]], 1.0)
    each = round(JUDGEMENT_SECONDS / CHECK_SECONDS)
    ends = range(each, len(rates) + 1, each)
    worse = [_is_shifted(rates[end - each : end]) for end in ends]
    return _spread(np.array(worse), len(slots), JUDGEMENT_SECONDS)


def _is_shifted(rates: npt.NDArray[np.float64]) -> bool:
    stable, canary = rates.T
    shifts = np.sort((canary[:, None] - stable[None, :]).ravel())
    n = len(rates)
    spread = math.sqrt(n * n * (2 * n + 1) / 12)
    beyond = n * n / 2 - float(ndtri((1 + CONFIDENCE) / 2)) * spread
    estimate = float(np.median(shifts))
    return bool(shifts[max(math.floor(beyond), 0)] > TOLERANCE * max(estimate, 0.0))


def _summed(slots: Counts, seconds: float) -> Counts:
    """Return the counts of whole checks."""
    each = round(seconds / LOOK)
    whole = len(slots) // each
    summed: Counts = slots[: whole * each].reshape(whole, each, 4).sum(axis=1)
    return summed


def _spread(alarms: Alarms, looks: int, seconds: float) -> Alarms:
    """Let an alarm be seen at the look at which its check ends, and stay."""
    each = round(seconds / LOOK)
    held = np.zeros(looks, bool)
    if alarms.any():
        held[(alarms.argmax() + 1) * each - 1 :] = True
    return held

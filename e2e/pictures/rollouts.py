"""Simulated rollouts, for pictures: 200 requests a second, a look every five seconds."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Slots = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LOOKS: Final = 240
SECONDS: Final = 5
MINUTES: Final = (np.arange(LOOKS) + 1) * SECONDS / 60
_REQUESTS: Final = 200 * SECONDS
_SHARES: Final = np.repeat([0.05, 0.2, 0.5], LOOKS // 3)
BASE: Final = 0.005
ENOUGH: Final = 1000


def rollouts(
    random: np.random.Generator, runs: int, ratio: float = 1.0, base: Floats | float = BASE
) -> Slots:
    """Return slots (runs, looks, 4) as `RateRatio` takes them; the ramp is 5, 20, 50 %.

    Args:
        random: where chance comes from.
        runs: how many rollouts.
        ratio: how many times as often the canary fails.
        base: probability that stable fails, one for all looks or one for each.
    """
    shape = (runs, LOOKS)
    canary = random.binomial(_REQUESTS, _SHARES, shape)
    stable = _REQUESTS - canary
    events = random.binomial(stable, base, shape), random.binomial(canary, ratio * base, shape)
    return np.stack([stable, events[0], canary, events[1]], axis=-1)


def p_values(slots: Slots) -> Floats:
    """Return the one-sided p-value of all counts so far, at each look: the repeated z-test.

    It is 1 until the canary has served a thousand requests, so that it is not blamed for what
    a normal approximation does to a handful of events.
    """
    stable, stable_events, canary, events = np.cumsum(slots, axis=-2).transpose(2, 0, 1)
    pooled = (stable_events + events) / (stable + canary)
    variance = pooled * (1 - pooled) * (1 / stable + 1 / np.maximum(canary, 1))
    difference = events / np.maximum(canary, 1) - stable_events / stable
    z = np.divide(difference, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
    return np.where(canary < ENOUGH, 1.0, norm.sf(z))


def ever(alarms: npt.NDArray[np.bool_]) -> Floats:
    """Return the share of runs that have alarmed at any look so far."""
    return np.asarray(np.maximum.accumulate(alarms, axis=-1).mean(axis=0), float)

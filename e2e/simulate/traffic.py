"""Traffic of a rollout, look by look: what the simulations of two arms share."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.rates import Counts

Rates = npt.NDArray[np.float64]
"""An error rate, or a share of the traffic, for each look."""

LOOK: Final = 5.0
"""Seconds between two looks, which is also the length of a slot."""

LOOKS: Final = 240
"""Twenty minutes of them."""

RAMP: Final = ((150, 0.05), (450, 0.20), (600, 0.50))
"""Seconds at a share of the traffic.

The stated figures name the shares and not how long each lasts. These lengths were chosen so that
the delays of the error rate come close to the stated ones; the report says so.
"""


def ramp(steps: Sequence[tuple[int, float]] = RAMP) -> Rates:
    """Return the canary's share at each look.

    >>> ramp(((10, 0.05), (5, 0.5))).tolist()
    [0.05, 0.05, 0.5]
    """
    return np.concatenate([np.full(round(seconds / LOOK), share) for seconds, share in steps])


def steady(rate: float, looks: int = LOOKS) -> Rates:
    """Return a rate that does not change."""
    return np.full(looks, rate)


def with_incident(rng: np.random.Generator, base: Rates, rate: float, seconds: float) -> Rates:
    """Let something upstream of both arms fail once, at any time."""
    length = round(seconds / LOOK)
    start = rng.integers(0, len(base) - length)
    failing = base.copy()
    failing[start : start + length] = rate
    return failing


def drifting(rng: np.random.Generator, base: float, looks: int = LOOKS) -> Rates:
    """Return a rate that wanders over two orders of magnitude: a random walk of its logarithm."""
    walk = np.cumsum(rng.normal(0.0, 0.15, looks))
    return np.clip(base * np.exp(walk), base / 10, min(base * 10, 0.5))


def slots(
    rng: np.random.Generator, shares: Rates, base: Rates, *, ratio: float = 1.0, rps: float = 200.0
) -> Counts:
    """Return the slots of one rollout, of shape (looks, 4).

    Each request goes to the canary with the share's probability, and fails with its arm's rate.
    """
    units = rng.poisson(rps * LOOK, len(shares))
    canary = rng.binomial(units, shares)
    stable = units - canary
    failed = rng.binomial(stable, base)
    canary_failed = rng.binomial(canary, np.minimum(base * ratio, 1.0))
    return np.stack([stable, failed, canary, canary_failed], axis=-1)


def first_look(reached: npt.NDArray[np.bool_]) -> float | None:
    """Return the seconds after which something was first reached, or that it never was.

    >>> first_look(np.array([False, True, True])), first_look(np.array([False]))
    (10.0, None)
    """
    return float(reached.argmax() + 1) * LOOK if reached.any() else None

"""An interval for the ratio of two rates that holds at every look, to be shown beside a verdict.

It is the set of ratios r0 that the tests of `rates` in both directions do not reject. Because
log L(r; r0) = G(r) - G(r0) with G(r) = x ln r - M ln(1 + rho (r-1)) summed over slots, one array of
G on a fixed geometric grid serves every r0 and both directions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import StateError
from driftline_stats.rates import Counts, RateBatch, checked_slots
from driftline_stats.state import State

STEP = 1.05
"""The grid's step: the interval's ends are rounded outwards to a power of it."""
_REACH = (1, 2, 5, 8, 14, 22, 33, 47, 61)  # steps to the alternatives: 1.05 ... 19.6
_NULLS = 80  # steps from 1 to the outermost ratio that can be an end: 49.6
_POINTS = np.arange(-_NULLS - _REACH[-1], _NULLS + _REACH[-1] + 1)
_GRID = STEP ** _POINTS.astype(float)
_NULL_AT = np.arange(_REACH[-1], _POINTS.size - _REACH[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A ratio lies between these, both of which may be open: 0 and infinity.

    >>> str(Interval(low=0.5, high=math.inf, confidence=0.95))
    '0.5x or more (95 %)'
    """

    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        level = f"({100 * self.confidence:g} %)"
        if self.low == 0 and self.high == math.inf:
            return f"anything {level}"
        if self.high == math.inf:
            return f"{self.low:.3g}x or more {level}"
        if self.low == 0:
            return f"{self.high:.3g}x or less {level}"
        return f"{self.low:.3g}x to {self.high:.3g}x {level}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatioInterval(State):
    """A confidence sequence for the ratio p_canary / p_stable.

    For each r0 of a geometric grid, the evidence that the ratio is above (below) r0 is the mean
    over alternatives r above (below) it of `exp(G(r) - G(r0))`. The interval at alpha leaves out
    the grid points that are rejected at alpha/2 from the outside in.

    Covers the ratio, if it is one ratio in all slots, at all looks at once, with a probability of
    at least 1 - alpha: for a truth between two grid points, the interval misses it only where the
    next point outwards is rejected, and that point's null holds. If the ratio varies between slots,
    then, as surely, the lower end is below the largest of them and the upper end above the
    smallest. Ends beyond 1/50 and 50 are shown open.

    Assumes what `rates.RateRatio` assumes: units that are independent given their slot. Shown,
    never decided by: the tests that decide have all of alpha on one side.

    Source: duality of tests and confidence sequences; Howard, Ramdas, McAuliffe & Sekhon,
    "Time-uniform, nonparametric, nonasymptotic confidence sequences" (Annals of Statistics 2021).

    Attributes:
        gains: G(r) on the grid, which is the same for all of this version.

    >>> slot = RateBatch(stable_units=9000, stable_events=45, canary_units=1000, canary_events=20)
    >>> str(RatioInterval().update(slot).at(0.05))
    '1.55x to 9.43x (95 %)'
    """

    KIND: ClassVar[str] = "ratio-interval"

    gains: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(_GRID.size))

    def __post_init__(self) -> None:
        if self.gains.shape != _GRID.shape or not np.isfinite(self.gains).all():
            raise StateError(f"expected {_GRID.size} finite gains, got {self.gains.shape}")

    def update(self, batch: RateBatch) -> Self:
        """Return the interval after one more concurrent slot, of any size, even empty."""
        stable, canary, x = batch.stable_units, batch.canary_units, batch.canary_events
        events = x + batch.stable_events
        if not (stable and canary and events):
            return self
        relative = (stable + canary * _GRID) / (stable + canary)
        return type(self)(gains=self.gains + (x * np.log(_GRID) - events * np.log(relative)))

    def update_many(self, slots: Counts) -> Self:
        """Return the interval after slots given as an array of shape (slots, 4).

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        return type(self)(gains=self.gains + _gains(checked_slots(slots)).sum(axis=0))

    def path(self, slots: Counts, alpha: float) -> npt.NDArray[np.float64]:
        """Return both ends after each of further slots: (slots, 4) to (slots, 2).

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        gains = self.gains + np.cumsum(_gains(checked_slots(slots)), axis=0)
        return np.stack(_ends(gains, alpha), axis=-1)

    def merge(self, other: Self) -> Self:
        """Return the interval after the slots of both, which are different ones."""
        return type(self)(gains=self.gains + other.gains)

    def at(self, alpha: float) -> Interval:
        """Return the interval that covers the ratio at all looks, but for a probability alpha.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
        low, high = (float(end[0]) for end in _ends(self.gains[None], alpha))
        return Interval(low=low, high=high, confidence=1 - alpha)


def _gains(slots: Counts) -> npt.NDArray[np.float64]:
    stable, stable_events, canary, x = (slots[..., at, None].astype(float) for at in range(4))
    both = (stable > 0) & (canary > 0)
    relative = np.where(both, (stable + canary * _GRID) / np.maximum(stable + canary, 1), 1.0)
    return np.where(both, x * np.log(_GRID) - (x + stable_events) * np.log(relative), 0.0)


def _ends(
    gains: npt.NDArray[np.float64], alpha: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the outermost ratios that are not rejected, rounded outwards."""
    low_kept = _evidence(gains, _REACH) < math.log(2 / alpha)
    high_kept = _evidence(gains, [-each for each in _REACH]) < math.log(2 / alpha)
    nulls = _GRID[_NULL_AT]
    below = np.concatenate([[0.0], nulls, [nulls[-1]]])  # what is one step below each null
    above = np.concatenate([[math.inf], nulls[::-1], [nulls[0]]])
    low = below[_first(low_kept)]
    high = above[_first(high_kept[:, ::-1])]
    return low, high


def _evidence(gains: npt.NDArray[np.float64], reach: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the log evidence against each null ratio: (looks, grid) to (looks, nulls)."""
    logs = [gains[:, _NULL_AT + step] - gains[:, _NULL_AT] for step in reach]
    mean: npt.NDArray[np.float64] = np.logaddexp.reduce(logs, axis=0) - math.log(len(reach))
    return mean


def _first(kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return where the first is that is kept; one past the last if none is."""
    first: npt.NDArray[np.intp] = np.where(kept.any(axis=1), kept.argmax(axis=1), kept.shape[1])
    return first

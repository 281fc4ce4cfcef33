"""The canary's rate alone: is it above, or below, a fixed limit?

Above p0 it is the absolute guard, which only ever pauses: a shared incident breaches it too. Below
p1 it is the floor of a certificate (`certificates`).
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.rates import Counts, RateBatch, checked_slots, log_mean_along
from driftline_stats.state import State

HIGHER_LEVELS = (1.1, 1.25, 1.5, 2.0, 4.0, 10.0)
"""Alternatives to a rate that might be exceeded, as multiples of it."""
LOWER_LEVELS = (0.0, 0.1, 0.25, 0.5)
"""Alternatives to a rate that might not be reached, as multiples of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLevel(State):
    """A test of the canary's event rate p against a fixed level p0.

    Null hypothesis: p <= p0 (`above`) or p >= p0 (`below`) for every unit, given the past. For
    each alternative q, with x events of N units,

    `log L(q) += x ln(q/p0) + (N-x) ln((1-q)/(1-p0))`

    and the evidence is the mean of the L(q). Its expectation is at most 1 for units that depend on
    earlier ones in any way; for independent units it is enough that the mean of p over each slot
    keeps to the null (inequality of the means).

    Under optional stopping: reaches 1/alpha with probability at most alpha, ever. The oldest
    test martingale there is: Ville, "Étude critique de la notion de collectif" (1939); Wald,
    "Sequential analysis" (1947).

    Says nothing about what is to blame: the rate may be above p0 because everything is down.

    Attributes:
        null_level: p0, between 0 and 1.
        levels: the alternatives q, all above or all below p0.
        logs: log L of each; that of q = 0 is minus infinity after the first event.
        units: N, events: x so far, to be shown.

    >>> guard = RateLevel.above(0.05)
    >>> guard = guard.update(RateBatch(canary_units=100, canary_events=16))
    >>> str(guard.verdict(0.05))
    'rejected: evidence 516 of 20 needed'
    """

    KIND: ClassVar[str] = "rate-level"

    null_level: float
    levels: tuple[float, ...]
    logs: tuple[float, ...]
    units: int = 0
    events: int = 0

    @classmethod
    def above(cls, null_level: float, factors: Sequence[float] = HIGHER_LEVELS) -> Self:
        """Start to look for p > p0; the alternatives are those of p0 * factors that are below 1.

        Where none is, the alternative is half way from p0 to 1.

        Raises:
            StateError: the level is not between 0 and 1, or a factor is not above 1.
        """
        if min(factors, default=2) <= 1:
            raise StateError(f"factors must be above 1, got {factors}")
        levels = tuple(q for q in (null_level * each for each in factors) if q < 1)
        return cls._start(null_level, levels or ((null_level + 1) / 2,))

    @classmethod
    def below(cls, null_level: float, factors: Sequence[float] = LOWER_LEVELS) -> Self:
        """Start to look for p < p0; factors are alternatives over p0, below 1.

        Raises:
            StateError: the level is not between 0 and 1, or a factor is not below 1.
        """
        if max(factors, default=0) >= 1:
            raise StateError(f"factors must be below 1, got {factors}")
        return cls._start(null_level, tuple(null_level * each for each in factors))

    @classmethod
    def _start(cls, null_level: float, levels: tuple[float, ...]) -> Self:
        return cls(null_level=null_level, levels=levels, logs=(0.0,) * len(levels))

    def __post_init__(self) -> None:
        if not self.levels or len(self.logs) != len(self.levels):
            raise StateError(f"{len(self.levels)} alternatives, {len(self.logs)} logarithms")
        low, high, level = min(self.levels), max(self.levels), self.null_level
        if not (0 <= low <= high < level < 1 or 0 < level < low <= high < 1):
            raise StateError(
                f"alternatives must all be above {level}, or all below, and between 0 and 1, "
                f"got {low} to {high}"
            )
        if not (sum(self.logs) < math.inf and 0 <= self.events <= self.units):
            raise StateError(f"{self.events} events of {self.units} units, logs {self.logs}")

    def update(self, batch: RateBatch) -> Self:
        """Return the test after one more slot, of whose counts only the canary's matter."""
        x, rest = batch.canary_events, batch.canary_units - batch.canary_events
        logs = tuple(
            log + (x * event if x else 0.0) + rest * no_event
            for log, (event, no_event) in zip(
                self.logs, _log_factors(self.null_level, self.levels), strict=True
            )
        )
        return self._with(logs, batch.canary_units, x)

    def update_many(self, slots: Counts) -> Self:
        """Return the test after slots given as an array of shape (slots, 4).

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        units, events = checked_slots(slots)[..., 2:].sum(axis=0).tolist()
        return self.update(RateBatch(canary_units=units, canary_events=events))

    def path(self, slots: Counts) -> npt.NDArray[np.float64]:
        """Return the log evidence after each of further slots: (..., slots, 4) to (..., slots).

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        counts = np.cumsum(checked_slots(slots)[..., 2:], axis=-2)[..., None].astype(float)
        units, x = counts[..., 0, :], counts[..., 1, :]
        event, no_event = np.array(_log_factors(self.null_level, self.levels)).T
        with np.errstate(invalid="ignore"):  # 0 events x log 0
            of_events = np.where(x > 0, x * event, 0.0)
        return log_mean_along(np.array(self.logs) + of_events + (units - x) * no_event)

    def merge(self, other: Self) -> Self:
        """Return the test after the slots of both, which are different ones.

        Raises:
            StateError: the other tests another level, or has other alternatives.
        """
        if (self.null_level, self.levels) != (other.null_level, other.levels):
            raise StateError(
                f"level {self.null_level} against {self.levels} is not "
                f"level {other.null_level} against {other.levels}"
            )
        logs = tuple(map(operator.add, self.logs, other.logs))
        return self._with(logs, other.units, other.events)

    def _with(self, logs: tuple[float, ...], units: int, events: int) -> Self:
        return type(self)(
            null_level=self.null_level,
            levels=self.levels,
            logs=logs,
            units=self.units + units,
            events=self.events + events,
        )

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the mean over the alternatives."""
        return log_mean(self.logs)

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the null is rejected, with a false alarm probability of at most alpha.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        return judged(self.log_evidence, alpha)


@lru_cache(maxsize=256)
def _log_factors(null_level: float, levels: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Return, for each alternative, what an event and its absence add."""
    return tuple(
        (
            math.log(q / null_level) if q else -math.inf,
            math.log1p(-q) - math.log1p(-null_level),
        )
        for q in levels
    )

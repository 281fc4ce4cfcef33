"""Rates of two arms that serve at the same time: is the ratio above, or below, a limit?

Log increments add, counts do not: what replicas saw of one concurrent slot is added before
`update`, and slots are never added to each other, since the share of traffic differs between them.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.state import State

HIGHER = (1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""Alternatives to a ratio that might be exceeded, as multiples of it."""
LOWER = (0.25, 0.5, 0.7, 0.8, 0.9)
"""Alternatives to a ratio that might not be reached, as multiples of it."""

Counts = npt.NDArray[np.int64]
"""Slots as an array: the last axis holds the four counts in the order of `RateBatch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateBatch(State):
    """Units and events of both arms in one concurrent slot: one weight epoch, one time slot.

    A unit is what is assigned to an arm: a call where routing is per request, a user where it is
    sticky. A unit counts once. What replicas saw of the same slot adds up:

    >>> one = RateBatch(stable_units=90, stable_events=1, canary_units=10, canary_events=2)
    >>> (one + one).canary_events, one.share
    (4, 0.1)

    Raises:
        BatchError: a count is negative or no integer, or there are more events than units.
    """

    KIND: ClassVar[str] = "rate-batch"

    stable_units: int = 0
    stable_events: int = 0
    canary_units: int = 0
    canary_events: int = 0

    def __post_init__(self) -> None:
        for name in ("stable_units", "stable_events", "canary_units", "canary_events"):
            count = getattr(self, name)
            if type(count) is not int:
                object.__setattr__(self, name, _integer(name, count))
        if not 0 <= self.stable_events <= self.stable_units:
            raise BatchError(f"stable: {self.stable_events} events of {self.stable_units} units")
        if not 0 <= self.canary_events <= self.canary_units:
            raise BatchError(f"canary: {self.canary_events} events of {self.canary_units} units")

    def __add__(self, other: Self) -> Self:
        return type(self)(
            stable_units=self.stable_units + other.stable_units,
            stable_events=self.stable_events + other.stable_events,
            canary_units=self.canary_units + other.canary_units,
            canary_events=self.canary_events + other.canary_events,
        )

    @property
    def share(self) -> float:
        """The canary's realised share of the units; nan where there are none."""
        units = self.stable_units + self.canary_units
        return self.canary_units / units if units else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRatio(State):
    r"""A test of the ratio r = p_canary / p_stable of two event rates.

    Null hypothesis: in every slot p_canary <= r0 * p_stable (`above`), or >= (`below`).
    For each alternative r, with x the canary's events, M those of both arms, and rho the canary's
    realised share of the slot's units,

    `log L(r) += x ln(r/r0) - M ln[(1 + rho (r-1)) / (1 + rho (r0-1))]`

    and the evidence is the mean of the L(r). It is a likelihood ratio of x given M for Poisson
    counts; for independent Bernoulli units its expectation is at most 1 too (by 1 + y <= exp(y)),
    where p is an arm's mean over the slot, so that units may differ and rates may drift.

    Assumes that units are independent given their slot and that a slot does not end because of its
    events. For r0 = 1 and an assignment at random, the assignment alone suffices: where the arm
    changes no outcome, x given M is hypergeometric, whose moment generating function is at most
    the binomial's (Hoeffding 1963), however the outcomes depend on each other.

    Wrong where calls are counted and users assigned (one user's calls are not independent), where
    slots of different shares are added, and where the arms' counts are of different times.

    Under optional stopping: reaches 1/alpha with probability at most alpha, ever. Weights may
    depend on the past. Relatives: Lindon & Malek, "Anytime-valid inference for multinomial count
    data" (NeurIPS 2022); ter Schure, Pérez-Ortiz, Ly & Grünwald, "The safe logrank test" (2024).

    Attributes:
        null_ratio: r0.
        ratios: the alternatives r, all above or all below r0.
        logs: log L of each.
        seen: all counts so far, to be shown; the evidence does not use them.

    >>> test = RateRatio.above(1.0)
    >>> slot = RateBatch(stable_units=900, stable_events=9, canary_units=100, canary_events=9)
    >>> str(test.update(slot).verdict(0.05))
    'rejected: evidence 1.94e+03 of 20 needed'
    """

    KIND: ClassVar[str] = "rate-ratio"

    null_ratio: float
    ratios: tuple[float, ...]
    logs: tuple[float, ...]
    seen: RateBatch

    @classmethod
    def above(cls, null_ratio: float = 1.0, factors: Sequence[float] = HIGHER) -> Self:
        """Start to look for p_canary > r0 * p_stable; factors are alternatives over r0, above 1.

        Raises:
            StateError: the ratio is not positive, or a factor is not above 1.
        """
        if min(factors, default=2) <= 1:
            raise StateError(f"factors must be above 1, got {factors}")
        return cls._start(null_ratio, factors)

    @classmethod
    def below(cls, null_ratio: float, factors: Sequence[float] = LOWER) -> Self:
        """Start to look for p_canary < r0 * p_stable; factors are alternatives over r0, below 1.

        Raises:
            StateError: the ratio is not positive, or a factor is not below 1.
        """
        if max(factors, default=0) >= 1:
            raise StateError(f"factors must be below 1, got {factors}")
        return cls._start(null_ratio, factors)

    @classmethod
    def _start(cls, null_ratio: float, factors: Sequence[float]) -> Self:
        ratios = tuple(null_ratio * each for each in factors)
        logs = (0.0,) * len(ratios)
        return cls(null_ratio=null_ratio, ratios=ratios, logs=logs, seen=RateBatch())

    def __post_init__(self) -> None:
        if not self.ratios or len(self.logs) != len(self.ratios):
            raise StateError(f"{len(self.ratios)} alternatives, {len(self.logs)} logarithms")
        low, high = min(self.ratios), max(self.ratios)
        if not (0 < low <= high < self.null_ratio or self.null_ratio < low <= high < math.inf):
            raise StateError(
                f"alternatives must all be above {self.null_ratio}, or all between 0 and it, "
                f"got {low} to {high}"
            )
        if not (self.null_ratio > 0 and sum(self.logs) < math.inf):
            raise StateError(f"ratio {self.null_ratio} or logarithms {self.logs} out of range")

    def update(self, batch: RateBatch) -> Self:
        """Return the test after one more concurrent slot, of any size, even empty."""
        stable, canary = batch.stable_units, batch.canary_units
        x, events = batch.canary_events, batch.canary_events + batch.stable_events
        logs = self.logs
        if stable and canary and events:
            under_null = stable + canary * self.null_ratio
            logs = tuple(
                log + x * log_factor - events * math.log((stable + canary * r) / under_null)
                for log, r, log_factor in zip(
                    logs, self.ratios, _log_factors(self.null_ratio, self.ratios), strict=True
                )
            )
        return type(self)(
            null_ratio=self.null_ratio, ratios=self.ratios, logs=logs, seen=self.seen + batch
        )

    def update_many(self, slots: Counts) -> Self:
        """Return the test after slots given as an array of shape (slots, 4).

        >>> slots = np.array([[900, 9, 100, 9], [800, 1, 200, 3]])
        >>> RateRatio.above(1.0).update_many(slots).seen.canary_events
        12

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        slots = checked_slots(slots)
        increments = log_increments(slots, self.null_ratio, self.ratios).sum(axis=0)
        names = ("stable_units", "stable_events", "canary_units", "canary_events")
        added = RateBatch(**dict(zip(names, slots.sum(axis=0).tolist(), strict=True)))
        return type(self)(
            null_ratio=self.null_ratio,
            ratios=self.ratios,
            logs=tuple((np.array(self.logs) + increments).tolist()),
            seen=self.seen + added,
        )

    def path(self, slots: Counts) -> npt.NDArray[np.float64]:
        """Return the log evidence after each of further slots: (..., slots, 4) to (..., slots).

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        slots = checked_slots(slots)
        logs = np.cumsum(log_increments(slots, self.null_ratio, self.ratios), axis=-2)
        return log_mean_along(logs + np.array(self.logs))

    def merge(self, other: Self) -> Self:
        """Return the test after the slots of both, which are different ones.

        Raises:
            StateError: the other tests another ratio, or has other alternatives.
        """
        if (self.null_ratio, self.ratios) != (other.null_ratio, other.ratios):
            raise StateError(
                f"ratio {self.null_ratio} against {self.ratios} is not "
                f"ratio {other.null_ratio} against {other.ratios}"
            )
        return type(self)(
            null_ratio=self.null_ratio,
            ratios=self.ratios,
            logs=tuple(map(operator.add, self.logs, other.logs)),
            seen=self.seen + other.seen,
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


def log_increments(
    slots: Counts, null_ratio: float, ratios: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Return what each slot adds to each log L(r) of `RateRatio`: (..., 4) to (..., ratios).

    >>> log_increments(np.array([[50, 1, 50, 1]]), 1.0, [3.0]).round(4).tolist()
    [[-0.2877]]
    """
    stable, stable_events, canary, x = (slots[..., at, None].astype(float) for at in range(4))
    r = np.asarray(ratios, float)
    both = (stable > 0) & (canary > 0)
    relative = np.where(both, stable + canary * r, 1.0)
    under_null = np.where(both, stable + canary * null_ratio, 1.0)
    added = x * np.log(r / null_ratio) - (x + stable_events) * np.log(relative / under_null)
    return np.where(both, added, 0.0)


def checked_slots(slots: Counts) -> Counts:
    """Return slots that make sense.

    >>> checked_slots(np.array([[5, 6, 1, 0], [5, 5, 1, 0]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    driftline_stats.errors.BatchError: 1 arms of slots with negative events ...

    Raises:
        BatchError: a count is negative or no integer, or there are more events than units.
    """
    if slots.shape[-1:] != (4,) or not np.issubdtype(slots.dtype, np.integer):
        raise BatchError(f"expected integers (..., 4), got {slots.dtype} {slots.shape}")
    units, events = slots[..., 0::2], slots[..., 1::2]
    if wrong := int(np.count_nonzero((events < 0) | (events > units))):
        raise BatchError(f"{wrong} arms of slots with negative events or more events than units")
    return slots


def log_mean_along(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return `evidence.log_mean` along the last axis.

    >>> np.exp(log_mean_along(np.log([[1.0, 3.0]]))).round(12).tolist()
    [2.0]
    """
    total: npt.NDArray[np.float64] = np.logaddexp.reduce(logs, axis=-1)
    return total - math.log(logs.shape[-1])


@lru_cache(maxsize=256)
def _log_factors(null_ratio: float, ratios: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(math.log(r / null_ratio) for r in ratios)


def _integer(name: str, count: object) -> int:
    try:
        return int(operator.index(count))  # type: ignore[arg-type]  # refused by the next line
    except TypeError as error:
        raise BatchError(f"{name} must be an integer, got {count!r}") from error

"""Who has been seen in which arm: every unit (a user, say) once, in bounded memory.

Where routing is sticky the requests of one unit are not independent: a few heavy users decide what
a test of requests sees. So a unit counts once, and this is the table that remembers it.

A unit is a 64-bit hash. All are kept up to a capacity, and then those alone whose hash, mixed once
more, begins with `level` zero bits: a sample of 1 in 2**level, the same for all arms and replicas.
Mixing matters: routing, too, takes the arm from the hash, and a sample by the same bits would be of
one arm only.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.histogram import as_floats
from driftline_stats.state import State

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UnitsT = TypeVar("UnitsT", bound="Units")
ScalarT = TypeVar("ScalarT", bound=np.generic)

CAPACITY = 200_000
"""Units an arm up to which all are kept."""
OPEN, DONE, MOVED = 0, 1, 2
"""What a unit is to a metric: yet to contribute, has contributed, is excluded."""
LARGEST = 1e150
"""Values beyond are taken as this: finite, and so are sums of them and their squares."""
_COLUMNS = ("units", "arms", "firsts", "cohorts", "statuses", "totals", "counts")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sightings:
    """What units did in one slot: one row a request, or one row a unit, in any order.

    Attributes:
        slot: the number of the slot; slots follow one another.
        epoch: the number of the weight change; shares are the same within one.
        units: (n,) hashes.
        arms: (n,) the arm that served, from 0.
        values: (n,) what the metric was; nan where there was none, and the unit was only seen.

    >>> one = sightings(7, units=[1, 2], arms=[0, 1], values=[0.0, 1.0])
    >>> (one + one).units.tolist()
    [1, 2, 1, 2]

    Raises:
        BatchError: the arrays differ in length, or the slots of two that are added.
    """

    slot: int
    epoch: int
    units: Hashes
    arms: Integers
    values: Floats

    def __post_init__(self) -> None:
        lengths = {len(self.units), len(self.arms), len(self.values)}
        if len(lengths) > 1:
            raise BatchError(f"units, arms and values differ in length: {sorted(lengths)}")

    def __add__(self, other: Self) -> Self:
        mine, its = (self.epoch, self.slot), (other.epoch, other.slot)
        if mine != its:
            raise BatchError(f"epochs and slots {mine} and {its} do not add up")
        return replace(
            self,
            units=np.concatenate([self.units, other.units]),
            arms=np.concatenate([self.arms, other.arms]),
            values=np.concatenate([self.values, other.values]),
        )


def sightings(
    slot: int,
    *,
    units: npt.NDArray[np.uint64] | Sequence[int],
    arms: npt.NDArray[np.int64] | Sequence[int],
    values: Iterable[object],
    epoch: int = 0,
) -> Sightings:
    """Return sightings of what need not be arrays yet.

    >>> seen = sightings(0, units=[2**64 - 1, 1], arms=[0, 1], values=[0, 1])
    >>> (seen + seen).values.tolist()
    [0.0, 1.0, 0.0, 1.0]
    >>> sightings(0, units=[1, 2], arms=[0], values=[0, 1])
    Traceback (most recent call last):
    driftline_stats.errors.BatchError: units, arms and values differ in length: [1, 2]

    Raises:
        BatchError: as `Sightings`.
    """
    return Sightings(
        slot=slot,
        epoch=epoch,
        units=np.asarray(units, np.uint64),
        arms=np.asarray(arms, np.int64),
        values=as_floats(values),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units(State):
    """All units that have been seen, ordered by hash; one row each.

    A unit that is seen in a second arm is excluded for good, and counted. Where the caller knows
    which units a change of weights moves, it says so at once with `exclude`: to wait until a unit
    shows up elsewhere would take the busy ones out of the arm that gave, and leave the idle ones.

    A cohort is who was first seen in the same few slots of one epoch: only such units are alike but
    for their arm. It begins with a new epoch, or `width` slots after the one before.

    Attributes:
        arm_count: number of arms.
        capacity: units an arm up to which all are kept; `capacity * arm_count` in all.
        width: slots of a cohort.
        epoch: the last epoch that was seen.
        cohort: the slot in which the last cohort began.
        level: 1 in 2**level units is kept.
        units: (n,) hashes, as int64 bit for bit.
        arms: (n,) the arm that a unit was first seen in.
        firsts: (n,) the slot in which it was; `cohorts` (n,) the one in which its cohort began.
        statuses: (n,) OPEN, DONE or MOVED.
        totals: (n,) sum of its values while open; `counts` (n,) how many they are.

    >>> table, _ = empty_units(arms=2).admit(sightings(1, units=[5, 9], arms=[0, 1], values=[0, 0]))
    >>> table, _ = table.admit(sightings(2, units=[5, 7], arms=[1, 1], values=[0, 0]))
    >>> len(table.units), table.moved, table.first_exposures(2).tolist()
    (3, 1, [0, 1])
    """

    KIND: ClassVar[str] = "units"

    arm_count: int
    capacity: int
    width: int
    epoch: int
    cohort: int
    level: int
    units: npt.NDArray[np.int64]
    arms: npt.NDArray[np.int64]
    firsts: npt.NDArray[np.int64]
    cohorts: npt.NDArray[np.int64]
    statuses: npt.NDArray[np.int64]
    totals: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def rate(self) -> float:
        """The share of all units that is kept."""
        return 2.0**-self.level

    @property
    def moved(self) -> int:
        """Number of units that are excluded since they changed the arm, of those kept."""
        return int(np.count_nonzero(self.statuses == MOVED))

    def first_exposures(self, slot: int) -> Integers:
        """Return how many units each arm saw for the first time in a slot, of those kept."""
        return np.bincount(self.arms[self.firsts == slot], minlength=self.arm_count)

    def admit(self, seen: Sightings) -> tuple[Self, Integers]:
        """Return the table with those units in it, and the row of each sighting, -1 if not kept.

        Raises:
            BatchError: an arm does not exist.
        """
        low, high = (int(each) for each in (seen.arms.min(initial=0), seen.arms.max(initial=0)))
        if not 0 <= low <= high < self.arm_count:
            raise BatchError(f"arms are 0 to {self.arm_count - 1}, found {low} to {high}")
        hashes = seen.units.view(np.int64)
        fresh = _sampled(hashes, self.level) & (self.rows_of(hashes) < 0)
        table = _within_capacity(self._with_new(np.unique(hashes[fresh]), seen))
        rows = table.rows_of(hashes)
        known = rows >= 0
        fresh &= known
        arms = table.arms.copy()
        np.minimum.at(arms, rows[fresh], seen.arms[fresh])
        statuses = table.statuses.copy()
        statuses[rows[known][arms[rows[known]] != seen.arms[known]]] = MOVED
        return replace(table, arms=arms, statuses=statuses), rows

    def rows_of(self, hashes: Integers) -> Integers:
        """Return the row of each hash, -1 if it is not there."""
        if not len(self.units):
            return np.full(len(hashes), -1)
        rows = np.minimum(np.searchsorted(self.units, hashes), len(self.units) - 1)
        return np.where(self.units[rows] == hashes, rows, -1)

    def exclude(self, moves: Callable[[Hashes], npt.NDArray[np.bool_]]) -> Self:
        """Return the table without the units that a change of weights moves to another arm.

        Args:
            moves: says of (n,) hashes which ones it moves; by the hash alone, so that who is
                excluded does not depend on what he did.
        """
        gone = moves(self.units.view(np.uint64))
        return replace(self, statuses=np.where(gone, MOVED, self.statuses))

    def merge(self, other: Self) -> Self:
        """Return the table of what two replicas have seen, neither of which closed a unit yet.

        Raises:
            StateError: the other is of other arms or capacity.
        """
        plans = [(each.arm_count, each.capacity, each.width) for each in (self, other)]
        if plans[0] != plans[1]:
            raise StateError(f"tables of {plans[0]} and {plans[1]} do not merge")
        level = max(self.level, other.level)
        mine, its = self.thinned(level), other.thinned(level)
        units, at = np.unique(np.concatenate([mine.units, its.units]), return_inverse=True)
        all_arms = np.concatenate([mine.arms, its.arms])
        seen = np.concatenate([mine.firsts, its.firsts]) * self.arm_count + all_arms
        firsts, arms = np.divmod(_gathered(np.minimum, at, seen), self.arm_count)
        statuses = _gathered(np.maximum, at, np.concatenate([mine.statuses, its.statuses]))
        statuses[at[all_arms != arms[at]]] = MOVED
        merged = replace(
            mine,
            epoch=max(mine.epoch, its.epoch),
            cohort=max(mine.cohort, its.cohort),
            units=units,
            arms=arms,
            firsts=firsts,
            cohorts=_gathered(np.minimum, at, np.concatenate([mine.cohorts, its.cohorts])),
            statuses=statuses,
            totals=_gathered(np.add, at, np.concatenate([mine.totals, its.totals])),
            counts=_gathered(np.add, at, np.concatenate([mine.counts, its.counts])),
        )
        return _within_capacity(merged)

    def thinned(self, level: int) -> Self:
        """Return what a sample of 1 in 2**level has kept."""
        if level <= self.level:
            return self
        kept = _sampled(self.units, level)
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        return replace(self, level=level, **columns)

    def _with_new(self, new: Integers, seen: Sightings) -> Self:
        begins = seen.epoch != self.epoch or seen.slot >= self.cohort + self.width
        cohort = seen.slot if begins else self.cohort
        at = np.searchsorted(self.units, new)
        size = len(new)
        return replace(
            self,
            epoch=seen.epoch,
            cohort=cohort,
            units=np.insert(self.units, at, new),
            arms=np.insert(self.arms, at, np.full(size, self.arm_count)),
            firsts=np.insert(self.firsts, at, np.full(size, seen.slot)),
            cohorts=np.insert(self.cohorts, at, np.full(size, cohort)),
            statuses=np.insert(self.statuses, at, np.full(size, OPEN)),
            totals=np.insert(self.totals, at, np.zeros(size)),
            counts=np.insert(self.counts, at, np.zeros(size, np.int64)),
        )


def empty_units(*, arms: int, width: int = 1, capacity: int = CAPACITY) -> Units:
    """Return a table that has seen nobody.

    Of more units than it holds it keeps those of one hash in two, in four, in eight:

    >>> hashes = np.random.default_rng(1).integers(2**64, size=100, dtype=np.uint64)
    >>> crowd = sightings(0, units=hashes, arms=np.arange(100) % 2, values=np.zeros(100))
    >>> table, _ = empty_units(arms=2, capacity=10).admit(crowd)
    >>> len(table.units) <= 20, table.rate
    (True, 0.125)

    Raises:
        ValueError: fewer than two arms, no capacity, or an empty cohort.
    """
    if arms < 2 or capacity < 1 or width < 1:
        raise ValueError(f"needs 2 arms, got {arms}; room, got {capacity}; a cohort, got {width}")
    none, nothing = np.zeros(0, np.int64), np.zeros(0)
    return Units(
        arm_count=arms,
        capacity=capacity,
        width=width,
        epoch=-1,
        cohort=-1,
        level=0,
        units=none,
        arms=none,
        firsts=none,
        cohorts=none,
        statuses=none,
        totals=nothing,
        counts=none,
    )


def _within_capacity(table: UnitsT) -> UnitsT:
    while len(table.units) > table.capacity * table.arm_count:
        table = table.thinned(table.level + 1)
    return table


def _gathered(how: np.ufunc, at: Integers, values: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
    """Return one value for each row, of all those that are `at` it."""
    order = np.argsort(at, kind="stable")
    begins = np.flatnonzero(np.diff(at[order], prepend=-1))
    gathered: npt.NDArray[ScalarT] = how.reduceat(values[order], begins) if len(at) else values
    return gathered.copy()


def _sampled(hashes: Integers, level: int) -> npt.NDArray[np.bool_]:
    """Say which hashes begin with `level` zero bits once they are mixed.

    The mixing is the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    """
    if level == 0:
        return np.ones(len(hashes), bool)
    mixed = hashes.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    kept: npt.NDArray[np.bool_] = mixed >> np.uint64(64 - min(level, 63)) == 0
    return kept

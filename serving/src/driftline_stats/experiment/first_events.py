"""The first event of each unit while it is at risk: rates whose unit is a user."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError
from driftline_stats.experiment.units import (
    CAPACITY,
    DONE,
    OPEN,
    Integers,
    Sightings,
    Units,
    empty_units,
)
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskSets:
    """Who could have had a first event in one slot, and who had.

    Attributes:
        exposures: (arms,) units that were seen for the first time in this slot.
        cohorts: (n,) cohorts of first exposure in which there was an event.
        at_risk: (n, arms) units of the cohort without an event until this slot.
        events: (n, arms) of these, the ones with their first event in it.
        rate: the share of all units that these are a sample of.
    """

    exposures: Integers
    cohorts: Integers
    at_risk: Integers
    events: Integers
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FirstEvents(State):
    r"""Turns what units did, slot after slot, into strata in which a test of rates is valid.

    A unit is at risk from its first exposure on, whether or not it is active, until its first
    event, until `window` slots have passed, or until it changes the arm. It has at most one event.
    A stratum is one cohort (see `units.Units`) in one slot.

    *Why so*: under the sharp null (each unit would have done the same in another arm), the arms of
    a cohort are exchangeable given how many of each are still at risk. So the number of a slot's
    first events that fall to one arm is hypergeometric with the share of that arm among them, in
    every stratum, whatever the units' rates and activities, and however these depend on each other.
    A hypergeometric law is below the binomial one in convex order (Hoeffding, JASA 1963), hence the
    evidence of `rates.RateRatio` with r0 = 1, updated once per stratum, is a supermartingale.

    *What is not valid*: to take as at risk only who is active in the slot. Heavy users are then
    counted slot after slot, and if by chance one arm has more of them than of those who fail,
    the same wrong share enters every slot. Cohorts wider than a slot hold units that came at
    different times: where traffic is thin they are needed, since a cohort of one unit says nothing;
    the argument is then exact no more, and the project's simulations say what holds.

    Grünwald, Ly, Pérez-Ortiz & ter Schure, "The safe logrank test" (2021) is the same for a
    cohort that is there from the start.

    Attributes:
        table: the units.
        slot: the last slot; -1 before the first.
        window: slots from the first exposure on in which an event counts; 0 for all.

    >>> from driftline_stats.experiment.units import sightings
    >>> metric = first_events(arms=2)
    >>> metric, _ = metric.observe(sightings(0, units=[1, 2], arms=[0, 1], values=[0, 0]))
    >>> metric, sets = metric.observe(sightings(1, units=[2, 2], arms=[1, 1], values=[1, 1]))
    >>> sets.at_risk.tolist(), sets.events.tolist()
    ([[1, 1]], [[0, 1]])
    """

    KIND: ClassVar[str] = "first-events"

    table: Units
    slot: int
    window: int

    def observe(self, seen: Sightings) -> tuple[Self, RiskSets]:
        """Return the metric after a slot, and the strata of that slot.

        Args:
            seen: `values` above 0 are events; the slot comes after all that were observed.

        Raises:
            BatchError: the slot was observed already, or an arm does not exist.
        """
        if seen.slot <= self.slot:
            raise BatchError(f"slot {seen.slot} comes after {self.slot} has been observed")
        table, rows = self.table.admit(seen)
        failed = np.zeros(len(table.units), bool)
        failed[rows[(rows >= 0) & (seen.values > 0)]] = True
        at_risk = table.statuses == OPEN
        if self.window:
            at_risk &= table.firsts > seen.slot - self.window
        failed &= at_risk
        statuses = np.where(failed, DONE, table.statuses)
        cohorts = np.unique(table.cohorts[failed])
        sets = RiskSets(
            exposures=table.first_exposures(seen.slot),
            cohorts=cohorts,
            at_risk=_by_cohort(table, at_risk, cohorts),
            events=_by_cohort(table, failed, cohorts),
            rate=table.rate,
        )
        return replace(self, table=replace(table, statuses=statuses), slot=seen.slot), sets


def first_events(
    *, arms: int, window: int = 0, width: int = 1, capacity: int = CAPACITY
) -> FirstEvents:
    """Return a metric that has seen nobody.

    An event counts in the first `window` slots after the first exposure, that slot included:

    >>> from driftline_stats.experiment.units import sightings
    >>> exposed = sightings(0, units=[1, 2], arms=[0, 1], values=[0, 0])
    >>> metric, _ = first_events(arms=2, window=2).observe(exposed)
    >>> for slot in (1, 2):
    ...     _, sets = metric.observe(sightings(slot, units=[1], arms=[0], values=[1]))
    ...     print(slot, sets.events.tolist())
    1 [[1, 0]]
    2 []

    Args:
        arms: number of arms.
        window: slots in which an event counts; 0 for all.
        width: slots of a cohort.
        capacity: units an arm up to which all are kept.

    Raises:
        ValueError: fewer than two arms, no capacity, a negative window or an empty cohort.
    """
    if window < 0:
        raise ValueError(f"needs a window of at least 0 slots, got {window}")
    table = empty_units(arms=arms, width=width, capacity=capacity)
    return FirstEvents(table=table, slot=-1, window=window)


def _by_cohort(table: Units, which: npt.NDArray[np.bool_], cohorts: Integers) -> Integers:
    if not len(cohorts):
        return np.zeros((0, table.arm_count), np.int64)
    of, arms = table.cohorts[which], table.arms[which]
    at = np.minimum(np.searchsorted(cohorts, of), len(cohorts) - 1)
    among = cohorts[at] == of
    cells = at[among] * table.arm_count + arms[among]
    counted = np.bincount(cells, minlength=len(cohorts) * table.arm_count)
    return counted.reshape(len(cohorts), table.arm_count)

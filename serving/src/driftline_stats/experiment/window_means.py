"""The mean of a metric over a fixed window of each unit: means whose unit is a user."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np

from driftline_stats.errors import BatchError
from driftline_stats.experiment.units import (
    CAPACITY,
    DONE,
    LARGEST,
    OPEN,
    Floats,
    Integers,
    Sightings,
    Units,
    empty_units,
)
from driftline_stats.state import State

Missing = Literal["zero", "exclude"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClosedUnits:
    """The units of one cohort, whose windows closed: one stratum of a test of means.

    Where values are 0 and 1, it is one of a test of rates as well:

    >>> values = np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0])
    >>> closed = ClosedUnits(cohort=0, values=values, excluded=(0, 0))
    >>> closed.events.tolist(), closed.units.tolist()
    ([[1, 1]], [[2, 3]])

    Attributes:
        cohort: the slot in which the cohort began.
        values: for each arm (n,) means, one a unit, in ascending order.
        excluded: for each arm, units that closed without a value and were left out.
    """

    cohort: int
    values: tuple[Floats, ...]
    excluded: tuple[int, ...]

    @property
    def units(self) -> Integers:
        """(1, arms) units; with `events` one stratum of a test of rates, exact at any width."""
        return np.array([[len(values) for values in self.values]])

    @property
    def events(self) -> Integers:
        """(1, arms) units with an event in their window, where values are 0 and 1."""
        return np.array([[np.count_nonzero(values > 0) for values in self.values]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowMeans(State):
    """Turns what units did into one mean a unit, when its window has closed.

    The window runs for `window` slots from the first exposure on, that slot included. A cohort (see
    `units.Units`) is one stratum, and closes once the windows of all who can be in it have: under
    the sharp null (each unit would have done the same in another arm) the arms in it are
    exchangeable, as `means` assumes, whatever the units' activities and however wide the cohort. A
    unit contributes once; what comes after its window is ignored.

    A unit without any value counts as 0, or is left out (`missing`). Left out, it must be checked
    that arms do not differ in how many are: who answers may depend on the arm. `ClosedUnits` counts
    them.

    Attributes:
        table: the units.
        slot: the last slot; -1 before the first.
        window: slots of a unit's window.
        missing: "zero" or "exclude".

    >>> from driftline_stats.experiment.units import sightings
    >>> metric = window_means(arms=2, window=2)
    >>> metric, _ = metric.observe(sightings(0, units=[1, 1, 2], arms=[0, 0, 1], values=[1, 2, 5]))
    >>> metric, _ = metric.observe(sightings(1, units=[2], arms=[1], values=[7]))
    >>> metric, closed = metric.observe(sightings(2, units=[2], arms=[1], values=[99]))
    >>> [values.tolist() for values in closed[0].values]
    [[1.5], [6.0]]
    """

    KIND: ClassVar[str] = "window-means"

    table: Units
    slot: int
    window: int
    missing: str

    def observe(self, seen: Sightings) -> tuple[Self, tuple[ClosedUnits, ...]]:
        """Return the metric after a slot, and the cohorts that it closed, the oldest first.

        Infinite values are taken as the largest that are kept.

        Raises:
            BatchError: the slot was observed already, or an arm does not exist.
        """
        if seen.slot <= self.slot:
            raise BatchError(f"slot {seen.slot} comes after {self.slot} has been observed")
        before, closed = self._closed(seen.slot)
        table, rows = before.admit(seen)
        used = (rows >= 0) & ~np.isnan(seen.values)
        own = rows[used]
        in_window = table.firsts[own] > seen.slot - self.window
        used[used] = (table.statuses[own] == OPEN) & in_window
        totals, counts = table.totals.copy(), table.counts.copy()
        values = np.clip(seen.values[used], -LARGEST, LARGEST)
        # In one order, whatever theirs: sums of floats depend on it.
        order = np.lexsort((values, rows[used]))
        np.add.at(totals, rows[used][order], values[order])
        np.add.at(counts, rows[used], 1)
        return replace(
            self, table=replace(table, totals=totals, counts=counts), slot=seen.slot
        ), closed

    def _closed(self, slot: int) -> tuple[Units, tuple[ClosedUnits, ...]]:
        table = self.table
        last = slot - self.window - table.width + 1
        closing = (table.statuses == OPEN) & (table.cohorts <= last)
        closed = tuple(
            self._stratum(int(cohort), np.flatnonzero(closing & (table.cohorts == cohort)))
            for cohort in np.unique(table.cohorts[closing])
        )
        return replace(table, statuses=np.where(closing, DONE, table.statuses)), closed

    def _stratum(self, cohort: int, rows: Integers) -> ClosedUnits:
        table = self.table
        values, excluded = [], []
        for arm in range(table.arm_count):
            own = rows[table.arms[rows] == arm]
            counted = own[table.counts[own] > 0]
            means = table.totals[counted] / table.counts[counted]
            silent = len(own) - len(counted)
            zeros = np.zeros(silent if self.missing == "zero" else 0)
            values.append(np.sort(np.concatenate([means, zeros])))
            excluded.append(silent - len(zeros))
        return ClosedUnits(cohort=cohort, values=tuple(values), excluded=tuple(excluded))


def window_means(
    *,
    arms: int,
    window: int,
    width: int = 1,
    missing: Missing = "zero",
    capacity: int = CAPACITY,
) -> WindowMeans:
    """Return a metric that has seen nobody.

    >>> from driftline_stats.experiment.units import sightings
    >>> seen = sightings(0, units=[1, 2], arms=[0, 1], values=[3, np.nan])
    >>> later = sightings(1, units=[], arms=[], values=[])
    >>> for missing in ("zero", "exclude"):
    ...     metric, _ = window_means(arms=2, window=1, missing=missing).observe(seen)
    ...     _, (closed,) = metric.observe(later)
    ...     print(missing, [values.tolist() for values in closed.values], closed.excluded)
    zero [[3.0], [0.0]] (0, 0)
    exclude [[3.0], []] (0, 1)

    Args:
        arms: number of arms.
        window: slots of a unit's window.
        width: slots of a cohort.
        missing: what a unit without a value is.
        capacity: units an arm up to which all are kept.

    Raises:
        ValueError: fewer than two arms, no capacity, an empty window or cohort.
    """
    if window < 1:
        raise ValueError(f"needs a window of at least 1 slot, got {window}")
    table = empty_units(arms=arms, width=width, capacity=capacity)
    return WindowMeans(table=table, slot=-1, window=window, missing=missing)

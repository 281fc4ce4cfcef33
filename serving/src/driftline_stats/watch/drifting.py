"""Drift of one revision's rows: the first rows' verdict, the detector, and what it raised."""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.budget import condition_rows
from driftline_stats.drift.detector import Window
from driftline_stats.drift.kind import Kind
from driftline_stats.drift.report import Seen
from driftline_stats.state import State
from driftline_stats.watch.evidence import Inflation, Ratios, Recursion, ratios_of
from driftline_stats.watch.first_rows import FirstRows
from driftline_stats.watch.look import Look
from driftline_stats.watch.moves import Move, kept_faults, moves_of
from driftline_stats.watch.packing import counts_of, logs_of, packed_counts
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.tables import Basis, Tables, tables_of, whole_of

Ints = npt.NDArray[np.int64]

#: Evidence is quiet while it is below what so many rows of the budget are worth.
QUIET_ROWS = 9_000
#: And below this, in any case.
_QUIET_MOST = math.log(0.01)
DAY_SECONDS = 86_400.0
#: After so many quiet rows of evidence an alarm is about a change, not about what always was.
SETTLED_ROWS = 1_000
#: After so many rows figures are made of newer ones alone.
FIGURE_ROWS = 20_000
#: Figures are made anew after so many times the rows that they were made of.
_AGAIN = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment(State):
    """When: rows and seconds since the watch began."""

    KIND: ClassVar[str] = "watch-moment"

    rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(State):
    """Drift, or skew, that is reported.

    Attributes:
        since: when evidence began to rise.
        alarmed_at: rows at the last alarm.
        log_evidence: natural logarithm of the evidence then, in units of the bar.
        skew: whether it was there from the first rows on, against training data.
        acting: the detector with the tolerance to act, from the first alarm on.
        material: whether that has alarmed.
        moves: what moved; values that were faulty once stay named.
        inputs: whether inputs have moved at any time of it, and not predictions alone.
        rows: that these figures are of.
    """

    KIND: ClassVar[str] = "watch-condition"

    since: Moment
    alarmed_at: int
    log_evidence: float = 0.0
    skew: bool = False
    acting: Recursion = field(default_factory=Recursion)
    material: bool = False
    moves: tuple[Move, ...] = ()
    inputs: bool = False
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifting(State):
    """All that is known of drift; `update` is the only way on.

    Attributes:
        live: whether the reference is the first live rows, which somebody accepted.
        seen: rows and seconds in all.
        base: rows when the reference became what it is.
        used: rows that were evidence against it.
        waited: seconds since the last row.
        first: the first rows.
        recursion: the detector's.
        inflation: of the rows.
        quiet: when evidence was quiet for the last time.
        quiet_used: rows that were evidence by then.
        moving: packed counts since then; empty where there are none.
        condition: that is reported, None if none is.
    """

    KIND: ClassVar[str] = "watch-drift"

    live: bool = False
    seen: Moment = field(default_factory=Moment)
    base: int = 0
    used: int = 0
    waited: float = 0.0
    first: FirstRows = field(default_factory=FirstRows)
    recursion: Recursion = field(default_factory=Recursion)
    inflation: Inflation = field(default_factory=Inflation)
    quiet: Moment = field(default_factory=Moment)
    quiet_used: int = 0
    moving: str = ""
    condition: Condition | None = None

    def tables(self, plan: WatchPlan) -> Tables:
        """Return the tables of what rows are compared with."""
        return tables_of(self.basis(plan))

    def basis(self, plan: WatchPlan) -> Basis:
        """Return what rows are compared with."""
        live = self.first.counts if self.live else ""
        return Basis(profile=plan.profile, exclude=plan.exclude, live=live)

    def check(self, plan: WatchPlan) -> None:
        """Make sure that what was stored can be gone on from.

        Raises:
            StateError: something packed is damaged, or of another reference.
        """
        tables = self.tables(plan)
        self.inflation.before(tables)
        self.first.check(tables)
        recursions = [self.recursion, *([self.condition.acting] if self.condition else [])]
        for text in (each.log_r for each in recursions if each.log_r):
            logs_of(text, tables.components)
        if self.moving:
            counts_of(self.moving, tables.bins)

    def update(self, plan: WatchPlan, look: Look) -> Self:
        """Return it after a look; one without rows only lets time pass.

        Raises:
            BatchError: the counts are of another plan, or negative.
        """
        tables = self.tables(plan)
        window = tables.window(look.counts)
        rows = look.counts.rows
        seen = Moment(rows=self.seen.rows + rows, seconds=self.seen.seconds + look.seconds)
        waited = self.waited + look.seconds
        if not rows:
            return replace(self, seen=seen, waited=waited)
        after = self._decided(plan, window, plan.share("drift", rows, waited))
        after = replace(
            after,
            seen=seen,
            waited=0.0,
            inflation=self.inflation.add(tables, window, rows),
        )
        if plan.trained and not self.live:
            after = replace(after, first=after.first.add(window, rows, plan.first))
        return after._turned(plan, self.first.rejected)._accepted(plan)  # noqa: SLF001 - its own

    def _decided(self, plan: WatchPlan, window: Ints, share: float) -> Self:
        """Return it after the evidence of a window, if rows can be evidence yet."""
        tables = self.tables(plan)
        deff = self.inflation.before(tables)
        if deff is None:
            return self
        ratios = ratios_of(tables, window, deff, tables.tolerated(plan))
        after = replace(
            self,
            recursion=self.recursion.update(tables, ratios, share),
            used=self.used + ratios.rows,
            condition=self._acting(plan, window, ratios, share),
        )
        if plan.trained and not self.live:
            after = replace(after, first=self.first.judge(plan, tables, ratios))
        return after._moved(window, share / ratios.rows)  # noqa: SLF001 - its own

    def _acting(
        self, plan: WatchPlan, window: Ints, ratios: Ratios, share: float
    ) -> Condition | None:
        if self.condition is None or self.condition.material:
            return self.condition
        tables = self.tables(plan)
        tolerance = tables.tolerated(plan, acting=True)
        own = ratios_of(tables, window, ratios.deff, tolerance)
        acting = self.condition.acting.update(tables, own, share)
        return replace(self.condition, acting=acting, material=acting.alarmed)

    def _moved(self, window: Ints, share_of_row: float) -> Self:
        """Return it with the counts since evidence was quiet; quiet evidence has none."""
        bar = min(math.log(QUIET_ROWS * share_of_row), _QUIET_MOST)
        if self.condition is None and self.recursion.log_evidence <= bar:
            return replace(self, moving="")
        before = counts_of(self.moving, window.size) if self.moving else 0
        if self.condition is not None and self.condition.rows >= FIGURE_ROWS:
            before = 0
        return replace(self, moving=packed_counts(window + before))

    def _turned(self, plan: WatchPlan, was_skewed: bool) -> Self:
        """Return it with the condition raised, renewed, cleared, or as it was."""
        now = self
        if not self.moving:
            now = replace(now, quiet=self.seen, quiet_used=self.used)
        found = self.condition
        if self.first.rejected and not was_skewed and found is None and not self._changed_lately:
            found = Condition(
                since=Moment(),
                alarmed_at=self.seen.rows,
                log_evidence=self.first.log_evidence + math.log(plan.alpha),
                skew=True,
            )
            counts = self.first.counted(self.tables(plan).bins)
            return replace(now, condition=self._told(plan, found, counts))
        if self.recursion.alarmed:
            found = found or Condition(since=self.quiet, alarmed_at=0)
            found = replace(
                found, alarmed_at=self.seen.rows, log_evidence=self.recursion.log_evidence
            )
            counts = counts_of(self.moving, self.tables(plan).bins)
            return replace(now, condition=self._told(plan, found, counts))
        if found is not None and self.seen.rows - found.alarmed_at >= self.clear_after(plan):
            return replace(now, condition=None, moving="", quiet=self.seen)
        return now

    @property
    def _changed_lately(self) -> bool:
        """Whether there was an alarm, and rows before the change looked like the reference."""
        return self.recursion.alarmed and self.quiet_used >= SETTLED_ROWS

    def _told(self, plan: WatchPlan, condition: Condition, counts: Ints) -> Condition:
        """Return a condition with figures of these rows, unless it has some that are as good."""
        tables = self.tables(plan)
        rows = tables.rows(counts)
        if condition.moves and condition.rows <= rows < _AGAIN * condition.rows:
            return condition
        deff = self.inflation.before(tables)
        whole = whole_of(self.basis(plan))
        seen = Seen(
            plan=whole.detector,
            windows=(Window(counts=counts),),
            deff=tables.facts.deff if deff is None else deff,
            tolerance=tables.tolerated(plan),
        )
        moves = kept_faults(condition.moves, moves_of(whole, seen, plan.units))
        inputs = condition.inputs or any(each.change != Kind.PREDICTION for each in moves)
        return replace(condition, moves=moves, inputs=inputs, rows=rows)

    def _accepted(self, plan: WatchPlan) -> Self:
        """Return it with the first rows as the reference, once all are there and accepted."""
        if self.live or not plan.accepted or self.first.rows < plan.first:
            return self
        return type(self)(
            live=True, seen=self.seen, base=self.seen.rows, first=self.first, quiet=self.seen
        )

    def budget(self, plan: WatchPlan) -> float:
        """Return the rows between two false alarms, at the traffic measured so far."""
        seconds = self.seen.seconds
        return plan.budget(self.seen.rows / seconds * DAY_SECONDS if seconds else 0.0)

    def clear_after(self, plan: WatchPlan) -> int:
        """Return the rows without another alarm after which a condition clears."""
        return condition_rows(self.tables(plan).delay(self.budget(plan)))

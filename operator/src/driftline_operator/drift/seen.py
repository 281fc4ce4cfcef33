"""What one process of a monitor has counted since it was last asked.

Counters are cumulative, so that a lost poll loses nothing. What was taken in is kept whole, and
the next answer of the same process is subtracted from it: whoever keeps evidence keeps, in the
same write, the counters that it is made of, and nothing can be counted twice.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from pydantic import ValidationError

from driftline_api.monitor import SLOT_SECONDS, LabelCohort, SlotCounts, Summary, Totals
from driftline_stats.drift.profile import Counts
from driftline_stats.errors import StatsError
from driftline_stats.histogram import LatencyHistogram
from driftline_stats.risk.cbpe import Cbpe

#: A slot is taken in when it has been over for so many seconds: its answers were told by then.
SETTLED: Final = 15.0

Faults = Mapping[str, Mapping[str, int]]


class CountersError(ValueError):
    """What a monitor says cannot be: the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """What was counted between two answers, of one process or of many.

    Attributes:
        totals: inferences.
        direct: those of the slots that no router stamped.
        counts: rows by channel, of each plan that was counted by; merged over replicas.
        latency: of the slots that were complete.
        faults: by name and kind.
        outcomes: of feedback, by what became of it.
        cohorts: rows and labels by hour, epoch and arm.
        calibration: of each plan, probabilities.
    """

    totals: Totals = field(default_factory=Totals)
    direct: int = 0
    counts: Mapping[str, Counts] = field(default_factory=dict)
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    faults: Faults = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    cohorts: tuple[LabelCohort, ...] = ()
    calibration: Cbpe | None = None

    def __add__(self, other: "Increment") -> "Increment":
        return Increment(
            totals=_totals(self.totals, other.totals, 1),
            direct=self.direct + other.direct,
            counts=_by_plan([self.counts, other.counts]),
            latency=self.latency + other.latency,
            faults=add_faults(self.faults, other.faults),
            outcomes=add_counts(self.outcomes, other.outcomes),
            cohorts=add_cohorts([*self.cohorts, *other.cohorts]),
            calibration=_merged(self.calibration, other.calibration),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was taken in of one process.

    Attributes:
        at: Unix seconds at which it was last heard.
        slot: the last slot whose latency was taken in.
        packed: its last summary without slots, as compressed JSON; empty where it found no room
            when it was kept: then nothing is taken in until the process has told where it is.
    """

    at: float
    slot: int
    packed: bytes

    @classmethod
    def of(cls, summary: Summary, slot: int, at: float) -> Self:
        """Keep a summary."""
        text = summary.model_copy(update={"slots": []}).model_dump_json(
            by_alias=True, exclude_defaults=True
        )
        return cls(at=at, slot=slot, packed=zlib.compress(text.encode(), 1))

    def summary(self) -> Summary:
        """Return what was kept.

        Raises:
            CountersError: it is damaged.
        """
        try:
            return Summary.model_validate_json(zlib.decompress(self.packed))
        except (zlib.error, ValidationError) as error:
            raise CountersError(f"the counters that were kept: {error}") from error


def taken_in(seen: Seen | None, summary: Summary, now: float) -> tuple[Seen, Increment]:
    """Return what a process has counted since it was last asked, and what to keep of it.

    Args:
        seen: what was kept of the same (pod, process); None at the first answer.
        summary: its answer.
        now: Unix seconds.

    Raises:
        CountersError: a counter went back, or something is damaged. Nothing is taken in.
    """
    if seen and not seen.packed:
        return Seen.of(summary, seen.slot, now), Increment()
    before = seen.summary() if seen else _none_of(summary)
    if (before.pod, before.process) != (summary.pod, summary.process):
        raise CountersError(f"process {summary.process} is not {before.process}")
    slots = _complete(summary, seen.slot if seen else -1)
    last = max((each.slot for each in slots), default=seen.slot if seen else -1)
    try:
        increment = Increment(
            totals=_totals(summary.totals, before.totals, -1),
            direct=sum(each.seen for each in slots if each.epoch is None),
            counts=_counted(before, summary),
            latency=_latency(slots),
            faults=_fewer_faults(summary.faults.counts, before.faults.counts),
            outcomes=_fewer(summary.feedback.outcomes, before.feedback.outcomes),
            cohorts=_cohorts(summary.feedback.cohorts, before.feedback.cohorts),
            calibration=_calibrated(before, summary),
        )
    except (StatsError, ValidationError, ValueError) as error:
        raise CountersError(f"process {summary.process}: {error}") from error
    return Seen.of(summary, last, now), increment


def _none_of(summary: Summary) -> Summary:
    names = ("model", "revision", "pod", "process", "started", "now")
    return Summary.model_validate({name: getattr(summary, name) for name in names})


def _counted(before: Summary, after: Summary) -> dict[str, Counts]:
    if after.drift is None:
        return {}
    counts = counts_of(after)
    if (before.config, before.drift and before.drift.plan) == (after.config, after.drift.plan):
        counts = counts - counts_of(before)
    return {counts.plan: counts}


def counts_of(summary: Summary) -> Counts:
    """Return the counts of a summary that has some.

    Raises:
        ValueError: they are damaged.
    """
    assert summary.drift is not None
    values = np.frombuffer(summary.drift.values.raw(), "<i8").astype(np.int64)
    return Counts(plan=summary.drift.plan, rows=summary.drift.rows, values=values)


def _calibrated(before: Summary, after: Summary) -> Cbpe | None:
    now = _cbpe(after)
    if now is None:
        return None
    then = _cbpe(before) if before.config == after.config else None
    if then is None or then.counts.shape != now.counts.shape:
        return now
    return Cbpe(
        counts=now.counts - then.counts,
        sums=now.sums - then.sums,
        unusable=now.unusable - then.unusable,
    )


def _cbpe(summary: Summary) -> Cbpe | None:
    return Cbpe.from_json(json.dumps(summary.calibration)) if summary.calibration else None


def _complete(summary: Summary, after: int) -> list[SlotCounts]:
    over = summary.now - SLOT_SECONDS - (0 if summary.final else SETTLED)
    return [each for each in summary.slots if after < each.slot <= over]


def _latency(slots: Iterable[SlotCounts]) -> LatencyHistogram:
    total = LatencyHistogram()
    for slot in slots:
        if slot.latency:
            total = total + LatencyHistogram.from_json(json.dumps(slot.latency))
    return total


def _totals(left: Totals, right: Totals, sign: int) -> Totals:
    """Return sums or differences; what was seen cannot be unseen."""
    found = {name: getattr(left, name) + sign * getattr(right, name) for name in _TOTALS}
    if back := sorted(name for name in _TOTALS if found[name] < 0 and name not in _ESTIMATED):
        raise CountersError(f"{', '.join(back)} went back")
    return Totals.model_construct(**{name: max(0, value) for name, value in found.items()})


_TOTALS: Final = tuple(Totals.model_fields)
#: What a monitor is told by servers, or concludes: a later answer may correct it.
_ESTIMATED: Final = frozenset({"offered", "dropped", "lost"})


def _fewer(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    found = {name: value - before.get(name, 0) for name, value in after.items()}
    if back := sorted(name for name, value in found.items() if value < 0):
        raise CountersError(f"{', '.join(back)} went back")
    return {name: value for name, value in found.items() if value}


def _fewer_faults(after: Faults, before: Faults) -> dict[str, dict[str, int]]:
    found = {name: _fewer(kinds, before.get(name, {})) for name, kinds in after.items()}
    return {name: kinds for name, kinds in found.items() if kinds}


def add_counts(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """Return the sums of counts by name."""
    return {name: left.get(name, 0) + right.get(name, 0) for name in (*left, *right)}


def add_faults(left: Faults, right: Faults) -> dict[str, dict[str, int]]:
    """Return the sums of faults."""
    names = dict.fromkeys((*left, *right))
    return {name: add_counts(left.get(name, {}), right.get(name, {})) for name in names}


def _by_plan(parts: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    total: dict[str, Counts] = {}
    for part in parts:
        for plan, counts in part.items():
            total[plan] = total[plan] + counts if plan in total else counts
    return total


def _merged(left: Cbpe | None, right: Cbpe | None) -> Cbpe | None:
    if left is None or right is None:
        return left or right
    return left.merge(right) if left.counts.shape == right.counts.shape else left


_Place = tuple[int, int | None, str]


def _place(cohort: LabelCohort) -> _Place:
    return cohort.hour, cohort.epoch, cohort.arm


def add_cohorts(cohorts: Iterable[LabelCohort]) -> tuple[LabelCohort, ...]:
    """Return cohorts of which no two are of one place, the oldest first."""
    total: dict[_Place, LabelCohort] = {}
    for each in cohorts:
        known = total.get(_place(each))
        total[_place(each)] = _cohort(known, each, 1) if known else each
    return tuple(sorted(total.values(), key=lambda each: (each.hour, each.epoch or 0, each.arm)))


def _cohorts(
    after: Sequence[LabelCohort], before: Sequence[LabelCohort]
) -> tuple[LabelCohort, ...]:
    """Return what is new in each cohort.

    A monitor that has too many adds the oldest up in one of hour 0: what was taken in of those
    that are told no more is part of it.
    """
    told = {_place(each) for each in after}
    known = {_place(each): each for each in before if _place(each) in told}
    sums = next((_place(each) for each in after if not each.hour), None)
    for each in before:
        if sums and _place(each) not in told:
            known[sums] = _cohort(known[sums], each, 1) if sums in known else each
    new = (
        _cohort(each, known[_place(each)], -1) if _place(each) in known else each for each in after
    )
    return tuple(each for each in new if each.rows or each.labelled or each.rewards[0])


def _cohort(left: LabelCohort, right: LabelCohort, sign: int) -> LabelCohort:
    losses = dict(left.losses)
    for at, count in right.losses:
        losses[at] = losses.get(at, 0) + sign * count
    longest = max(len(left.delays), len(right.delays))
    delays = [_at(left.delays, index) + sign * _at(right.delays, index) for index in range(longest)]
    number, total, squares = (
        mine + sign * theirs for mine, theirs in zip(left.rewards, right.rewards, strict=True)
    )
    found: dict[str, Any] = {
        "rows": left.rows + sign * right.rows,
        "labelled": left.labelled + sign * right.labelled,
        "losses": sorted((at, count) for at, count in losses.items() if count),
        "delays": delays,
        "rewards": (number, total, squares),
    }
    counts = (found["rows"], found["labelled"], number, *delays, *dict(found["losses"]).values())
    if min(counts) < 0:
        raise CountersError(f"labels of hour {left.hour} went back")
    return left.model_copy(update=found)


def _at(values: Sequence[int], index: int) -> int:
    return values[index] if index < len(values) else 0

"""What moved, and by how much, as it is kept and told after the counts are gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.channels import DISTANCE, PAIR, Channel
from driftline_stats.drift.inflation import standardised
from driftline_stats.drift.kind import Change, Kind, Observed, changes_of
from driftline_stats.drift.report import ChannelMove, DriftReport, Seen, report_of
from driftline_stats.drift.tilts import law
from driftline_stats.state import State
from driftline_stats.watch.tables import Whole
from driftline_stats.wording import figure

#: So many are told, those with most evidence.
MOST_MOVES = 10
_LN10 = float(np.log(10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(State):
    """One channel that moved.

    Attributes:
        name: of the feature; `a * b` of a pair of them; `distance`.
        change: its kind, a value of `drift.kind.Kind`.
        role: `feature`, `prediction`, `pair` or `distance`.
        evidence: decimal logarithm of the evidence of the rows that the figures are about.
        effect: how far it moved in the direction that is shown best, in standard deviations of
            the reference: about the root of a chi-square distance.
        psi: population stability index.
        before: a central figure of the reference: the median, or the share of what moved most.
        after: the same of live rows.
        unit: of these two: the feature's, or `%`.
        message: for people, with the numbers.
    """

    KIND: ClassVar[str] = "watch-move"

    name: str
    change: str
    role: str
    evidence: float
    effect: float
    psi: float
    before: float | None
    after: float | None
    unit: str
    message: str


def moves_of(whole: Whole, seen: Seen, units: Mapping[str, str]) -> tuple[Move, ...]:
    """Return what moved in the rows of an alarm: at least the channel with most evidence.

    Args:
        whole: the reference.
        seen: counts of the rows, inflation and tolerances.
        units: of features.
    """
    report = report_of(whole.profile, seen)
    found = report.moved or report.channels[:1]
    chosen = tuple(_named_first(found))[:MOST_MOVES]
    kinds = _kinds_of(DriftReport(rows=report.rows, channels=chosen, dependent=()))
    channels = {each.name: each for each in whole.profile.channels}
    scores = whole.detector.mixture.scores
    means = standardised(scores, seen.counts).mean.tolist()
    live = _Live(seen.counts, units, dict(zip(scores.names, means, strict=True)))
    return tuple(_told(each, channels[each.name], kinds[each.name], live) for each in chosen)


def kept_faults(before: tuple[Move, ...], after: tuple[Move, ...]) -> tuple[Move, ...]:
    """Return new figures, with the faults that one condition had before.

    So a condition does not waver between a fault and a move while a fault comes and goes: what was
    a fault stays one until the condition clears.

    Args:
        before: what the condition has told.
        after: what it tells now.
    """
    faults = [each for each in before if each.change == Kind.INTEGRITY]
    names = {each.name for each in faults}
    if {each.name for each in after if each.change == Kind.INTEGRITY} >= names:
        return after
    return (*faults, *(each for each in after if each.name not in names))[:MOST_MOVES]


def _named_first(found: tuple[ChannelMove, ...]) -> list[ChannelMove]:
    """Return features and predictions before pairs and the distance, which they often explain."""
    return sorted(found, key=lambda each: each.role in (PAIR, DISTANCE))


def _kinds_of(report: DriftReport) -> dict[str, Change]:
    kinds = {each.channel: each for each in changes_of(Observed(report=report))}
    for each in report.channels:
        kind = Kind.PREDICTION if each.role == "prediction" else Kind.COVARIATE
        kinds.setdefault(each.name, Change(kind=kind, channel=each.name, message=str(each)))
    return kinds


@dataclass(frozen=True, slots=True)
class _Live:
    counts: npt.NDArray[np.int64]
    units: Mapping[str, str]
    effects: Mapping[tuple[str, str], float]


def _told(move: ChannelMove, channel: Channel, change: Change, live: _Live) -> Move:
    before, after, unit, message = _figures(move, channel, live)
    if change.kind is Kind.INTEGRITY:
        message = change.message
    return Move(
        name=move.name,
        change=change.kind.value,
        role=move.role,
        evidence=round(move.log_evidence / _LN10, 2),
        effect=round(live.effects[move.name, move.by[0][1]], 3),
        psi=round(move.psi.estimate, 4),
        before=before,
        after=after,
        unit=unit,
        message=message,
    )


def _figures(
    move: ChannelMove, channel: Channel, live: _Live
) -> tuple[float | None, float | None, str, str]:
    if move.role == DISTANCE:
        return None, None, "", "rows lie at other distances from the centre of the reference"
    if move.role == PAIR:
        first, second = channel.features
        return None, None, "", f"{first} and {second} go together in another way"
    directions = [each[1] for each in move.by[:1]]
    if move.quantiles and directions in (["location"], ["scale"]):
        return _of_quantiles(move, live.units.get(move.name, ""), wide=directions == ["scale"])
    return _of_shares(move, channel, live)


def _of_quantiles(move: ChannelMove, unit: str, *, wide: bool) -> tuple[float, float, str, str]:
    by_level = {each.level: each for each in move.quantiles}
    after = {level: each.reference + each.shift.estimate for level, each in by_level.items()}
    space = f" {unit}" if unit else ""
    middle = by_level[0.5]
    if not wide:
        was, now = middle.reference, after[0.5]
        said = f"median {figure(was, 4)} -> {figure(now, 4)}{space}, by {middle.shift}"
        return was, now, unit, f"{move.name}: {said}"
    was = by_level[0.95].reference - by_level[0.05].reference
    now = after[0.95] - after[0.05]
    return (
        was,
        now,
        unit,
        f"{move.name}: nine in ten span {figure(was, 4)} -> {figure(now, 4)}{space}",
    )


def _of_shares(move: ChannelMove, channel: Channel, live: _Live) -> tuple[float, float, str, str]:
    q, p = law(channel.reference), law(live.counts[channel.place])
    at = int(np.argmax(np.abs(p - q) / np.sqrt(q * (1 - q))))
    before, after = 100 * float(q[at]), 100 * float(p[at])
    said = f"{channel.labels[at]}: {before:.3g} % -> {after:.3g} % of rows"
    return before, after, "%", f"{move.name} {said}"

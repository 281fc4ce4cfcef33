"""From what is known of a Model's data to what its plan and others are told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from driftline_api.conditions import Reason
from driftline_api.drift import (
    BaselineStatus,
    DriftedFeature,
    Latency,
    Observation,
    Performance,
)
from driftline_api.monitoring import Monitoring
from driftline_operator.drift.findings import DriftFindings, RevisionFindings
from driftline_operator.drift.model_drift import Heard, ModelDrift
from driftline_operator.drift.notices import MOST_WAITING, About, edges_of, notice
from driftline_operator.drift.revision import RevisionDrift, Told
from driftline_stats.watch.findings import Findings, learning, missing
from driftline_stats.watch.moves import Move
from driftline_stats.watch.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is told after a poll.

    Attributes:
        drift: with what was told noted in it, and the events of its edges waiting.
        findings: for the Model's plan.
        edge: whether an answer is another than before.
        given_up: events for which there was no room.
    """

    drift: ModelDrift
    findings: DriftFindings
    edge: bool
    given_up: int = 0


def said(drift: ModelDrift, heard: Heard, monitoring: Monitoring, about: About | None) -> Said:
    """Return what is told.

    Args:
        drift: after the poll.
        heard: the poll.
        monitoring: the settings.
        about: what events are about; None where nobody wants any.
    """
    at = datetime.fromtimestamp(heard.now, UTC)
    revisions = dict(drift.revisions)
    found: dict[str, RevisionFindings] = {}
    waiting, edges, edge = list(drift.waiting), drift.edges, False
    for name in sorted(drift.revisions):
        before = drift.revisions[name]
        if not before.can_be_told:
            continue
        raw = _findings(before, monitoring)
        told = _told(before, raw, heard.now)
        revisions[name] = replace(before, told=told)
        found[name] = _revision(name, revisions[name], raw, heard)
        edge = edge or _is_edge(before.told, told)
        for kind in edges_of(before.told, told):
            if about:
                waiting.append(notice(about, edges, kind, found[name], at))
            edges += 1
    kept = tuple(waiting[-MOST_WAITING:])
    return Said(
        drift=replace(drift, revisions=revisions, waiting=kept, edges=edges),
        findings=DriftFindings(uid=drift.uid, at=at, revisions=found),
        edge=edge,
        given_up=len(waiting) - len(kept),
    )


def _findings(revision: RevisionDrift, monitoring: Monitoring) -> Findings:
    if revision.watch:
        return revision.watch.findings()
    if revision.learning:
        return revision.learning.findings()
    if revision.plan:
        return learning(0, monitoring.baseline.rows)
    if revision.problem:
        return missing(revision.problem)
    return learning(0, monitoring.baseline.rows)


def _told(before: RevisionDrift, raw: Findings, now: float) -> Told:
    """Return what is told now; since when an answer is given moves only with the answer."""
    told, source = before.told, baseline_of(before).source
    if raw.reason.value == told.reason:
        return replace(told, source=source, problem=before.problem)
    ago = raw.since_seconds or 0.0
    return Told(
        reason=raw.reason.value,
        since=now - ago,
        rows=max(0, raw.seen - (raw.since_rows or 0)),
        source=source,
        problem=before.problem,
    )


def _is_edge(before: Told, now: Told) -> bool:
    return (before.reason, before.source, before.problem) != (now.reason, now.source, now.problem)


def _revision(name: str, revision: RevisionDrift, raw: Findings, heard: Heard) -> RevisionFindings:
    told = revision.told
    return RevisionFindings(
        revision=name,
        reason=Reason(raw.reason.value),
        summary=raw.message,
        action=raw.advice,
        recommendation=raw.recommendation.value,
        question=raw.question.value if raw.question else None,
        since=datetime.fromtimestamp(told.since, UTC),
        rows_since=max(0, raw.seen - told.rows),
        rows=raw.rows,
        evidence=raw.evidence,
        features=tuple(_feature(each) for each in raw.features),
        performance=_performance(raw),
        latency=_latency(raw),
        baseline=baseline_of(revision),
        observation=observation_of(name, revision, heard),
        warnings=(*_refused(revision), *raw.warnings),
    )


def _refused(revision: RevisionDrift) -> Iterable[str]:
    """Yield what is to be said of the baseline beside the answer."""
    if revision.note:
        yield revision.note
    if revision.watch and revision.problem:
        yield f"The profile of today is refused, an earlier one is used: {revision.problem}"


def _feature(move: Move) -> DriftedFeature:
    kind = "Pair" if move.role in {"pair", "distance"} else move.role.capitalize()
    if move.change == "Integrity":
        kind = "Fault"
    return DriftedFeature.model_validate(
        {
            "name": move.name,
            "kind": kind,
            "effect": move.effect,
            "change": move.message,
        }
    )


def _performance(raw: Findings) -> Performance | None:
    found = raw.performance
    if found is None:
        return None
    return Performance(
        loss=found.loss,
        estimated_loss=found.estimated_loss,
        baseline_loss=found.baseline_loss,
        labels=found.labels,
        coverage=None if found.coverage is None else min(1.0, max(0.0, found.coverage)),
        delay_seconds=None if found.delay_seconds is None else int(found.delay_seconds),
    )


def _latency(raw: Findings) -> Latency | None:
    found = raw.latency
    if found is None:
        return None
    return Latency(
        median_micros=found.median,
        p99_micros=found.p99,
        first_median_micros=found.median_first,
        first_p99_micros=found.p99_first,
    )


def baseline_of(revision: RevisionDrift) -> BaselineStatus:
    """Return what live rows are compared with."""
    problem, watch = revision.problem, revision.watch
    if watch and revision.reference:
        return _baseline_of_watch(watch, revision.reference.rows, problem)
    if revision.plan:
        rows = revision.learning.rows if revision.learning else 0
        wanted = revision.learning.wanted if revision.learning else 0
        return BaselineStatus(source="Learning", rows=rows, wanted_rows=wanted, problem=problem)
    return BaselineStatus(problem=problem)


def _baseline_of_watch(watch: Watch, rows: int, problem: str) -> BaselineStatus:
    plan, drifting = watch.plan, watch.state.drifting
    if not plan.trained:
        return BaselineStatus(source="Learned", rows=rows, problem=problem)
    if drifting.live:
        return BaselineStatus(source="Accepted", rows=drifting.first.rows, problem=problem)
    return BaselineStatus(source="Profile", rows=rows, problem=problem)


def observation_of(name: str, revision: RevisionDrift, heard: Heard) -> Observation:
    """Return how much of a revision's traffic was seen."""
    pods = [each for each in heard.pods if each.revision == name]
    ledger = revision.ledger
    return Observation(
        monitors=sum(each.uid in heard.summaries for each in pods),
        pods=len(pods),
        seen=ledger.seen,
        dropped=ledger.dropped,
        unobserved=ledger.unobserved,
    )

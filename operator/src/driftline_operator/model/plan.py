"""From what was observed to what shall be done."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from driftline_api.model import ModelSpec
from driftline_operator.core.plan import Deletion, Manifest, ObjectRef, Plan
from driftline_operator.model.case import Case
from driftline_operator.model.children import (
    render_autoscaler,
    render_controller_revision,
    render_deployment,
    render_disruption_budget,
    render_headless_service,
    render_monitors_service,
    render_service,
    wants_budget,
)
from driftline_operator.model.containers import Images
from driftline_operator.model.decision import Decision, deadline_of, decide, hold
from driftline_operator.model.drift import held_drift, say_drift
from driftline_operator.model.events import plan_events
from driftline_operator.model.health import Problem
from driftline_operator.model.observed import Observed, Record
from driftline_operator.model.revision import kept_records
from driftline_operator.model.size import Roles, replicas_of
from driftline_operator.model.status import render_status, write_status

#: Times in status are whole seconds: looking again a moment later finds them passed.
ROUNDING = timedelta(seconds=1)


def plan_model(observed: Observed, images: Images, now: datetime) -> Plan:
    """Return what is to be done for a Model."""
    model = observed.model
    if model.deleting:
        return Plan()
    spec = model.spec
    if spec is None:
        return _concluded(Case(observed=observed, decision=hold(observed), now=now), (), ())
    decision = decide(observed, spec, images, now)
    records = _records(observed, spec, decision)
    apply = tuple(_children(observed, spec, decision, records))
    case = Case(observed=observed, decision=decision, now=now)
    return _concluded(case, apply, _orphans(observed, decision, records, apply), records)


def _concluded(
    case: Case,
    apply: tuple[Manifest, ...],
    delete: tuple[Deletion, ...],
    records: tuple[Record, ...] | None = None,
) -> Plan:
    observed = case.observed
    known = observed.records if records is None else records
    drift = say_drift(case)
    held = held_drift(case, drift)
    status = render_status(case, known, held)
    write = write_status(observed, status)
    if write:
        status = render_status(case, known, drift)
        write = write_status(observed, status)
    return Plan(
        apply=apply,
        delete=delete,
        status=write,
        events=plan_events(observed.model, status) if write else (),
        requeue_after=_requeue(case, None if write else held.due),
    )


def _records(observed: Observed, spec: ModelSpec, decision: Decision) -> tuple[Record, ...]:
    """Return the revisions that stay. None goes while it is not known what is wanted."""
    target, rollout = decision.target, decision.rollout
    others = tuple(each for each in observed.records if target is None or each.name != target.name)
    known = (*others, target) if target else others
    needed = {*rollout.running, *rollout.traffic.clusters}
    needed |= {name for name in (rollout.stable, rollout.target) if name}
    limit = spec.revision_history_limit if target else len(known)
    return kept_records(known, needed, limit)


def _children(
    observed: Observed, spec: ModelSpec, decision: Decision, records: tuple[Record, ...]
) -> Iterator[Manifest]:
    """Yield all that shall exist, each revision's record before what is made from it."""
    model, rollout = observed.model, decision.rollout
    roles = Roles(stable=rollout.stable, target=rollout.target)
    if decision.target:
        yield render_controller_revision(model, decision.target)
    for record in records:
        if record.name in rollout.running:
            yield render_headless_service(model, record)
            replicas = replicas_of(observed, spec, record.name, roles)
            deadline = spec.rollout.progress_deadline_seconds
            yield render_deployment(model, record, replicas, deadline)
    if rollout.running:
        yield render_monitors_service(model)
    if observed.router.port is not None:
        yield render_service(model, observed.router.port)
    yield from _helpers(observed, spec, decision)
    if decision.resolution.job:
        yield decision.resolution.job


def _helpers(observed: Observed, spec: ModelSpec, decision: Decision) -> Iterator[Manifest]:
    model, rollout = observed.model, decision.rollout
    if spec.autoscaling and rollout.stable:
        yield render_autoscaler(model, rollout.stable, spec.autoscaling)
    if wants_budget(spec):
        serving = {share.revision for share in rollout.traffic.shares}
        for revision in sorted(serving & set(rollout.running)):
            yield render_disruption_budget(model, revision)


def _orphans(
    observed: Observed,
    decision: Decision,
    records: tuple[Record, ...],
    apply: tuple[Manifest, ...],
) -> tuple[Deletion, ...]:
    """Return the deletion of every child that is neither applied nor held."""
    wanted = {ObjectRef.of(manifest) for manifest in apply}
    kept = _held(observed, decision, records)
    return tuple(
        child.deletion()
        for child in observed.children
        if child.ref not in wanted and (child.ref.kind, child.ref.name) not in kept
    )


def _held(
    observed: Observed, decision: Decision, records: tuple[Record, ...]
) -> set[tuple[str, str]]:
    """Return what stays as it is: what is immutable, and what cannot be rendered just now.

    A revision whose ControllerRevision somebody deleted is among the latter. It keeps its pods.
    """
    running = decision.rollout.running
    held = {("ControllerRevision", record.name) for record in records}
    held |= {(kind, name) for name in running for kind in ("Deployment", "Service")}
    held.add(("Service", observed.model.name))
    if decision.resolution.kept:
        held.add(("Job", decision.resolution.kept))
    return held


def _requeue(case: Case, figures: datetime | None) -> float | None:
    """Return the seconds until something is due that no event will tell."""
    decision, resolution = case.decision, case.decision.resolution
    times = (
        decision.rollout.due,
        resolution.due,
        deadline_of(decision, case.observed.model.spec),
        _certain(resolution.problem),
        _certain(decision.hindered),
        _certain(decision.outage),
        figures,
    )
    ahead = [at for at in times if at and at > case.now]
    return (min(ahead) + ROUNDING - case.now).total_seconds() if ahead else None


def _certain(problem: Problem | None) -> datetime | None:
    return problem.certain if problem else None

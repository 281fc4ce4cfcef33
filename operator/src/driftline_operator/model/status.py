"""Writes a decision down as status."""

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from driftline_api import API_VERSION
from driftline_api.conditions import ConditionType
from driftline_api.model import Condition, ModelStatus, RevisionStatus
from driftline_operator.core.plan import ObjectRef, StatusWrite
from driftline_operator.model.assess import Verdict, judge_ready, judge_reconciling, judge_rollout
from driftline_operator.model.case import Case
from driftline_operator.model.clock import written
from driftline_operator.model.containers import Identity
from driftline_operator.model.drift import DriftSaid
from driftline_operator.model.observed import Observed, Record, Subject
from driftline_operator.model.stalls import find_stall
from driftline_operator.model.template import pod_labels
from driftline_operator.model.works import find_work

MOST_LISTED = 32


def render_status(case: Case, records: Sequence[Record], drift: DriftSaid) -> ModelStatus:
    """Return the status; `records` are the revisions that are kept."""
    observed, decision = case.observed, case.decision
    model, rollout = observed.model, decision.rollout
    shown = rollout.stable or rollout.target
    workload = observed.workloads.get(shown or "")
    serving = next((each for each in records if each.name == shown), None)
    return ModelStatus(
        observed_generation=model.generation,
        **_summary(case, drift.verdict),
        url=f"http://{model.name}.{model.namespace}.svc",
        stable_revision=rollout.stable,
        target_revision=rollout.target,
        target_since=written(decision.since) if decision.since else None,
        digest=serving.pinned.digest if serving else model.status.digest,
        replicas=workload.total if workload else 0,
        ready_replicas=workload.ready if workload else 0,
        selector=_selector(model, shown),
        traffic=rollout.traffic,
        revisions=_revisions(case, records),
        drift=drift.block,
    )


def _summary(case: Case, drift: Verdict) -> dict[str, str | list[Condition]]:
    """Return phase, message and conditions."""
    stall, work = find_stall(case), find_work(case)
    ready = judge_ready(case, stall)
    stalled = Verdict(status="True", reason=stall.reason, message=stall.message) if stall else None
    verdicts = {
        ConditionType.READY: ready,
        ConditionType.RECONCILING: judge_reconciling(stall, work),
        ConditionType.STALLED: stalled,
        ConditionType.ROLLOUT_SUCCEEDED: judge_rollout(case, stall),
        ConditionType.DRIFT_FREE: drift,
    }
    told = stall or work or ready
    unavailable = "Unavailable" if ready.status == "False" else "Promoted"
    phase = "Stalled" if stall else work.phase if work else unavailable
    conditions = [_condition(case, kind, verdict) for kind, verdict in verdicts.items() if verdict]
    differ = drift.status == "False" and told is ready
    aside = f". Its data differ ({drift.reason}): see the condition DriftFree" if differ else ""
    return {"phase": phase, "message": told.message + aside, "conditions": conditions}


def _condition(case: Case, kind: ConditionType, verdict: Verdict) -> Condition:
    """Return a condition; its time moves when its status does, and only then."""
    model = case.observed.model
    before = next((each for each in model.status.conditions if each.type == kind), None)
    same = before is not None and before.status == verdict.status
    return Condition(
        type=kind,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        observed_generation=model.generation,
        last_transition_time=before.last_transition_time if before and same else written(case.now),
    )


def _selector(model: Subject, revision: str | None) -> str:
    if revision is None:
        return ""
    labels = pod_labels(Identity(model=model.name, revision=revision))
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _revisions(case: Case, records: Sequence[Record]) -> list[RevisionStatus]:
    """Return the revisions, newest first."""
    known = [_listed(case, record) for record in records]
    lost = _without_record(case, {record.name for record in records})
    by_number = sorted((*known, *lost), key=lambda each: (each.number, each.name), reverse=True)
    return by_number[:MOST_LISTED]


def _listed(case: Case, record: Record) -> RevisionStatus:
    return RevisionStatus(
        name=record.name,
        number=record.number,
        uri=record.pinned.uri,
        digest=record.pinned.digest,
        role=_role(case, record.name),
        port=record.port,
        grpc_port=record.grpc_port,
        ready_replicas=case.ready(record.name),
        idle_since=_idle_since(case, record.name),
    )


def _without_record(case: Case, recorded: Collection[str]) -> Iterator[RevisionStatus]:
    """Yield what runs although somebody deleted its ControllerRevision, as it was known before.

    Forgotten, it would neither be routed to its port nor ever count as drained.
    """
    for each in case.observed.model.status.revisions:
        if each.name in case.decision.rollout.running and each.name not in recorded:
            now = {
                "role": _role(case, each.name),
                "ready_replicas": case.ready(each.name),
                "idle_since": _idle_since(case, each.name),
            }
            yield each.model_copy(update=now)


def _idle_since(case: Case, revision: str) -> str | None:
    idle = case.decision.rollout.idle
    return written(idle[revision]) if revision in idle else None


def _role(case: Case, revision: str) -> Literal["Stable", "Candidate", "Previous"]:
    if revision == case.stable:
        return "Stable"
    return "Candidate" if revision == case.target else "Previous"


def write_status(observed: Observed, status: ModelStatus) -> StatusWrite | None:
    """Return the write of a status, None where it says what is written already."""
    model = observed.model
    if status == model.status:
        return None
    return StatusWrite(
        ref=model_ref(model),
        uid=model.uid,
        resource_version=model.resource_version,
        status=status.model_dump(mode="json", by_alias=True, exclude_none=True),
    )


def model_ref(model: Subject) -> ObjectRef:
    """Return the reference of the Model."""
    return ObjectRef(
        api_version=API_VERSION, kind="Model", namespace=model.namespace, name=model.name
    )

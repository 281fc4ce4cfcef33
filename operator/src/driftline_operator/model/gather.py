"""Builds what is decided upon from what the Store holds."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import ValidationError

from driftline_api.model import ModelSpec, ModelStatus
from driftline_api.names import ARTIFACT_HASH, REVISION
from driftline_operator.core.controller import Snapshot
from driftline_operator.core.plan import Manifest, ObjectRef, Refusal
from driftline_operator.drift.findings import DriftBoard
from driftline_operator.model.annotations import INPUTS_HASH, REPLICAS
from driftline_operator.model.clock import BEGINNING, parsed
from driftline_operator.model.observed import (
    Child,
    Observed,
    Pinned,
    PodView,
    Record,
    Run,
    Subject,
    Workload,
)
from driftline_operator.model.pods import parse_pod
from driftline_operator.router.traffic import RouterView


def gather(
    model: Manifest,
    snapshot: Snapshot,
    router: RouterView,
    refusals: Sequence[Refusal],
    board: DriftBoard | None = None,
) -> Observed:
    """Return what is known of a Model."""
    subject = parse_subject(model)
    labelled = snapshot.owned(subject.namespace, subject.name)
    owned = [each for each in labelled if _is_owned(each, subject.uid)]
    found = (parse_pod(each) for each in labelled if each["kind"] == "Pod")
    pods = tuple(pod for pod in found if pod)
    return Observed(
        model=subject,
        records=_sorted_records(owned),
        workloads={w.revision: w for w in _workloads(owned, pods)},
        runs=tuple(parse_run(each) for each in _of(owned, "Job")),
        pods=pods,
        children=tuple(parse_child(each) for each in owned),
        router=router,
        leftovers=frozenset(ObjectRef.of(e) for e in labelled if _is_leftover(e, subject)),
        refusals=tuple(refusals),
        drift=board.of(subject.namespace, subject.name, subject.uid) if board else None,
    )


def parse_subject(model: Manifest) -> Subject:
    """Return the Model; a spec that the types cannot hold is told, not raised."""
    meta = model["metadata"]
    spec, unreadable = _parse_spec(model.get("spec") or {})
    return Subject(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        resource_version=meta["resourceVersion"],
        spec=spec,
        status=ModelStatus.model_validate(model.get("status") or {}),
        unreadable=unreadable,
        deleting="deletionTimestamp" in meta,
    )


def _parse_spec(spec: Manifest) -> tuple[ModelSpec | None, str]:
    try:
        return ModelSpec.model_validate(spec), ""
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in ("spec", *first["loc"]))
        return None, f"{field}: {first['msg']}"


def _is_owned(manifest: Manifest, uid: str) -> bool:
    """Tell whether the Model owns an object that stays. One that is being deleted is gone."""
    meta = manifest["metadata"]
    owners = meta.get("ownerReferences") or ()
    return any(each["uid"] == uid for each in owners) and "deletionTimestamp" not in meta


def _is_leftover(manifest: Manifest, model: Subject) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(
        (each["kind"], each["name"]) == ("Model", model.name) and each["uid"] != model.uid
        for each in owners
    )


def _of(manifests: Iterable[Manifest], kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def parse_child(manifest: Manifest) -> Child:
    """Return which state of which object this is."""
    meta = manifest["metadata"]
    ref = ObjectRef.of(manifest)
    return Child(ref=ref, uid=meta["uid"], resource_version=meta["resourceVersion"])


def _sorted_records(owned: Iterable[Manifest]) -> tuple[Record, ...]:
    found = (parse_record(each) for each in _of(owned, "ControllerRevision"))
    return tuple(sorted((r for r in found if r), key=lambda r: (r.number, r.name)))


def parse_record(manifest: Manifest) -> Record | None:
    """Return a revision, None for a ControllerRevision that does not hold one of ours."""
    match manifest.get("data"):
        case {"artifact": {"uri": str(uri), "digest": str(digest), **rest}, "template": dict(pod)}:
            secret = rest.get("secret")
            secret = secret if isinstance(secret, str) else None
            pinned = Pinned(uri=uri, digest=digest, secret=secret)
        case _:
            return None
    resolved_from = _annotation(manifest, ARTIFACT_HASH) or ""
    return Record(
        name=manifest["metadata"]["name"],
        number=manifest.get("revision", 0),
        pinned=pinned,
        template=pod,
        resolved_from=tuple(each for each in resolved_from.split(",") if each),
        port=manifest["data"].get("port", 8080),
        grpc_port=manifest["data"].get("grpcPort"),
    )


def parse_workload(manifest: Manifest) -> Workload:
    """Return a Deployment's numbers."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    ours = _annotation(manifest, REPLICAS)
    return Workload(
        revision=(meta.get("labels") or {}).get(REVISION, meta["name"]),
        replicas=manifest["spec"].get("replicas", 1),
        ours=int(ours) if ours and ours.isdecimal() else None,
        current=status.get("observedGeneration", 0) >= meta.get("generation", 0),
        updated=status.get("updatedReplicas", 0),
        total=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        refused=_true_condition(status, "ReplicaFailure").get("message", ""),
    )


def _workloads(owned: Iterable[Manifest], pods: Sequence[PodView]) -> Iterator[Workload]:
    """Yield the Deployments. Their own counts leave out pods whose monitor is dead."""
    for manifest in _of(owned, "Deployment"):
        told = parse_workload(manifest)
        serving = sum(pod.ready and pod.revision == told.revision for pod in pods)
        yield replace(told, ready=min(max(told.ready, serving), told.total))


def parse_run(manifest: Manifest) -> Run:
    """Return a resolving Job."""
    status = manifest.get("status") or {}
    outcome, condition = _outcome(status)
    return Run(
        child=parse_child(manifest),
        inputs=_annotation(manifest, INPUTS_HASH) or "",
        outcome=outcome,
        ended=parsed(condition.get("lastTransitionTime")) or (BEGINNING if outcome else None),
        message=condition.get("message", ""),
    )


def _outcome(status: Manifest) -> tuple[Literal["Complete", "Failed"] | None, dict[str, Any]]:
    if complete := _true_condition(status, "Complete"):
        return "Complete", complete
    if failed := _true_condition(status, "Failed"):
        return "Failed", failed
    return None, {}


def _true_condition(status: Manifest, kind: str) -> dict[str, Any]:
    for condition in status.get("conditions") or ():
        if condition["type"] == kind and condition["status"] == "True":
            return dict(condition)
    return {}


def _annotation(manifest: Manifest, name: str) -> str | None:
    value = (manifest["metadata"].get("annotations") or {}).get(name)
    return value if isinstance(value, str) else None

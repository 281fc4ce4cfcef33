"""Small Models and what belongs to them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from driftline_api.conditions import Reason
from driftline_api.drift import BaselineStatus, Observation
from driftline_api.model import ModelSpec, ModelStatus
from driftline_operator.core.plan import ObjectRef
from driftline_operator.drift.findings import DriftFindings, RevisionFindings
from driftline_operator.model.canonical import short_hash
from driftline_operator.model.children import resolver_name
from driftline_operator.model.containers import Images
from driftline_operator.model.observed import (
    Child,
    ContainerView,
    Ended,
    Observed,
    Pinned,
    PodView,
    Record,
    Run,
    Subject,
    Workload,
)
from driftline_operator.model.revision import artifact_hash
from driftline_operator.model.template import placement
from driftline_operator.router.traffic import RouterView

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
IMAGES = Images(serving="registry.example.com/driftline-serving:1")
DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
NAMESPACE = "team"


def later(**by: float) -> datetime:
    """Return NOW and so much."""
    return NOW + timedelta(**by)


def a_spec(
    digest: str | None = DIGEST, uri: str = "s3://models/iris.onnx", **spec: Any
) -> dict[str, Any]:
    """Return a Model's spec; `artifact` in `spec` adds to the artifact."""
    artifact = {"uri": uri, **({"digest": digest} if digest else {}), **spec.pop("artifact", {})}
    return {"artifact": artifact, **spec}


def a_model(name: str = "iris", **spec: Any) -> dict[str, Any]:
    """Return a Model as a user applies it."""
    return {
        "apiVersion": "driftline.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": a_spec(**spec),
    }


def a_subject(status: ModelStatus | None = None, **spec: Any) -> Subject:
    """Return a Model as it is gathered."""
    return Subject(
        name="iris",
        namespace=NAMESPACE,
        uid="uid-of-iris",
        generation=3,
        resource_version="77",
        spec=ModelSpec.model_validate(a_spec(**spec)),
        status=status or ModelStatus(),
    )


def a_record(name: str = "iris-aaaaaaaaaa", number: int = 1, **fields: Any) -> Record:
    """Return a stored revision."""
    template = {"spec": {"containers": [{"name": "server", "image": f"{name}:1"}]}}
    pinned = Pinned(uri=f"s3://models/{name}.onnx", digest=DIGEST)
    record = Record(name=name, number=number, pinned=pinned, template=template)
    return replace(record, **fields)


def a_watched_record(name: str, number: int = 1, **fields: Any) -> Record:
    """Return a stored revision whose pods hold a monitor and a server that tells it."""
    server = {"name": "server", "args": ["serve", "--tap", "/run/driftline/tap"]}
    template = {"spec": {"containers": [server, {"name": "monitor"}]}}
    return a_record(name, number, template=template, **fields)


def some_findings(revision: str, reason: Reason, **fields: Any) -> DriftFindings:
    """Return what was found of a revision's data: 40,000 rows of it."""
    found = RevisionFindings(
        revision=revision,
        reason=reason,
        summary="evidence 0.3 of 1 after 40,000 rows",
        action="Nobody need do anything.",
        question="Drift",
        since=NOW,
        rows=40_000,
        evidence=0.3,
        baseline=BaselineStatus(source="Profile", rows=10_000),
        observation=Observation(monitors=1, pods=1, seen=40_000),
    )
    revisions = {revision: replace(found, **fields)}
    return DriftFindings(uid="uid-of-iris", at=NOW, revisions=revisions)


def a_workload(
    revision: str = "iris-aaaaaaaaaa", ready: int = 1, replicas: int = 1, **fields: Any
) -> Workload:
    """Return a Deployment of which all pods exist and `ready` are ready."""
    workload = Workload(revision=revision, replicas=replicas, ready=ready, ours=replicas)
    counts = {"updated": replicas, "total": replicas}
    return replace(workload, **{**counts, **fields})


def the_run(**fields: Any) -> Run:
    """Return the Job that resolves the artifact of `a_spec(digest=None)`, still at it."""
    spec = ModelSpec.model_validate(a_spec(digest=None))
    name = resolver_name("iris", artifact_hash(spec.artifact))
    ref = ObjectRef(api_version="batch/v1", kind="Job", namespace=NAMESPACE, name=name)
    child = Child(ref=ref, uid="uid-of-job", resource_version="5")
    return replace(Run(child=child, inputs=short_hash(placement(spec, IMAGES))), **fields)


def a_pod(*containers: ContainerView, revision: str = "iris-aaaaaaaaaa", **fields: Any) -> PodView:
    """Return a pod that is not ready."""
    pod = PodView(name=f"{revision}-x", revision=revision, owner="uid-of-set", created=NOW)
    return replace(pod, containers=containers, **fields)


def a_container(name: str = "server", **fields: Any) -> ContainerView:
    """Return a container that is not ready."""
    return replace(ContainerView(name=name, image="team/server:1"), **fields)


def ended(code: int = 1, message: str = "", reason: str = "Error") -> Ended:
    """Return how a container ended."""
    return Ended(exit_code=code, reason=reason, message=message)


def observed(
    subject: Subject,
    *records: Record,
    workloads: Mapping[str, Workload] | None = None,
    **fields: Any,
) -> Observed:
    """Return an observation with one ready router."""
    seen = Observed(
        model=subject,
        records=records,
        workloads=workloads or {},
        router=RouterView(port=10_000, ready_replicas=1),
    )
    return replace(seen, **fields)

"""Every state that a Model can be in, as it is observed."""

from dataclasses import replace
from typing import Any

from driftline_api.conditions import Reason
from driftline_api.drift import BaselineStatus, Observation
from driftline_api.model import ModelStatus, Share, Traffic
from driftline_operator.core.plan import ObjectRef, Refusal
from driftline_operator.model.observed import Observed, Pinned, PodView, Workload
from driftline_operator.model.revision import revision_name
from driftline_operator.router.traffic import RouterView
from tests.model.builders import (
    DIGEST,
    NAMESPACE,
    NOW,
    a_container,
    a_pod,
    a_record,
    a_subject,
    a_watched_record,
    a_workload,
    ended,
    observed,
    some_findings,
    the_run,
)

OLD = "iris-oldoldoldo"
_URI = "s3://models/iris.onnx"
_SPEC = a_subject().spec
assert _SPEC
NEW = revision_name("iris", _SPEC, Pinned(uri=_URI, digest=DIGEST))


def whole(revision: str) -> Traffic:
    shares = [Share(arm="stable", revision=revision, weight=100)]
    return Traffic(epoch=1, shares=shares, clusters=[revision], acknowledged=True)


def a_state(
    stable: str | None = None,
    traffic: Traffic | None = None,
    *workloads: Workload,
    pods: tuple[PodView, ...] = (),
    **fields: Any,
) -> Observed:
    """Return a Model that wants NEW since NOW."""
    status = ModelStatus(
        stable_revision=stable,
        target_revision=NEW,
        target_since=NOW.isoformat(),
        traffic=traffic or Traffic(),
    )
    seen = observed(
        a_subject(status),
        a_record(OLD, 1),
        a_record(NEW, 2),
        workloads={each.revision: each for each in workloads},
        pods=pods,
        router=RouterView(port=10_000, ready_replicas=2, reached=frozenset({OLD, NEW})),
    )
    return replace(seen, **fields)


def a_rollout(ready: int = 0, **fields: Any) -> Observed:
    """Return OLD serving while NEW, published and acknowledged, comes up."""
    traffic = whole(OLD).model_copy(update={"clusters": sorted([OLD, NEW])})
    return a_state(OLD, traffic, a_workload(OLD), a_workload(NEW, ready), **fields)


def switched(acknowledged: bool) -> Observed:
    shares = [
        Share(arm="stable", revision=OLD, weight=0),
        Share(arm="canary", revision=NEW, weight=100),
    ]
    traffic = Traffic(
        epoch=2, shares=shares, clusters=sorted([OLD, NEW]), acknowledged=acknowledged
    )
    return a_state(OLD, traffic, a_workload(OLD), a_workload(NEW))


def broken_pod(revision: str = NEW) -> tuple[PodView, ...]:
    message = '{"reason":"DigestMismatch","message":"it is sha256:ff"}'
    return (a_pod(a_container("fetcher", ended=ended(message=message)), revision=revision),)


def unscheduled(revision: str = NEW) -> tuple[PodView, ...]:
    return (a_pod(revision=revision, unschedulable="0/1 nodes are available"),)


def refused(kind: str, name: str, reason: Any = "ChildRefused") -> dict[str, Any]:
    ref = ObjectRef(api_version="v1", kind=kind, namespace=NAMESPACE, name=name)
    return {"refusals": (Refusal(ref=ref, reason=reason, message="no"),)}


def resolving(stable: bool, message: str = "") -> Observed:
    pod = a_pod(
        a_container("resolver", ended=ended(message=message) if message else None),
        revision="",
        owner="uid-of-job",
    )
    status = ModelStatus(stable_revision=OLD, traffic=whole(OLD)) if stable else ModelStatus()
    return replace(
        a_state(OLD, whole(OLD), a_workload(OLD)) if stable else a_state(),
        model=a_subject(status, digest=None),
        runs=(the_run(),),
        pods=(pod,),
    )


GONE = '{"reason":"ArtifactNotFound","message":"nothing there"}'
NOT_LEFT = RouterView(problem="PortsExhausted")


def watched(reason: Reason, **fields: Any) -> Observed:
    """Return a Model that serves, and of whose data this was found."""
    return replace(
        a_state(NEW, whole(NEW), a_workload(NEW)),
        records=(a_record(OLD, 1), a_watched_record(NEW, 2)),
        drift=some_findings(NEW, reason, **fields),
    )


def refused_profile() -> Observed:
    problem = "the profile is of another model: sha256:ff"
    missing = BaselineStatus(problem=problem)
    return watched(Reason.BASELINE_MISSING, question=None, baseline=missing, summary=problem)


def untold_container() -> Observed:
    """A foreign server answers requests, and its monitor hears of none."""
    seen = watched(Reason.INSUFFICIENT_DATA, observation=Observation(unobserved=70))
    template = {"spec": {"containers": [{"name": "server"}, {"name": "monitor"}]}}
    return replace(seen, records=(a_record(NEW, 2, template=template),))


#: What is seen, and how many seconds after the target began.
STATES: dict[str, tuple[Observed, float]] = {
    "at first sight": (observed(a_subject()), 0),
    "first revision comes up": (a_state(None, whole(NEW), a_workload(NEW, 0)), 5),
    "first revision waits for a node": (
        a_state(None, whole(NEW), a_workload(NEW, 0), pods=unscheduled()),
        5,
    ),
    "first revision is ready, routers are not told": (a_state(None, None, a_workload(NEW)), 5),
    "first revision cannot be fetched": (
        a_state(None, whole(NEW), a_workload(NEW, 0), pods=broken_pod()),
        5,
    ),
    "first revision is too late": (a_state(None, whole(NEW), a_workload(NEW, 0)), 600),
    "stable serves, nothing to do": (a_state(NEW, whole(NEW), a_workload(NEW)), 5),
    "rollout comes up": (a_rollout(), 5),
    "rollout waits for a node": (a_rollout(pods=unscheduled()), 5),
    "rollout waited for a node for too long": (a_rollout(pods=unscheduled()), 600),
    "rollout is refused its artifact": (a_rollout(pods=broken_pod()), 5),
    "rollout is ready, weights are on their way": (a_rollout(1), 5),
    "rollout is late, but ready": (a_rollout(1), 6000),
    "switched, not every router has confirmed": (switched(acknowledged=False), 5),
    "promoted, not every router has confirmed": (switched(acknowledged=True), 5),
    "child is refused": (a_rollout(**refused("Deployment", NEW)), 5),
    "name is taken": (
        a_state(NEW, whole(NEW), a_workload(NEW), **refused("Service", "iris", "NameConflict")),
        5,
    ),
    "no port is left": (a_state(router=NOT_LEFT), 5),
    "spec cannot be": (
        replace(
            a_state(OLD, whole(OLD), a_workload(OLD)),
            model=a_subject(
                ModelStatus(stable_revision=OLD, traffic=whole(OLD)),
                podTemplate={"spec": {"volumes": [{"name": "tmp"}]}},
            ),
        ),
        5,
    ),
    "spec cannot be read": (
        replace(
            a_state(OLD, whole(OLD), a_workload(OLD)),
            model=replace(
                a_subject(ModelStatus(stable_revision=OLD, traffic=whole(OLD))),
                spec=None,
                unreadable="spec.artifact: Field required",
            ),
        ),
        5,
    ),
    "first artifact is being resolved": (resolving(stable=False), 5),
    "next artifact is not there": (resolving(stable=True, message=GONE), 5),
    "stable has too few pods": (
        replace(
            a_state(NEW, whole(NEW), a_workload(NEW, ready=1, replicas=2)),
            model=a_subject(ModelStatus(stable_revision=NEW, traffic=whole(NEW)), replicas=2),
        ),
        5,
    ),
    "stable has no pod left": (a_state(NEW, whole(NEW), a_workload(NEW, 0)), 5),
    "stable broke for good": (
        a_state(NEW, whole(NEW), a_workload(NEW, 0), pods=broken_pod()),
        6000,
    ),
    "no router is ready": (
        a_state(NEW, whole(NEW), a_workload(NEW), router=RouterView(port=10_000)),
        5,
    ),
    "data are as they were": (watched(Reason.NO_DRIFT), 5),
    "data have moved": (watched(Reason.COVARIATE_DRIFT), 5),
    "data are broken": (watched(Reason.DATA_INTEGRITY), 5),
    "labels say that the model is worse": (watched(Reason.CONCEPT_DRIFT), 5),
    "data are not those of training": (watched(Reason.TRAINING_SERVING_SKEW), 5),
    "too few rows to tell": (watched(Reason.INSUFFICIENT_DATA), 5),
    "profile is another model's": (refused_profile(), 5),
    "container tells nothing": (untold_container(), 5),
    "data have moved while a rollout comes up": (
        replace(
            a_rollout(),
            records=(a_watched_record(OLD, 1), a_watched_record(NEW, 2)),
            drift=some_findings(OLD, Reason.PREDICTION_DRIFT),
        ),
        5,
    ),
    "data have moved, and no router is ready": (
        replace(watched(Reason.COVARIATE_DRIFT), router=RouterView(port=10_000)),
        5,
    ),
}

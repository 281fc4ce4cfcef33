"""Renders the objects that a Model owns. Byte for byte the same for the same arguments."""

from collections.abc import Mapping
from typing import Any, Final

from driftline_api import API_VERSION
from driftline_api.model import Autoscaling, ModelSpec
from driftline_api.names import (
    ARTIFACT_HASH,
    COMPONENT,
    COMPONENT_MODEL_SERVER,
    COMPONENT_RESOLVER,
    COMPONENT_ROUTER,
    MANAGED_BY,
    MANAGER,
    MODEL,
    MONITOR,
    MONITOR_PORT,
    monitors_service,
)
from driftline_operator.core.plan import Manifest
from driftline_operator.model.annotations import INPUTS_HASH, REPLICAS
from driftline_operator.model.containers import SERVER, Identity
from driftline_operator.model.observed import Record, Subject
from driftline_operator.model.template import common_labels, pod_labels

#: A resolving Job gives up after this; longer than its own time-out, so that it can say why.
RESOLVE_SECONDS: Final = 3_600
RESOLVE_RETRIES: Final = 4
SERVICE_PORT: Final = 80


def owner_reference(model: Subject) -> dict[str, Any]:
    """Return what makes an object the Model's, to be collected with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "name": model.name,
        "uid": model.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _meta(
    model: Subject,
    name: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "name": name,
        "namespace": model.namespace,
        "labels": dict(labels),
        "ownerReferences": [owner_reference(model)],
    }
    return meta | ({"annotations": dict(annotations)} if annotations else {})


def _revision_meta(
    model: Subject, revision: str, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    labels = pod_labels(Identity(model=model.name, revision=revision))
    return _meta(model, revision, labels, annotations)


def _selector(model: Subject, revision: str) -> dict[str, str]:
    """Return what selects a revision's pods. Never changes: a Deployment's is immutable."""
    return pod_labels(Identity(model=model.name, revision=revision))


def render_controller_revision(model: Subject, record: Record) -> Manifest:
    """Return the ControllerRevision: all that a later operator needs to know of a revision."""
    pinned = record.pinned
    artifact = {"uri": pinned.uri, "digest": pinned.digest}
    secret = {"secret": pinned.secret} if pinned.secret else {}
    grpc_port = {"grpcPort": record.grpc_port} if record.grpc_port else {}
    annotations = {ARTIFACT_HASH: ",".join(record.resolved_from)} if record.resolved_from else None
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": _revision_meta(model, record.name, annotations),
        "revision": record.number,
        "data": {
            "artifact": {**artifact, **secret},
            "port": record.port,
            **grpc_port,
            "template": record.template,
        },
    }


def render_deployment(
    model: Subject, record: Record, replicas: int | None, deadline: int
) -> Manifest:
    """Return a revision's Deployment.

    Its template never changes, so its own strategy matters only when a person edited a pod
    template by hand, and that is undone; then too no pod goes before another is ready.

    Args:
        model: the owner.
        record: the revision.
        replicas: None leaves the number to whoever holds it now, an autoscaler.
        deadline: seconds without progress after which the Deployment says so.
    """
    held = {} if replicas is None else {"replicas": replicas}
    annotations = {} if replicas is None else {REPLICAS: str(replicas)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _revision_meta(model, record.name, annotations),
        "spec": {
            **held,
            "selector": {"matchLabels": _selector(model, record.name)},
            "template": record.template,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
            },
            "progressDeadlineSeconds": deadline,
            "revisionHistoryLimit": 0,
        },
    }


def render_headless_service(model: Subject, record: Record) -> Manifest:
    """Return the Service by whose name routers find a revision's pods.

    All of them, ready or not: routers ask each server themselves. A pod whose monitor is dead is
    not ready to Kubernetes, and serves as well as any.
    """
    ports = {"http": record.port, "grpc": record.grpc_port}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _revision_meta(model, record.name),
        "spec": {
            "clusterIP": "None",
            "selector": _selector(model, record.name),
            "publishNotReadyAddresses": True,
            "ports": [
                {"name": name, "port": port, "targetPort": port}
                for name, port in ports.items()
                if port
            ],
        },
    }


def render_monitors_service(model: Subject) -> Manifest:
    """Return the Service by whose name routers and monitors find all monitors of a Model.

    A pod that is not ready is among them: what it predicted, its monitor alone remembers.
    """
    name = monitors_service(model.name)
    port = {"name": MONITOR, "port": MONITOR_PORT, "targetPort": MONITOR_PORT}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(model, name, common_labels(model.name, COMPONENT_MODEL_SERVER)),
        "spec": {
            "clusterIP": "None",
            "selector": {
                MANAGED_BY: MANAGER,
                COMPONENT: COMPONENT_MODEL_SERVER,
                MODEL: model.name,
            },
            "publishNotReadyAddresses": True,
            "ports": [port],
        },
    }


def render_service(model: Subject, port: int) -> Manifest:
    """Return the Service that clients use. It leads to the routers of the namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(model, model.name, common_labels(model.name, COMPONENT_MODEL_SERVER)),
        "spec": {
            "type": "ClusterIP",
            "selector": {MANAGED_BY: MANAGER, COMPONENT: COMPONENT_ROUTER},
            "ports": [
                {"name": "http", "port": SERVICE_PORT, "targetPort": port, "protocol": "TCP"}
            ],
        },
    }


def render_autoscaler(model: Subject, revision: str, wanted: Autoscaling) -> Manifest:
    """Return the autoscaler of the revision that serves. It measures the server alone."""
    utilization = {"type": "Utilization", "averageUtilization": wanted.target_cpu_utilization}
    cpu = {"name": "cpu", "container": SERVER, "target": utilization}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _meta(model, model.name, common_labels(model.name, COMPONENT_MODEL_SERVER)),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": revision},
            "minReplicas": wanted.min_replicas,
            "maxReplicas": wanted.max_replicas,
            "metrics": [{"type": "ContainerResource", "containerResource": cpu}],
        },
    }


def render_disruption_budget(model: Subject, revision: str) -> Manifest:
    """Return the budget that lets one pod of a revision go at a time.

    Pods that are not ready may always go: a revision that cannot start must not keep a node
    from being drained.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _revision_meta(model, revision),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": _selector(model, revision)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def render_resolver(
    model: Subject, artifact_hash: str, inputs_hash: str, template: Manifest
) -> Manifest:
    """Return the Job that finds out a digest. It is deleted once its result is stored."""
    labels = common_labels(model.name, COMPONENT_RESOLVER)
    annotations = {ARTIFACT_HASH: artifact_hash, INPUTS_HASH: inputs_hash}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(model, resolver_name(model.name, artifact_hash), labels, annotations),
        "spec": {
            "backoffLimit": RESOLVE_RETRIES,
            "activeDeadlineSeconds": RESOLVE_SECONDS,
            "template": template,
        },
    }


def resolver_name(model: str, artifact_hash: str) -> str:
    """Return the name of the Job for one content of `spec.artifact`."""
    return f"{model}-resolve-{artifact_hash}"


def wants_budget(spec: ModelSpec) -> bool:
    """Tell whether there are always two pods or more, so that one may go."""
    return (spec.autoscaling.min_replicas if spec.autoscaling else spec.replicas) >= 2

"""What a Deployment becomes: its pods and its status, as the real controllers would write them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def replicas(deployment: Object) -> int:
    """Return how many pods it asks for."""
    return int(deployment["spec"].get("replicas", 1))


def pod(deployment: Object, ordinal: int) -> Object:
    """Return the manifest of one of its pods, bound to a node that nobody looks for."""
    template = deployment["spec"]["template"]
    meta = deployment["metadata"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": meta["name"],
        "uid": meta["uid"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-{ordinal}",
            "namespace": meta["namespace"],
            "labels": template["metadata"].get("labels", {}),
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {**template["spec"], "nodeName": "stand-in"},
    }


def pod_status(spec: Mapping[str, Any], ip: str, *, ready: bool) -> Object:
    """Return the status of a running pod."""
    at = now()
    conditions = [
        _condition("PodScheduled", at, true=True),
        _condition("Initialized", at, true=True),
        _condition("ContainersReady", at, true=ready),
        _condition("Ready", at, true=ready),
    ]
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}}
    running = {"running": {"startedAt": at}}
    return {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": at,
        "conditions": conditions,
        "initContainerStatuses": [_container(c, done) for c in spec.get("initContainers", [])],
        "containerStatuses": [_container(c, running, ready=ready) for c in spec["containers"]],
    }


def deployment_status(deployment: Object, ready: int) -> Object:
    """Return the status of a Deployment of which all pods exist and `ready` are Ready."""
    at = now()
    wanted = replicas(deployment)
    complete = ready >= wanted
    progress = "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated"
    available = "MinimumReplicasAvailable" if complete else "MinimumReplicasUnavailable"
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": wanted,
        "updatedReplicas": wanted,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": wanted - ready,
        "conditions": [
            _condition("Available", at, true=complete) | {"reason": available, "message": ""},
            _condition("Progressing", at, true=True) | {"reason": progress, "message": ""},
        ],
    }


def _condition(kind: str, at: str, *, true: bool) -> Object:
    return {"type": kind, "status": "True" if true else "False", "lastTransitionTime": at}


def _container(container: Object, state: Object, *, ready: bool = True) -> Object:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"{container['image']}@bench",
        "containerID": f"bench://{container['name']}",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    }

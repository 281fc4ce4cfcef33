"""The objects of a namespace's routers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from driftline_api.names import (
    COMPONENT,
    COMPONENT_ROUTER,
    MANAGED_BY,
    MANAGER,
    ROUTER,
)
from driftline_operator.core.plan import Manifest
from driftline_operator.router.bootstrap import (
    ADMIN_PORT,
    READY_PORT,
    STATS_PORT,
    XDS_PORT,
    render_bootstrap,
)

LABELS: Final = {MANAGED_BY: MANAGER, COMPONENT: COMPONENT_ROUTER}
BOOTSTRAP: Final = f"{ROUTER}-bootstrap"
BOOTSTRAP_HASH: Final = "driftline.dev/bootstrap-hash"
CONFIG_DIR: Final = "/etc/driftline"
#: The user of the upstream image.
ENVOY_USER: Final = 101
#: Until a pod that leaves has left every node's Service rules.
SETTLE_SECONDS: Final = 10
#: For what is under way then: as long as the longest request may take.
FINISH_SECONDS: Final = 300
GRACE_SECONDS: Final = SETTLE_SECONDS + FINISH_SECONDS + 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig:
    """What the operator's installation says about routers.

    `cluster_domain` is the suffix of the cluster's Service names.
    """

    image: str
    xds_host: str
    xds_port: int = XDS_PORT
    replicas: int = 2
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)
    cluster_domain: str = "cluster.local"


def render_manifests(namespace: str, config: RouterConfig) -> tuple[Manifest, ...]:
    """Return all objects of the routers but the ConfigMap of their state."""
    files_ = _files(config)
    digest = hashlib.sha256(json.dumps(files_, sort_keys=True).encode()).hexdigest()[:16]
    return (
        {**_object("v1", "ConfigMap", namespace, BOOTSTRAP), "data": files_},
        _deployment(namespace, config, digest),
        _disruption_budget(namespace),
    )


def state_manifest(
    namespace: str, data: Mapping[str, str], resource_version: str | None
) -> Manifest:
    """Return the ConfigMap of the routers' state, to be written only over what was read."""
    manifest = _object("v1", "ConfigMap", namespace, ROUTER)
    if resource_version:
        manifest["metadata"]["resourceVersion"] = resource_version
    return {**manifest, "data": dict(data)}


def _object(api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": dict(LABELS)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _files(config: RouterConfig) -> dict[str, str]:
    bootstrap = render_bootstrap(config.xds_host, config.xds_port)
    return {
        "envoy.json": json.dumps(bootstrap, sort_keys=True, indent=1),
        "drain.sh": files(__package__).joinpath("drain.sh").read_text(),
    }


def _disruption_budget(namespace: str) -> Manifest:
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": dict(LABELS)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return {**_object("policy/v1", "PodDisruptionBudget", namespace, ROUTER), "spec": spec}


def _deployment(namespace: str, config: RouterConfig, digest: str) -> Manifest:
    spec = {
        "replicas": config.replicas,
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": dict(LABELS)},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": dict(LABELS), "annotations": {BOOTSTRAP_HASH: digest}},
            "spec": _pod_spec(config),
        },
    }
    return {**_object("apps/v1", "Deployment", namespace, ROUTER), "spec": spec}


def _pod_spec(config: RouterConfig) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [_container(config)],
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": ENVOY_USER,
            "runAsGroup": ENVOY_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "topologySpreadConstraints": [
            _spread("kubernetes.io/hostname"),
            _spread("topology.kubernetes.io/zone"),
        ],
        "volumes": [{"name": "bootstrap", "configMap": {"name": BOOTSTRAP}}],
    }
    if config.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in config.pull_secrets]
    return spec


def _spread(topology: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(LABELS)},
    }


def _container(config: RouterConfig) -> dict[str, Any]:
    """Return the container.

    It has no liveness probe: a router that waits for its configuration must not be restarted
    for it, and Envoy ends itself when a thread hangs (`watchdogs` in the bootstrap).
    """
    return {
        "name": "envoy",
        "image": config.image,
        "imagePullPolicy": config.pull_policy,
        "command": ["envoy"],
        "args": envoy_args(f"{CONFIG_DIR}/envoy.json", concurrency(config.resources)),
        "env": [_downward("POD_NAME", "name"), _downward("POD_NAMESPACE", "namespace")],
        "ports": [
            {"name": "ready", "containerPort": READY_PORT},
            {"name": "stats", "containerPort": STATS_PORT},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": "ready"},
            "periodSeconds": 1,
            "failureThreshold": 3,
        },
        "lifecycle": {"preStop": {"exec": {"command": _drain_command()}}},
        "resources": dict(config.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "bootstrap", "mountPath": CONFIG_DIR, "readOnly": True}],
    }


def _downward(variable: str, field_: str) -> dict[str, Any]:
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.{field_}"}}
    return {"name": variable, "valueFrom": source}


def _drain_command() -> list[str]:
    numbers = (ADMIN_PORT, SETTLE_SECONDS, FINISH_SECONDS)
    return ["bash", f"{CONFIG_DIR}/drain.sh", *(str(number) for number in numbers)]


def envoy_args(
    bootstrap: str, threads: int, node: str = "$(POD_NAMESPACE)/$(POD_NAME)"
) -> list[str]:
    """Return Envoy's command line. The kubelet fills in the node's id."""
    options = {
        "--config-path": bootstrap,
        "--service-node": node,
        "--service-cluster": ROUTER,
        "--concurrency": str(threads),
        "--log-level": "warning",
        "--drain-time-s": "30",
        "--drain-strategy": "immediate",
    }
    return ["--disable-hot-restart", *(word for option in options.items() for word in option)]


def concurrency(resources: Mapping[str, Any]) -> int:
    """Return how many threads serve requests: one for each whole CPU of the limit, 2 without one.

    >>> concurrency({"limits": {"cpu": "2500m"}})
    2
    """
    limit = str((resources.get("limits") or {}).get("cpu", "2"))
    cpus = float(limit.removesuffix("m")) / 1000 if limit.endswith("m") else float(limit)
    return max(1, int(cpus))

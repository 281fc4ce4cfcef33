"""What ServiceMonitors and PodMonitors select on a cluster, as the Prometheus operator would."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.kubectl import Kubectl, Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One endpoint.

    Attributes:
        address: host:port.
        labels: that its series get.
    """

    address: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def for_file(self) -> dict[str, Any]:
        """Return it as an entry of a file that Prometheus reads."""
        return {"targets": [self.address], "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Endpoints of one kind.

    Attributes:
        path, params: of the request.
        honor_labels: whether a series' own labels win over the target's.
    """

    name: str
    targets: Sequence[Target]
    path: str = "/metrics"
    params: Mapping[str, Sequence[str]] = field(default_factory=dict)
    honor_labels: bool = False


def jobs(kubectl: Kubectl, monitors: Sequence[Object]) -> list[Job]:
    """Return what rendered ServiceMonitors and PodMonitors select now.

    A Service's pods are found by its selector, as endpoints are.
    """
    return [job for monitor in monitors for job in _jobs(kubectl, monitor)]


def _jobs(kubectl: Kubectl, monitor: Object) -> Iterator[Job]:
    spec = monitor["spec"]
    ends = spec.get("endpoints") or spec["podMetricsEndpoints"]
    groups = _of_services(kubectl, monitor) if "endpoints" in spec else [_of_pods(kubectl, spec)]
    for end in ends:
        yield Job(
            name=f"{monitor['metadata']['name']}-{end['port']}",
            targets=[
                Target(address=f"{pod['status']['podIP']}:{port}", labels=labels)
                for group in groups
                for pod in group.pods
                for port, labels in _of_pod(pod, group.ports.get(end["port"], end["port"]), spec)
            ],
            path=end["path"],
            params=end.get("params", {}),
            honor_labels=end.get("honorLabels", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Pods, and what a Service calls their ports: the name or number in the pod by its own name."""

    pods: Sequence[Object]
    ports: Mapping[str, str | int] = field(default_factory=dict)


def _of_services(kubectl: Kubectl, monitor: Object) -> list[_Group]:
    namespace = monitor["metadata"]["namespace"]
    services = kubectl.list(namespace, "services", monitor["spec"]["selector"]["matchLabels"])
    return [
        _Group(
            pods=_running(kubectl.list(namespace, "pods", each["spec"]["selector"])),
            ports={port["name"]: port["targetPort"] for port in each["spec"]["ports"]},
        )
        for each in services
    ]


def _of_pods(kubectl: Kubectl, spec: Object) -> _Group:
    return _Group(pods=_running(kubectl.list_everywhere("pods", spec["selector"]["matchLabels"])))


def _running(pods: Sequence[Object]) -> list[Object]:
    return [
        pod
        for pod in pods
        if pod["status"].get("podIP")
        and pod["status"].get("phase") == "Running"
        and "deletionTimestamp" not in pod["metadata"]
    ]


def _of_pod(pod: Object, port: str | int, spec: Object) -> list[tuple[int, dict[str, str]]]:
    """Return the numbers of a named port, with the labels that the Prometheus operator adds."""
    meta = pod["metadata"]
    labels = {"namespace": meta["namespace"], "pod": meta["name"]}
    for name in spec.get("podTargetLabels", []):
        if name in meta.get("labels", {}):
            labels[re.sub(r"[^a-zA-Z0-9_]", "_", name)] = meta["labels"][name]
    return [
        (each["containerPort"], {**labels, "container": container["name"]})
        for container in pod["spec"]["containers"]
        for each in container.get("ports", [])
        if port in (each.get("name"), each["containerPort"])
    ]

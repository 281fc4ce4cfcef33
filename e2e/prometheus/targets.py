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
    """

    name: str
    targets: Sequence[Target]
    path: str = "/metrics"
    params: Mapping[str, Sequence[str]] = field(default_factory=dict)


def jobs(kubectl: Kubectl, monitors: Sequence[Object]) -> list[Job]:
    """Return what rendered ServiceMonitors and PodMonitors select now.

    A Service's pods are found by its selector, as endpoints are.
    """
    return [job for monitor in monitors for job in _jobs(kubectl, monitor)]


def _jobs(kubectl: Kubectl, monitor: Object) -> Iterator[Job]:
    spec = monitor["spec"]
    ends = spec.get("endpoints") or spec["podMetricsEndpoints"]
    pods = _pods(kubectl, monitor)
    for end in ends:
        yield Job(
            name=f"{monitor['metadata']['name']}-{end['port']}",
            targets=[
                Target(address=f"{pod['status']['podIP']}:{port}", labels=labels)
                for pod in pods
                for port, labels in _of_pod(pod, end["port"], spec)
            ],
            path=end["path"],
            params=end.get("params", {}),
        )


def _pods(kubectl: Kubectl, monitor: Object) -> list[Object]:
    wanted = dict(monitor["spec"]["selector"]["matchLabels"])
    if monitor["kind"] == "ServiceMonitor":
        namespace = monitor["metadata"]["namespace"]
        services = kubectl.list(namespace, "services", wanted)
        selectors = [(namespace, each["spec"]["selector"]) for each in services]
    else:
        selectors = [("", wanted)]
    pods = [pod for where, chosen in selectors for pod in _list(kubectl, where, chosen)]
    return [pod for pod in pods if pod["status"].get("podIP") and _runs(pod)]


def _list(kubectl: Kubectl, namespace: str, labels: Mapping[str, str]) -> Sequence[Object]:
    if namespace:
        return kubectl.list(namespace, "pods", labels)
    return kubectl.list_everywhere("pods", labels)


def _runs(pod: Object) -> bool:
    return (
        bool(pod["status"].get("phase") == "Running") and "deletionTimestamp" not in pod["metadata"]
    )


def _of_pod(pod: Object, port: str, spec: Object) -> list[tuple[int, dict[str, str]]]:
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
        if each.get("name") == port
    ]

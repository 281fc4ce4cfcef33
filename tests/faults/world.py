"""The world around the operator, as far as it reacts: workload controllers, kubelet, routers.

Small and obedient, but slow: each acts only when a schedule lets it, so that the operator is
seen with the world in any state of catching up.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from driftline_api.names import COMPONENT, COMPONENT_ROUTER, MANAGED_BY, MONITOR, REVISION
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.model.containers import SERVER
from driftline_operator.router.inputs import Routed
from driftline_operator.router.observe import Configuration
from driftline_operator.router.traffic import Acknowledged
from tests.contract.memory import MemoryApi

NAMESPACE = "team"
#: In a URI: this model never gets ready, or its artifact is not there.
BROKEN, MISSING = "broken", "missing"

_CRASHED: Manifest = {
    "name": MONITOR,
    "ready": False,
    "restartCount": 7,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
}

Served = dict[str, tuple[dict[str, int], frozenset[str]]]


def digest_of(uri: str) -> str:
    """Return what a resolver finds at a URI."""
    return f"sha256:{hashlib.sha256(uri.encode()).hexdigest()}"


def condition(kind: str, status: str, reason: str = "Simulated", message: str = "") -> Manifest:
    return {"type": kind, "status": status, "reason": reason, "message": message}


@dataclass(slots=True)
class Router:
    """One router pod: the configuration it has taken, if any."""

    version: int = 0
    models: Served = field(default_factory=dict)

    def take(self, configuration: Configuration) -> None:
        """Take what a replica offers, unless it cannot vouch for it or we know newer."""
        offer = configuration.offer
        if offer.coherent and offer.version > self.version:
            self.version = offer.version
            self.models = {each.model: _served(each) for each in configuration.routed}


def _served(routed: Routed) -> tuple[dict[str, int], frozenset[str]]:
    traffic = routed.wanted.traffic
    weights = {share.revision: share.weight for share in traffic.shares if share.weight}
    return weights, frozenset(traffic.clusters)


class Workloads:
    """Deployments, Jobs and their pods."""

    def __init__(self, api: MemoryApi, now: Callable[[], str]) -> None:
        self._api = api
        self._now = now
        self._made = 0
        #: Pods whose monitor is down.
        self.unwatched: set[str] = set()
        self.routers: dict[str, Router] = {}

    def tick(self) -> None:
        """Take each Deployment and Job one step further."""
        for deployment in self._api.everything("Deployment"):
            self._scale(deployment)
        for job in self._api.everything("Job"):
            self._run(job)
        self._api.collect_garbage()

    def kubelet(self) -> None:
        """Start what waits, and report."""
        for pod in self._api.everything("Pod"):
            if pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
                continue
            status = self._pod_status(pod)
            if status != pod.get("status"):
                self._api.set_status(ObjectRef.of(pod), status)
        for deployment in self._api.everything("Deployment"):
            self._report(deployment)

    def ready_routers(self) -> Iterator[Router]:
        """Return the routers that get traffic."""
        for pod in self._api.everything("Pod"):
            if _is_router(pod) and _is_ready(pod):
                yield self.routers[pod["metadata"]["uid"]]

    def fetch(self, offered: Callable[[], Configuration]) -> None:
        """Let every router ask for its configuration, of whichever replica."""
        for pod in self._api.everything("Pod"):
            if _is_router(pod):
                self.routers.setdefault(pod["metadata"]["uid"], Router()).take(offered())

    def served(self, pod_uid: str) -> Acknowledged:
        """Return what a router pod reports: its version, and the ready servers that it knows."""
        router = self.routers.get(pod_uid, Router())
        known = {revision for _, clusters in router.models.values() for revision in clusters}
        ready = {
            pod["metadata"]["labels"].get(REVISION, "")
            for pod in self._api.everything("Pod")
            if _answers(pod)
        }
        version = router.version
        reached = frozenset(known & ready)
        return Acknowledged(listeners=version, clusters=version, routes=version, reached=reached)

    def _scale(self, deployment: Manifest) -> None:
        """Make and remove pods at once; those of an old template go when new ones are ready."""
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        shape = _digest(spec["template"])
        pods = self._pods_of(deployment)
        fresh = [pod for pod in pods if pod["metadata"]["annotations"]["shape"] == shape]
        for _ in range(spec["replicas"] - len(fresh)):
            self._make_pod(deployment, f"{name}-{self._next()}", spec["template"], shape)
        for extra in fresh[spec["replicas"] :]:
            self._api.delete_now(ObjectRef.of(extra))
        if len([pod for pod in fresh if _is_ready(pod)]) >= spec["replicas"]:
            for old in pods:
                if old not in fresh:
                    self._api.delete_now(ObjectRef.of(old))
        self._report(deployment)

    def _report(self, deployment: Manifest) -> None:
        pods = self._pods_of(deployment)
        shape = _digest(deployment["spec"]["template"])
        ready = sum(_is_ready(pod) for pod in pods)
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": sum(p["metadata"]["annotations"]["shape"] == shape for p in pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": [condition("Available", "True" if ready else "False")],
        }
        if status != deployment.get("status"):
            self._api.set_status(ObjectRef.of(deployment), status)

    def _run(self, job: Manifest) -> None:
        """Run a Job to its end, its pod's termination message included."""
        if job.get("status", {}).get("conditions"):
            return
        template = job["spec"]["template"]
        name = f"{job['metadata']['name']}-{self._next()}"
        pod = self._make_pod(job, name, template, _digest(template))
        uri = _uri_of(template)
        failed = MISSING in uri
        message = (
            {"reason": "ArtifactNotFound", "message": f"{uri} is not there"}
            if failed
            else {"digest": digest_of(uri), "size": 1}
        )
        ended = {
            "exitCode": int(failed),
            "reason": "Error" if failed else "Completed",
            "message": json.dumps(message),
        }
        containers = [
            {"name": each["name"], "state": {"terminated": ended}}
            for each in template["spec"]["containers"]
        ]
        phase = "Failed" if failed else "Succeeded"
        self._api.set_status(ObjectRef.of(pod), {"phase": phase, "containerStatuses": containers})
        ending = condition("Failed" if failed else "Complete", "True")
        moment = {"lastTransitionTime": self._now()}
        self._api.set_status(ObjectRef.of(job), {"conditions": [{**ending, **moment}]})

    def _make_pod(self, owner: Manifest, name: str, template: Manifest, shape: str) -> Manifest:
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
        metadata = {
            "name": name,
            "namespace": NAMESPACE,
            "labels": template["metadata"]["labels"],
            "annotations": {"shape": shape},
            "ownerReferences": [reference],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        return self._api.create_as("controllers", pod)

    def _pod_status(self, pod: Manifest) -> dict[str, Any]:
        names = [each["name"] for each in pod["spec"]["containers"]]
        if _is_router(pod):
            runs, ready = True, self.served(pod["metadata"]["uid"]).version > 0
        else:
            runs = ready = BROKEN not in _uri_of(pod)
        state = {"running": {}} if runs else {"waiting": {"reason": "CrashLoopBackOff"}}
        down = {MONITOR} if pod["metadata"]["name"] in self.unwatched else set()
        whole = ready and not down
        return {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "conditions": [condition("Ready", "True" if whole else "False")],
            "containerStatuses": [
                _CRASHED
                if name in down
                else {"name": name, "ready": ready, "restartCount": 0, "state": state}
                for name in names
            ],
        }

    def _pods_of(self, owner: Manifest) -> list[Manifest]:
        uid = owner["metadata"]["uid"]
        return [
            pod
            for pod in self._api.everything("Pod")
            if any(each["uid"] == uid for each in pod["metadata"]["ownerReferences"])
        ]

    def _next(self) -> int:
        self._made += 1
        return self._made


def _is_router(pod: Manifest) -> bool:
    labels = pod["metadata"]["labels"]
    assert labels.get(MANAGED_BY), "a pod without our label is not watched"
    return bool(labels.get(COMPONENT) == COMPONENT_ROUTER)


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _answers(pod: Manifest) -> bool:
    """Tell whether a pod's server is ready, whatever its monitor does."""
    containers = pod.get("status", {}).get("containerStatuses", ())
    return any(each["name"] == SERVER and each["ready"] for each in containers)


def _uri_of(holder: Manifest) -> str:
    """Return the artifact's URI, wherever in the pod's arguments it stands."""
    for container in (
        *holder["spec"].get("initContainers", ()),
        *holder["spec"].get("containers", ()),
    ):
        arguments = container.get("args", [])
        if "--uri" in arguments:
            return str(arguments[arguments.index("--uri") + 1])
    return ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

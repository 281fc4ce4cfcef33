"""A cluster in memory in which only the operator is real: API, kubelet and routers are stood in.

The core's own Store and executor carry the plans out, and the routers have their own real
controller. What pods do is said by the test; routers serve whatever version they are told to.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from driftline_api.model import ModelStatus, Traffic
from driftline_operator.core.clock import Clock
from driftline_operator.core.controller import Controller
from driftline_operator.core.executor import Executor
from driftline_operator.core.kinds import KINDS
from driftline_operator.core.plan import Key, Manifest, ObjectRef
from driftline_operator.core.reconciler import Reconciler
from driftline_operator.core.store import Store
from driftline_operator.model.containers import Images
from driftline_operator.model.controller import ModelController
from driftline_operator.router.acks import RouterAcks
from driftline_operator.router.controller import RouterController
from driftline_operator.router.manifests import LABELS, RouterConfig
from driftline_operator.router.state import parse_state
from driftline_operator.router.traffic import Agreed
from tests.contract.memory import MemoryApi, WatchEvent
from tests.model.builders import IMAGES, NAMESPACE, NOW

MODEL = Key(controller="model", namespace=NAMESPACE, name="iris")
ROUTER = Key(controller="router", namespace=NAMESPACE)
_REF = ObjectRef(
    api_version="driftline.dev/v1alpha1", kind="Model", namespace=NAMESPACE, name="iris"
)
#: The routers' controller collects changes for less than this.
PUBLISHING = 2.0
_API = {kind.kind: kind.api_version for kind in KINDS.values()}


class Writes:
    """Counts what the operator writes."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []

    def permit(self) -> None:
        """Always."""

    def count(self, kind: str, verb: str) -> None:
        self.done.append((kind, verb))


class World:
    """One Model, its routers, and time."""

    def __init__(self, images: Images = IMAGES) -> None:
        self.memory = MemoryApi()
        self.store = Store()
        self.writes = Writes()
        self.acks = RouterAcks()
        self.now = NOW
        self.changes = 0
        self.broken: set[str] = set()
        #: What one router or another may serve at this moment.
        self.served: list[Traffic] = []
        self.checks: list[Callable[[World], None]] = []
        self.memory.watchers.append(self._watch)
        self.executor = Executor(self.memory, self.store, self.writes)
        self.restart(images)
        self._router_pod()

    def restart(self, images: Images) -> None:
        """Start the operator anew, with nothing in its memory and perhaps other images."""
        self.acks = RouterAcks()
        config = RouterConfig(image="envoy:1", xds_host="operator")
        controllers: list[Controller] = [
            ModelController(images, self.acks),
            RouterController(config),
        ]
        clock = Clock(now=lambda: self.now, monotonic=lambda: 0.0)
        self.executor = Executor(self.memory, self.store, self.writes)
        self.reconciler = Reconciler(controllers, self.store, self.executor, clock=clock)

    def _watch(self, event: WatchEvent) -> None:
        self.changes += 1
        if event.type == "DELETED":
            self.store.drop(event.manifest)
        else:
            self.store.put(event.manifest)
        for check in self.checks:
            check(self)

    def _router_pod(self) -> None:
        meta = {"name": "router-1", "namespace": NAMESPACE, "labels": dict(LABELS)}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
        self.memory.create_as("test", pod)
        conditions = [{"type": "Ready", "status": "True"}]
        ref = ObjectRef.of(pod)
        self.memory.set_status(ref, {"conditions": conditions, "podIP": "10.0.0.9"})

    def apply(self, model: Manifest) -> None:
        """Apply the Model, as a user does."""
        self.memory.apply_as("user", model, force=True)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Edit the Model's spec."""
        self.memory.edit(_REF, lambda model: change(model["spec"]))

    @property
    def status(self) -> ModelStatus:
        """The Model's status, an empty one before there is a Model."""
        found = self.memory.find(_REF) or {}
        return ModelStatus.model_validate(found.get("status") or {})

    def condition(self, kind: str) -> tuple[str, str]:
        """Return a condition's status and reason, empty where it is absent."""
        found = (each for each in self.status.conditions if each.type == kind)
        return next(((each.status, each.reason) for each in found), ("", ""))

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind that bear the Model's label."""
        return [
            each["metadata"]["name"]
            for each in self.memory.everything(kind)
            if "driftline.dev/model" in each["metadata"].get("labels", {})
        ]

    def find(self, kind: str, name: str) -> Manifest | None:
        """Return an object."""
        return self.memory.find(self.ref(kind, name))

    def ref(self, kind: str, name: str) -> ObjectRef:
        """Return the reference of an object."""
        return ObjectRef(api_version=_API[kind], kind=kind, namespace=NAMESPACE, name=name)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, as a person does."""
        self.memory.delete_now(self.ref(kind, name))

    def events(self) -> list[str]:
        """Return the reasons of all Events, oldest first."""
        made = self.memory.everything("Event")
        return [event["reason"] for event in sorted(made, key=_version)]

    def reconcile(self, key: Key = MODEL) -> float | None:
        """Reconcile once; return when the operator wants to look again."""
        return asyncio.run(self.reconciler.reconcile(key))

    def pods_turn(self) -> None:
        """Let every Deployment have its pods ready, the broken ones none."""
        for deployment in self.memory.everything("Deployment"):
            name = deployment["metadata"]["name"]
            wanted = deployment["spec"]["replicas"]
            status = {
                "observedGeneration": deployment["metadata"]["generation"],
                "replicas": wanted,
                "updatedReplicas": wanted,
                "readyReplicas": 0 if name in self.broken else wanted,
            }
            if deployment.get("status") != status:
                self.memory.set_status(ObjectRef.of(deployment), status)

    def publish(self) -> None:
        """Let the routers' controller publish; from now on some routers may serve that."""
        while (due := self.reconcile(ROUTER)) and due <= PUBLISHING:
            self.now += timedelta(seconds=due)
        self.served.append(self.status.traffic)

    def hear(self) -> None:
        """Let every router serve what is published, and the operator hear of it."""
        state = parse_state(self.find("ConfigMap", "driftline-router"))
        there = {each["metadata"]["name"] for each in self.memory.everything("Deployment")}
        reached = frozenset(there - self.broken)
        self.acks.note(NAMESPACE, Agreed(version=state.version, reached=reached))
        self.served = self.served[-1:]

    def routers_turn(self) -> None:
        """Let the routers' controller publish, and every router serve that."""
        self.publish()
        self.hear()

    def turn(self) -> None:
        """Let everybody act once."""
        self.reconcile()
        self.pods_turn()
        self.routers_turn()

    def settle(self, turns: int = 12) -> None:
        """Let everybody act until nobody changes anything; time stands still, or nearly."""
        for _ in range(turns):
            before = self.changes
            self.turn()
            if self.changes == before:
                self.reconcile()
                if self.changes == before:
                    return
        raise AssertionError(f"still writing: {self.writes.done[-8:]}")

    def finish(self) -> None:
        """Settle, and let time pass until nothing more is due."""
        for _ in range(12):
            self.settle()
            due = self.reconcile()
            if due is None:
                return
            self.now += timedelta(seconds=due)
        raise AssertionError("always something due")


def _version(manifest: Manifest) -> int:
    return int(manifest["metadata"]["resourceVersion"])


def weights(world: World) -> dict[str, int]:
    """Return what percent of the requests each revision gets."""
    return {share.revision: share.weight for share in world.status.traffic.shares if share.weight}

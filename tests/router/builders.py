"""Small cluster states for the tests of the routers."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from driftline_api.model import Share, Traffic
from driftline_operator.core.controller import Change
from driftline_operator.core.plan import Key, Manifest, Plan
from driftline_operator.core.store import Store
from driftline_operator.router.controller import RouterController
from driftline_operator.router.manifests import LABELS, RouterConfig

NAMESPACE = "team"
KEY = Key(controller="router", namespace=NAMESPACE)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONFIG = RouterConfig(image="envoy:test", xds_host="driftline-operator.driftline.svc")

_versions = itertools.count(1)


def traffic(
    *clusters: str, stable: str | None = None, canary: tuple[str, int] | None = None, epoch: int = 1
) -> Traffic:
    """Return traffic: `stable` gets what `canary`, a revision and its weight, leaves."""
    shares = []
    if stable:
        weight = 100 - (canary[1] if canary else 0)
        shares.append(Share(arm="stable", revision=stable, weight=weight))
    if canary:
        shares.append(Share(arm="canary", revision=canary[0], weight=canary[1]))
    return Traffic(epoch=epoch, shares=shares, clusters=sorted(clusters))


def a_model(
    name: str = "iris", wants: Traffic | None = None, *, uid: str = "", **status: Any
) -> dict[str, Any]:
    """Return a Model as the API server shows it."""
    shown = (wants or Traffic()).model_dump(mode="json", by_alias=True)
    return {
        "apiVersion": "driftline.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": uid or f"uid-of-{name}"},
        "status": {"traffic": shown, **status},
    }


def a_router_pod(
    name: str = "driftline-router-1",
    address: str = "10.0.0.1",
    *,
    ready: bool = True,
    restarts: int = 0,
) -> dict[str, Any]:
    """Return a router pod whose container runs."""
    container = {"restartCount": restarts, "ready": ready, "state": {"running": {}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": name, "labels": dict(LABELS)},
        "status": {
            "podIP": address,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [container],
        },
    }


class Cluster:
    """A Store, the router's controller, and a clock that the test moves.

    Plans are carried out as the executor does: applied objects are put, deleted ones dropped.
    """

    def __init__(self, *manifests: Mapping[str, Any]) -> None:
        self.store = Store()
        self.random = Random(7)
        self.controller = RouterController(CONFIG, random=self.random.randbytes)
        self.now = NOW
        for manifest in manifests:
            self.put(manifest)

    def put(self, manifest: Mapping[str, Any]) -> Change | None:
        """Store a manifest as the API server would return it."""
        meta = {"uid": manifest["metadata"]["name"], **manifest["metadata"]}
        meta["resourceVersion"] = str(next(_versions))
        return self.store.put({**manifest, "metadata": meta})

    def remove(self, kind: str, name: str) -> Change | None:
        """Delete an object."""
        manifest = self.store.find(kind, NAMESPACE, name)
        assert manifest is not None
        manifest = dict(manifest)
        manifest["metadata"]["resourceVersion"] = str(next(_versions))
        return self.store.drop(manifest)

    def wait(self, **duration: float) -> None:
        """Let time pass."""
        self.now += timedelta(**duration)

    def plan(self) -> Plan:
        """Return what the controller would do."""
        observed = self.controller.gather(KEY, self.store, ())
        assert observed is not None
        return self.controller.plan(observed, self.now)

    def reconcile(self) -> Plan:
        """Carry out what the controller would do."""
        plan = self.plan()
        for manifest in plan.apply:
            self.put(manifest)
        for deletion in plan.delete:
            self.remove(deletion.ref.kind, deletion.ref.name)
        return plan

    def find(self, kind: str, name: str) -> Manifest | None:
        """Return an object."""
        return self.store.find(kind, NAMESPACE, name)

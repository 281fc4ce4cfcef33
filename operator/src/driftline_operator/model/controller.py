"""The Model's controller, as the core sees it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from driftline_api.names import COMPONENT, COMPONENT_ROUTER, MODEL, ROUTER
from driftline_operator.core.controller import Change, Snapshot
from driftline_operator.core.plan import Key, Manifest, ObjectRef, Plan, Refusal
from driftline_operator.drift.findings import DriftBoard
from driftline_operator.model.containers import Images
from driftline_operator.model.gather import gather
from driftline_operator.model.observed import Observed
from driftline_operator.model.plan import plan_model
from driftline_operator.router.acks import RouterAcks
from driftline_operator.router.observe import Observer, ready_routers
from driftline_operator.router.traffic import RouterView, router_view

_NAME: Final = "model"


class ModelController:
    """Turns a Model into revisions, children, traffic and status.

    Args:
        images: what new pods are made with; those that exist keep what they were made with.
        acks: what the routers last reported. The poller writes it and enqueues the Models whose
            acknowledgement changed; here it is only read, while gathering.
        observer: reads ConfigMaps of routers, shared with the router's controller to parse
            each state only once.
        board: what was found of each Model's data. The drift loop writes it and enqueues the
            Models concerned.
    """

    name = _NAME
    settle = 0.0

    def __init__(
        self,
        images: Images,
        acks: RouterAcks,
        observer: Observer | None = None,
        board: DriftBoard | None = None,
    ) -> None:
        self._images = images
        self._acks = acks
        self._observer = observer or Observer()
        self._board = board or DriftBoard()

    def keys_for(self, change: Change, snapshot: Snapshot) -> Iterable[Key]:
        """Return the Models that a change concerns."""
        latest = change.latest
        meta = latest["metadata"]
        namespace, labels = meta.get("namespace", ""), meta.get("labels") or {}
        if latest["kind"] == "Model":
            return [_key(namespace, meta["name"])]
        if latest["kind"] == "ConfigMap" and meta["name"] == ROUTER:
            return [_key(namespace, name) for name in _models_of(change)]
        if latest["kind"] == "Pod" and labels.get(COMPONENT) == COMPONENT_ROUTER:
            return _all_models(namespace, snapshot) if _turned(change) else ()
        return [_key(namespace, labels[MODEL])] if MODEL in labels else ()

    def unwatched(self, key: Key) -> Sequence[ObjectRef]:  # noqa: ARG002 - the protocol's
        """Return nothing: all that a Model is decided upon is watched."""
        return ()

    def gather(self, key: Key, snapshot: Snapshot, refusals: Sequence[Refusal]) -> Observed | None:
        """Return all that is known of a Model, None where it is gone."""
        model = snapshot.find("Model", key.namespace, key.name)
        if model is None:
            return None
        return gather(model, snapshot, self._routers(model, snapshot), refusals, self._board)

    def plan(self, observed: Observed, now: datetime) -> Plan:
        """Decide."""
        return plan_model(observed, self._images, now)

    def _routers(self, model: Manifest, snapshot: Snapshot) -> RouterView:
        meta = model["metadata"]
        namespace = meta["namespace"]
        ready = len(ready_routers(snapshot, namespace))
        state = self._observer.state(snapshot, namespace)
        said = self._acks.said(namespace)
        return router_view(meta["name"], meta["uid"], state, said, ready)


def _key(namespace: str, name: str) -> Key:
    return Key(controller="model", namespace=namespace, name=name)


def _all_models(namespace: str, snapshot: Snapshot) -> Iterator[Key]:
    return (_key(namespace, name) for name in sorted(snapshot.stamps("Model", namespace)))


def _turned(change: Change) -> bool:
    """Tell whether a router became ready or stopped being so, or has forgotten what it knew."""
    return _readiness(change.old) != _readiness(change.new)


def _readiness(pod: Manifest | None) -> tuple[bool, int]:
    status = (pod or {}).get("status") or {}
    conditions = status.get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    restarts = sum(each.get("restartCount", 0) for each in status.get("containerStatuses") or ())
    return ready and "deletionTimestamp" not in (pod or {}).get("metadata", {}), restarts


def _models_of(change: Change) -> list[str]:
    """Return the Models whose entry is another than before."""
    old, new = _entries(change.old), _entries(change.new)
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _entries(config_map: Manifest | None) -> Mapping[str, Any]:
    data = (config_map or {}).get("data") or {}
    entries: dict[str, Any] = {}
    for field in ("problems", "models"):
        entries |= _parsed(data.get(field))
    return entries


def _parsed(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

"""The controller of a namespace's routers: key `router/<namespace>`."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from driftline_api.keys import ID_BYTES, SECRET_BYTES
from driftline_api.names import COMPONENT, COMPONENT_ROUTER, ROUTER
from driftline_operator.core.controller import Change, Snapshot
from driftline_operator.core.plan import Deletion, Key, Manifest, ObjectRef, Plan, Refusal
from driftline_operator.router.keys import KeyConfig, gather_keys, keys_ref
from driftline_operator.router.manifests import BOOTSTRAP, RouterConfig
from driftline_operator.router.observe import Observer
from driftline_operator.router.plan import Observed, plan_routers

CHILDREN: Final = (
    ("Deployment", ROUTER),
    ("PodDisruptionBudget", ROUTER),
    ("ConfigMap", BOOTSTRAP),
    ("ConfigMap", ROUTER),
)


class RouterController:
    """Allocates ports, counts versions, and keeps the routers there while there are Models.

    Args of the constructor: what the installation says about routers and about receipts, and
    where random bytes come from.
    """

    name = "router"
    settle = 0.2

    def __init__(
        self,
        config: RouterConfig,
        keys: KeyConfig | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._config = config
        self._keys = keys or KeyConfig()
        self._random = random
        self._observer = Observer()

    def keys_for(self, change: Change, snapshot: Snapshot) -> Iterable[Key]:  # noqa: ARG002 - the protocol's
        """Return the namespace's key, if the change is one that routers may have to follow."""
        kind = change.latest["kind"]
        concerned = _wants_change(change) if kind == "Model" else _is_child(change.latest)
        namespace = change.latest["metadata"]["namespace"]
        return (Key(controller="router", namespace=namespace),) if concerned else ()

    def unwatched(self, key: Key) -> Sequence[ObjectRef]:
        """Return the Secret of the receipts' keys."""
        return (keys_ref(key.namespace),)

    def gather(self, key: Key, snapshot: Snapshot, refusals: Sequence[Refusal]) -> Observed | None:
        """Read the namespace's Models and the routers' objects.

        A refused object has no status to say so in: the core logs it, and retries.
        """
        if refusals:
            return None
        secret = snapshot.get(keys_ref(key.namespace))
        stamp = snapshot.stamps("ConfigMap", key.namespace).get(ROUTER)
        return Observed(
            namespace=key.namespace,
            models=self._observer.wanted(snapshot, key.namespace),
            state=self._observer.state(snapshot, key.namespace),
            state_version=stamp.resource_version if stamp else None,
            children=_children(key.namespace, snapshot),
            keys=gather_keys(secret, self._random(ID_BYTES + SECRET_BYTES)),
            config=self._config,
            key_config=self._keys,
        )

    def plan(self, observed: Observed, now: datetime) -> Plan:
        """Decide."""
        return plan_routers(observed, now)


def _wants_change(change: Change) -> bool:
    """Tell whether a Model came, went, or wants something else of the routers."""
    return _wants(change.old) != _wants(change.new)


def _wants(model: Manifest | None) -> object:
    """Return what a Model wants, as it is written: cheaper than reading it, and only compared."""
    if model is None:
        return None
    status = model.get("status") or {}
    traffic = dict(status.get("traffic") or {})
    traffic.pop("acknowledged", None)
    ports = [(each["name"], each.get("port")) for each in status.get("revisions") or ()]
    return model["metadata"]["uid"], traffic, ports


def _is_child(manifest: Manifest) -> bool:
    return (manifest["kind"], manifest["metadata"]["name"]) in CHILDREN and (
        manifest["metadata"].get("labels", {}).get(COMPONENT) == COMPONENT_ROUTER
    )


def _children(namespace: str, snapshot: Snapshot) -> tuple[Deletion, ...]:
    found = (snapshot.find(kind, namespace, name) for kind, name in CHILDREN)
    return tuple(_deletion(each) for each in found if each and _is_child(each))


def _deletion(manifest: Manifest) -> Deletion:
    meta = manifest["metadata"]
    ref = ObjectRef.of(manifest)
    return Deletion(ref=ref, uid=meta["uid"], resource_version=meta["resourceVersion"])

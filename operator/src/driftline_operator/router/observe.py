"""Reads what concerns the routers from the Store, and keeps what it made of it.

Two readers of the same objects: the router's controller and the xDS feed. Asking whether a
router has something to learn must cost next to nothing while nothing changes, so what was
derived from an object is kept under the object's stamp.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from driftline_api.model import Traffic
from driftline_api.names import COMPONENT, COMPONENT_ROUTER, ROUTER
from driftline_operator.core.controller import Snapshot, Stamp
from driftline_operator.core.plan import Manifest
from driftline_operator.router.inputs import USUAL_PORT, Routed, Wanted, wanted
from driftline_operator.router.state import RouterState, parse_state
from driftline_operator.router.traffic import RouterInstance
from driftline_operator.router.xds import Offer, configuration_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The configuration of a namespace's routers, as this replica would serve it.

    `routed` are the Models that have a port; `offer` says whether they are what the ConfigMap's
    version stands for.
    """

    state: RouterState
    routed: tuple[Routed, ...]
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPod:
    """A router and where it is asked for its statistics.

    Attributes:
        ready: it gets traffic; otherwise it is starting, and may get some before we know.
    """

    instance: RouterInstance
    address: str
    ready: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answering:
    """The revisions of each Model that have ready pods, and of which state of it."""

    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    models: Mapping[str, frozenset[str]] = field(default_factory=dict)
    revisions: frozenset[str] = frozenset()


def configure(state: RouterState, models: Mapping[str, Wanted]) -> Configuration:
    """Return the configuration that a ConfigMap and the Models beside it make.

    A Model without a port is not yet part of it. One that is gone, but still has a port, makes
    it incoherent: the version stands for a configuration that nobody can render any more.
    """
    routed = tuple(
        Routed(wanted=models[name], port=entry.port)
        for name, entry in sorted(state.models.items())
        if name in models and models[name].uid == entry.uid
    )
    coherent = len(routed) == len(state.models) and configuration_hash(routed) == state.hash
    offer = Offer(version=state.version, coherent=coherent)
    return Configuration(state=state, routed=routed, offer=offer)


class Observer:
    """Derives what is asked of a namespace, and derives it again only when an object changed."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, tuple[Stamp, Wanted]]] = {}
        self._answering: dict[str, _Answering] = {}
        self._states: dict[str, tuple[Stamp, RouterState]] = {}
        self._configurations: dict[str, tuple[RouterState, object, Configuration]] = {}

    def wanted(self, snapshot: Snapshot, namespace: str) -> Mapping[str, Wanted]:
        """Return what each Model of a namespace wants of the routers."""
        before = self._wanted.get(namespace, {})
        after: dict[str, tuple[Stamp, Wanted]] = {}
        for name, stamp in snapshot.stamps("Model", namespace).items():
            known = before.get(name)
            if known is None or known[0] != stamp:
                manifest = snapshot.find("Model", namespace, name)
                if manifest is None:
                    continue
                known = (stamp, _wanted(manifest, known[1] if known else None))
            after[name] = known
        _keep(self._wanted, namespace, after)
        return {name: value for name, (_, value) in after.items()}

    def answering(self, snapshot: Snapshot, namespace: str) -> frozenset[str]:
        """Return the revisions with ready pods that the routers are told of.

        A router that knows no healthy server of one of them is about to find it.
        """
        stamps = snapshot.stamps("Model", namespace)
        known = self._answering.get(namespace, _Answering())
        if known.stamps != stamps:
            models = {
                name: known.models[name]
                if known.stamps.get(name) == stamp
                else _answering(snapshot.find("Model", namespace, name))
                for name, stamp in stamps.items()
            }
            known = _Answering(
                stamps=stamps, models=models, revisions=frozenset().union(*models.values())
            )
            self._answering[namespace] = known
        return known.revisions

    def state(self, snapshot: Snapshot, namespace: str) -> RouterState:
        """Return what the namespace's ConfigMap says."""
        stamp = snapshot.stamps("ConfigMap", namespace).get(ROUTER)
        if stamp is None:
            self._states.pop(namespace, None)
            return RouterState()
        known = self._states.get(namespace)
        if known is None or known[0] != stamp:
            known = (stamp, parse_state(snapshot.find("ConfigMap", namespace, ROUTER)))
            self._states[namespace] = known
        return known[1]

    def configuration(self, snapshot: Snapshot, namespace: str) -> Configuration:
        """Return the configuration of a namespace's routers."""
        state = self.state(snapshot, namespace)
        models = self.wanted(snapshot, namespace)
        known = self._configurations.get(namespace)
        if known and known[0] is state and known[1] == models:
            return known[2]
        configuration = configure(state, models)
        if state.version:
            self._configurations[namespace] = (state, models, configuration)
        else:
            self._configurations.pop(namespace, None)
        return configuration


def _keep(
    kept: dict[str, dict[str, tuple[Stamp, Wanted]]],
    namespace: str,
    new: dict[str, tuple[Stamp, Wanted]],
) -> None:
    if new:
        kept[namespace] = new
    else:
        kept.pop(namespace, None)


def _wanted(model: Manifest, before: Wanted | None) -> Wanted:
    """Return what a Model wants: the very same object as before, if that did not change."""
    meta, status = model["metadata"], model.get("status") or {}
    traffic = Traffic.model_validate(status.get("traffic") or {})
    revisions = status.get("revisions") or ()
    ports = {each["name"]: each.get("port", USUAL_PORT) for each in revisions}
    grpc_ports = {each["name"]: each["grpcPort"] for each in revisions if each.get("grpcPort")}
    after = wanted(meta["name"], meta["uid"], traffic, ports, grpc_ports)
    return before if before and before == after else after


def _answering(model: Manifest | None) -> frozenset[str]:
    status = (model or {}).get("status") or {}
    published = set((status.get("traffic") or {}).get("clusters") or ())
    revisions = status.get("revisions") or ()
    ready = {each["name"] for each in revisions if each.get("readyReplicas")}
    return frozenset(published & ready)


def ready_routers(snapshot: Snapshot, namespace: str) -> tuple[RouterPod, ...]:
    """Return the Ready router pods of a namespace."""
    return tuple(router for router in live_routers(snapshot, namespace) if router.ready)


def live_routers(snapshot: Snapshot, namespace: str) -> tuple[RouterPod, ...]:
    """Return the router pods of a namespace that are Ready, or running and on their way there."""
    pods = snapshot.of_kind("Pod", namespace, {COMPONENT: COMPONENT_ROUTER})
    return tuple(router for pod in pods if (router := _live_router(pod)))


def _live_router(pod: Manifest) -> RouterPod | None:
    status = pod.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or ()
    ready, address = conditions.get("Ready") == "True", status.get("podIP")
    leaving = "deletionTimestamp" in pod["metadata"]
    if leaving or not address or not (ready or any(map(_is_starting, containers))):
        return None
    restarts = sum(each.get("restartCount", 0) for each in containers)
    instance = RouterInstance(pod_uid=pod["metadata"]["uid"], restarts=restarts)
    return RouterPod(instance=instance, address=address, ready=ready)


def _is_starting(container: Manifest) -> bool:
    """Tell whether a container runs and is not ready; on a lost node it stays what it was."""
    return "running" in (container.get("state") or {}) and not container.get("ready")

"""What the Model's plan may know of the routers, and how both sides name one state of traffic.

The Model's plan writes `status.traffic`; the router's controller turns it into configuration. They
meet in a hash: a Model's traffic is acknowledged when every router serves the configuration that
contains exactly that hash.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from driftline_api.model import Traffic
from driftline_operator.router.state import RouterState


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterView:
    """What gather shows of the routers to one Model.

    Attributes:
        port: the listener's port, None until the router's controller has allocated one.
        acknowledged: hash of the traffic that every Ready router serves, None while they differ.
        reached: revisions of which every Ready router knows a healthy server. An acknowledged
            cluster may still be empty: its name is to be resolved, its servers to be checked.
        ready_replicas: Ready router pods in the namespace.
        problem: why there is no port, a `Reason`, or None.
    """

    port: int | None = None
    acknowledged: str | None = None
    reached: frozenset[str] = frozenset()
    ready_replicas: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RouterInstance:
    """One start of one router: a restarted container has forgotten what it acknowledged."""

    pod_uid: str
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """What one router reports to serve.

    Attributes:
        listeners: the version of its listeners; 0 where it has none yet, as for the others.
        clusters: the version of its clusters.
        routes: the version of its routes.
        reached: revisions of which it knows a healthy server.
    """

    listeners: int = 0
    clusters: int = 0
    routes: int = 0
    reached: frozenset[str] = frozenset()

    @property
    def version(self) -> int:
        """The newest version of which the router serves every part."""
        return min(self.listeners, self.clusters, self.routes)


def content_hash(traffic: Traffic) -> str:
    """Return the name of one state of a Model's traffic, wherever its port is.

    `acknowledged` is left out: it speaks about the rest.
    """
    content = traffic.model_dump(mode="json", exclude={"acknowledged"})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def traffic_hash(traffic: Traffic, port: int) -> str:
    """Return the name of one state of a Model's traffic at its port."""
    return f"{content_hash(traffic)}-{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What is true of every Ready router of a namespace.

    Attributes:
        version: the newest that all serve, 0 where there is no router. No starting router has
            an older one either.
        reached: revisions of which all know a healthy server.
    """

    version: int = 0
    reached: frozenset[str] = frozenset()


def agreed(ready: Sequence[Acknowledged], starting: Sequence[Acknowledged] = ()) -> Agreed:
    """Return what all of them say.

    Of the starting routers count those that have a configuration: such a one may be Ready, and
    serve what it has, before we are told.
    """
    if not ready:
        return Agreed()
    configured = (router for router in starting if router.version)
    return Agreed(
        version=min(router.version for router in (*ready, *configured)),
        reached=frozenset.intersection(*(router.reached for router in ready)),
    )


def router_view(
    model: str, uid: str, state: RouterState, said: Agreed, ready_replicas: int
) -> RouterView:
    """Return what the Model `model` with `uid` may know of its routers.

    An entry under another uid belongs to an earlier Model of the same name: its port is not ours.

    Args:
        model: its name.
        uid: its uid.
        state: what the ConfigMap says.
        said: what every Ready router was heard to say.
        ready_replicas: Ready router pods in the namespace.
    """
    entry = state.models.get(model)
    if entry is None or entry.uid != uid:
        return RouterView(ready_replicas=ready_replicas, problem=state.problems.get(model))
    return RouterView(
        port=entry.port,
        acknowledged=entry.hash if said.version >= entry.version else None,
        reached=said.reached,
        ready_replicas=ready_replicas,
    )

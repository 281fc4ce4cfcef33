"""What the Model's plan may know of the routers, and how both sides name one state of traffic.

The Model's plan writes `status.traffic`; the router's controller turns it into configuration. They
meet in a hash: a Model's traffic is acknowledged when every router serves the configuration that
contains exactly that hash.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from driftline_api.model import Traffic
from driftline_operator.router.state import RouterState


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterView:
    """What gather shows of the routers to one Model.

    Attributes:
        port: the listener's port, None until the router's controller has allocated one.
        acknowledged: hash of the traffic that every Ready router serves, None while they differ.
        ready_replicas: Ready router pods in the namespace.
        problem: why there is no port, a `Reason`, or None.
    """

    port: int | None = None
    acknowledged: str | None = None
    ready_replicas: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RouterInstance:
    """One start of one router: a restarted container has forgotten what it acknowledged."""

    pod_uid: str
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The versions that one router reports to serve; 0 where it has none yet."""

    listeners: int = 0
    clusters: int = 0
    routes: int = 0

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


def served_version(ready: Iterable[Acknowledged]) -> int:
    """Return the newest version that every Ready router serves, 0 where there is no router."""
    return min((router.version for router in ready), default=0)


def router_view(
    model: str, uid: str, state: RouterState, served: int, ready_replicas: int
) -> RouterView:
    """Return what the Model `model` with `uid` may know of its routers.

    An entry under another uid belongs to an earlier Model of the same name: its port is not ours.

    Args:
        model: its name.
        uid: its uid.
        state: what the ConfigMap says.
        served: the newest version that every Ready router was heard to serve.
        ready_replicas: Ready router pods in the namespace.
    """
    entry = state.models.get(model)
    if entry is None or entry.uid != uid:
        return RouterView(ready_replicas=ready_replicas, problem=state.problems.get(model))
    return RouterView(
        port=entry.port,
        acknowledged=entry.hash if served >= entry.version else None,
        ready_replicas=ready_replicas,
    )

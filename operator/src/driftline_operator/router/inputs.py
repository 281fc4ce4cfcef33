"""What the configuration of a namespace's routers is made from, and the hash that names it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from driftline_api.model import Traffic
from driftline_api.names import MONITOR_PORT
from driftline_operator.router.traffic import content_hash

#: Where a model server listens that says nothing else.
USUAL_PORT: Final = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one Model wants of the routers.

    Attributes:
        model: its name.
        uid: its uid.
        traffic: how its requests are to be split.
        content: the `content_hash` of `traffic`: computed once, compared often.
        ports: where revisions are served that do not listen on the usual port, sorted.
        grpc_ports: where revisions serve gRPC, those that do, sorted.
    """

    model: str
    uid: str
    traffic: Traffic
    content: str
    ports: tuple[tuple[str, int], ...] = ()
    grpc_ports: tuple[tuple[str, int], ...] = ()

    @property
    def stable(self) -> str | None:
        """The revision to which a canary's share falls."""
        return next((each.revision for each in self.traffic.shares if each.arm == "stable"), None)

    def endpoint(self, revision: str, located: "Endpoint") -> "Endpoint":
        """Return where a revision is served, given where one is that says nothing else."""
        port = dict(self.ports).get(revision, located.port)
        return replace(located, port=port, grpc_port=dict(self.grpc_ports).get(revision))


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """One Model as the routers see it: what it wants, and its port."""

    wanted: Wanted
    port: int

    @property
    def model(self) -> str:
        """The Model's name."""
        return self.wanted.model

    @property
    def traffic(self) -> Traffic:
        """The Model's traffic."""
        return self.wanted.traffic

    @property
    def hash(self) -> str:
        """The same as `traffic_hash` of its traffic and port."""
        return f"{self.wanted.content}-{self.port}"


def wanted(
    model: str,
    uid: str,
    traffic: Traffic,
    ports: Mapping[str, int] | None = None,
    grpc_ports: Mapping[str, int] | None = None,
) -> Wanted:
    """Return what a Model wants, given where its revisions listen."""
    unusual = {name: port for name, port in (ports or {}).items() if port != USUAL_PORT}
    return Wanted(
        model=model,
        uid=uid,
        traffic=traffic,
        content=content_hash(traffic),
        ports=_published(traffic, unusual),
        grpc_ports=_published(traffic, grpc_ports or {}),
    )


def _published(traffic: Traffic, ports: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, ports[name]) for name in set(traffic.clusters) & ports.keys()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A DNS name all of whose addresses are pods of one revision, or of one Model.

    Attributes:
        host: the name.
        port: where they serve HTTP.
        grpc_port: where they serve gRPC; None: they do not.
        monitor_port: where their monitors answer.
    """

    host: str
    port: int = USUAL_PORT
    grpc_port: int | None = None
    monitor_port: int = MONITOR_PORT


#: Where the pods behind a Service are. A parameter of all rendering: no address is built in.
Locate = Callable[[str], Endpoint]


def headless_service(namespace: str, domain: str = "cluster.local") -> Locate:
    """Return where the revisions of a namespace are: each behind a headless Service of its name.

    The trailing dot keeps the resolver from trying the pod's search domains first, which would
    multiply the queries of a refresh of one second by four.
    """
    return lambda revision: Endpoint(host=f"{revision}.{namespace}.svc.{domain}.")


def inputs_hash(routed: Sequence[Routed], renderer: str) -> str:
    """Return the name of one configuration.

    Args:
        routed: every Model that has a port.
        renderer: name of the code that renders it, so that an operator which renders otherwise
            raises the version although no Model has changed.
    """
    models = sorted(
        (r.model, r.wanted.uid, r.hash, r.wanted.ports, r.wanted.grpc_ports) for r in routed
    )
    text = json.dumps([renderer, models], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

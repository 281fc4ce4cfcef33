"""What the configuration of a namespace's routers is made from, and the hash that names it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from driftline_api.model import Traffic
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
    """

    model: str
    uid: str
    traffic: Traffic
    content: str
    ports: tuple[tuple[str, int], ...] = ()


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
    model: str, uid: str, traffic: Traffic, ports: Mapping[str, int] | None = None
) -> Wanted:
    """Return what a Model wants, given where its revisions listen."""
    unusual = {name: port for name, port in (ports or {}).items() if port != USUAL_PORT}
    named = tuple(sorted((name, unusual[name]) for name in set(traffic.clusters) & unusual.keys()))
    content = content_hash(traffic)
    return Wanted(model=model, uid=uid, traffic=traffic, content=content, ports=named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A DNS name all of whose addresses are servers of one revision."""

    host: str
    port: int = USUAL_PORT


#: Where a revision is served. A parameter of all rendering, so that no address is built in.
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
    models = sorted((r.model, r.wanted.uid, r.hash, r.wanted.ports) for r in routed)
    text = json.dumps([renderer, models], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

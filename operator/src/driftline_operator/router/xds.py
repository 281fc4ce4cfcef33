"""What a router is answered when it asks for its configuration.

All of it is a pure function of what is observed, so that every replica of the operator can
answer, leader or not. The version is the counter in the namespace's ConfigMap.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from driftline_api.model import Share, Traffic
from driftline_operator.router.clusters import CLUSTER, render_clusters
from driftline_operator.router.inputs import Endpoint, Locate, Routed, inputs_hash, wanted
from driftline_operator.router.listeners import LISTENER, render_listener
from driftline_operator.router.routes import ROUTE_CONFIGURATION, render_routes

Kind = Literal["listeners", "clusters", "routes"]
Resource = dict[str, Any]

TYPE_URLS: Final[Mapping[Kind, str]] = {
    "listeners": LISTENER,
    "clusters": CLUSTER,
    "routes": ROUTE_CONFIGURATION,
}


def _clusters(routed: Sequence[Routed], locate: Locate) -> list[Resource]:
    return [cluster for each in routed for cluster in render_clusters(each.wanted, locate)]


_RENDER: Final[Mapping[Kind, Callable[[Sequence[Routed], Locate], list[Resource]]]] = {
    "listeners": lambda routed, _: [render_listener(each) for each in routed],
    "clusters": _clusters,
    "routes": lambda routed, _: [render_routes(routed)],
}


def render_resources(kind: Kind, routed: Sequence[Routed], locate: Locate) -> list[Resource]:
    """Return all resources of one kind for the routers of a namespace."""
    return _RENDER[kind](sorted(routed, key=lambda each: each.model), locate)


def render_response(kind: Kind, version: int, routed: Sequence[Routed], locate: Locate) -> bytes:
    """Return a DiscoveryResponse as JSON."""
    response = {
        "version_info": str(version),
        "type_url": TYPE_URLS[kind],
        "resources": render_resources(kind, routed, locate),
    }
    return json.dumps(response, separators=(",", ":")).encode()


@cache
def renderer() -> str:
    """Return the name of this code: a hash of what it makes of an example.

    It enters the hash of the inputs, so that an operator which renders otherwise raises the
    version, and replicas that render differently never answer under one version.
    """
    shares = [
        Share(arm="stable", revision="a", weight=60),
        Share(arm="canary", revision="b", weight=40),
    ]
    traffic = Traffic(shares=shares, clusters=["a", "b"])
    example = [
        Routed(wanted=wanted("m", "", traffic, grpc_ports={"a": 9000}), port=1),
        Routed(wanted=wanted("n", "", traffic), port=2),
        Routed(wanted=wanted("o", "", Traffic()), port=3),
    ]
    whole = [render_resources(kind, example, lambda name: Endpoint(host=name)) for kind in _RENDER]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def configuration_hash(routed: Sequence[Routed]) -> str:
    """Return the name of the configuration that this operator would render."""
    return inputs_hash(routed, renderer())


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a replica could answer with.

    Attributes:
        version: of the ConfigMap as this replica knows it, 0 where there is none.
        coherent: what this replica observes is what that version stands for.
    """

    version: int
    coherent: bool


Answer = Literal["send", "unchanged", "refuse"]


def answer(offer: Offer, known: int) -> Answer:
    """Decide what a router that has version `known` (0: nothing yet) is told.

    A refusal makes the router keep what it has, and ask again, perhaps another replica.
    """
    if not offer.coherent or offer.version < max(known, 1):
        return "refuse"
    return "unchanged" if offer.version == known else "send"

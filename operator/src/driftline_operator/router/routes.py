"""The route configuration: one virtual host per Model, with routes for inference and feedback."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from driftline_api.model import Share
from driftline_api.names import ARM_HEADER, EPOCH_HEADER, REPLAY_HEADER, SLOT_HEADER
from driftline_operator.router.clusters import (
    Protocol,
    canary_cluster,
    monitors_cluster,
    stable_cluster,
)
from driftline_operator.router.inputs import Routed
from driftline_operator.router.listeners import MODEL_HEADER, REQUEST_TIMEOUT, ROUTES

ROUTE_CONFIGURATION: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
#: Of a request that is kept for another try; one with a larger body gets only one.
RETRY_BUFFER_BYTES: Final = 4 * 1024 * 1024

REST_INFER: Final = r"/v2/models/[^/]+(/versions/[^/]+)?/infer"
#: Labels and rewards, which any monitor of the Model takes.
FEEDBACK: Final = r"/v2/models/[^/]+/feedback"
#: Longer than a monitor waits for another, and that for the rest of a body.
FEEDBACK_TIMEOUT: Final = "20s"
GRPC_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"
#: Whose content type is gRPC's.
_GRPC: Final[Mapping[str, Any]] = {"grpc": {}}
_ALL: Final[Mapping[Protocol, Mapping[str, Any]]] = {
    "http": {"prefix": "/"},
    "grpc": {"prefix": "/", **_GRPC},
}
_INFER: Final[Mapping[Protocol, Mapping[str, Any]]] = {
    "http": {"safe_regex": {"regex": REST_INFER}},
    "grpc": {"path": GRPC_INFER, **_GRPC},
}
_POST: Final[Mapping[str, Any]] = {"name": ":method", "string_match": {"exact": "POST"}}
#: A deadline that the client names ends the call here, and is counted. The client gives up at
#: the same time: a few milliseconds sooner, and its leaving, which is nobody's error, comes
#: second wherever it is.
_DEADLINE: Final[Mapping[str, Any]] = {
    "grpc_timeout_header_max": REQUEST_TIMEOUT,
    "grpc_timeout_header_offset": "0.005s",
}


def render_routes(routed: Sequence[Routed]) -> dict[str, Any]:
    """Return the routes of all Models."""
    return {
        "@type": ROUTE_CONFIGURATION,
        "name": ROUTES,
        "vhost_header": MODEL_HEADER,
        "request_headers_to_remove": [MODEL_HEADER, REPLAY_HEADER, "x-envoy-external-address"],
        "virtual_hosts": [_virtual_host(each) for each in routed],
    }


def _virtual_host(routed: Routed) -> dict[str, Any]:
    weighted = [share for share in routed.traffic.shares if share.weight > 0]
    if weighted:
        routes = [
            *_grpc_routes(routed, weighted),
            _feedback(routed.model),
            *_routes(routed, weighted, "http"),
        ]
    else:
        routes = [_nothing_serves(routed.model)]
    return {
        "name": routed.model,
        "domains": [routed.model],
        "request_body_buffer_limit": RETRY_BUFFER_BYTES,
        "retry_policy": _retry_policy(),
        "routes": routes,
    }


def _grpc_routes(routed: Routed, shares: Sequence[Share]) -> list[dict[str, Any]]:
    """Return the routes of gRPC calls: it is the stable revision that says whether there are."""
    if routed.wanted.stable in dict(routed.wanted.grpc_ports):
        return _routes(routed, shares, "grpc")
    return [_no_grpc(routed)]


def _routes(routed: Routed, shares: Sequence[Share], protocol: Protocol) -> list[dict[str, Any]]:
    """Return two routes: that of inference, and that of all else, which counts nowhere."""
    infer = {**_INFER[protocol], "headers": [_POST]}
    stamped = [_stamped(share, protocol, routed.traffic.epoch) for share in shares]
    plain = [_cluster_weight(share, protocol) for share in shares]
    return [
        {"name": "infer", "match": infer, "route": _split(stamped, protocol)},
        {"name": "other", "match": _ALL[protocol], "route": _split(plain, protocol)},
    ]


def _feedback(model: str) -> dict[str, Any]:
    """Return the route of labels and rewards: whatever the shares, and counted as no call."""
    clusters = [{"name": monitors_cluster(model), "weight": 1}]
    return {
        "name": "feedback",
        "match": {"safe_regex": {"regex": FEEDBACK}, "headers": [_POST]},
        "route": {"weighted_clusters": {"clusters": clusters}, "timeout": FEEDBACK_TIMEOUT},
    }


def _split(clusters: Sequence[dict[str, Any]], protocol: Protocol) -> dict[str, Any]:
    deadline = {"max_stream_duration": _DEADLINE} if protocol == "grpc" else {}
    return {"weighted_clusters": {"clusters": [*clusters]}, "timeout": REQUEST_TIMEOUT, **deadline}


def _cluster_weight(share: Share, protocol: Protocol) -> dict[str, Any]:
    cluster = canary_cluster if share.arm == "canary" else stable_cluster
    return {"name": cluster(share.revision, protocol), "weight": share.weight}


def _stamped(share: Share, protocol: Protocol, epoch: int) -> dict[str, Any]:
    stamps = {ARM_HEADER: share.arm, EPOCH_HEADER: str(epoch), SLOT_HEADER: "%START_TIME(%s)%"}
    action = "OVERWRITE_IF_EXISTS_OR_ADD"
    added = [
        {"header": {"key": key, "value": value}, "append_action": action}
        for key, value in stamps.items()
    ]
    return _cluster_weight(share, protocol) | {"request_headers_to_add": added}


def _retry_policy() -> dict[str, Any]:
    """Return retries of requests that reached no server, on another host where there is one.

    That a server has not begun with a request is certain where none was connected to, where
    the connection ended before the request was sent, and where HTTP/2 says so: as when a
    connection is renewed.
    """
    predicate = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3"
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 3,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.250s"},
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{predicate}.PreviousHostsPredicate"},
            }
        ],
    }


def _nothing_serves(model: str) -> dict[str, Any]:
    text = json.dumps({"error": f"no revision of Model {model} serves yet"})
    body = {"status": 503, "body": {"inline_string": text}}
    return {"name": "none", "match": {"prefix": "/"}, "direct_response": body}


def _no_grpc(routed: Routed) -> dict[str, Any]:
    """Return the refusal of gRPC calls. Envoy makes UNIMPLEMENTED of 404, and says the body."""
    text = (
        f"revision {routed.wanted.stable} of Model {routed.model} does not serve gRPC: give "
        "runtime.container.ports.grpc, or have it made anew by another runtime.refreshToken"
    )
    refusal = {"status": 404, "body": {"inline_string": text}}
    return {"name": "no-grpc", "match": _ALL["grpc"], "direct_response": refusal}

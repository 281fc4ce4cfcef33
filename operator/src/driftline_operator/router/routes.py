"""The route configuration: one virtual host per Model, with a route of its own for inference."""

import json
from collections.abc import Sequence
from typing import Any, Final

from driftline_api.model import Share, Traffic
from driftline_api.names import ARM_HEADER, EPOCH_HEADER, SLOT_HEADER
from driftline_operator.router.clusters import canary_cluster, stable_cluster
from driftline_operator.router.inputs import Routed
from driftline_operator.router.listeners import MODEL_HEADER, REQUEST_TIMEOUT, ROUTES

ROUTE_CONFIGURATION: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
#: Of a request that is kept for another try; one with a larger body gets only one.
RETRY_BUFFER_BYTES: Final = 4 * 1024 * 1024

REST_INFER: Final = r"/v2/models/[^/]+(/versions/[^/]+)?/infer"
GRPC_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"


def render_routes(routed: Sequence[Routed]) -> dict[str, Any]:
    """Return the routes of all Models."""
    return {
        "@type": ROUTE_CONFIGURATION,
        "name": ROUTES,
        "vhost_header": MODEL_HEADER,
        "request_headers_to_remove": [MODEL_HEADER, "x-envoy-external-address"],
        "virtual_hosts": [_virtual_host(each) for each in routed],
    }


def _virtual_host(routed: Routed) -> dict[str, Any]:
    weighted = [share for share in routed.traffic.shares if share.weight > 0]
    if weighted:
        routes = [*_inference_routes(routed.traffic, weighted), _other_route(weighted)]
    else:
        routes = [_nothing_serves(routed.model)]
    return {
        "name": routed.model,
        "domains": [routed.model],
        "request_body_buffer_limit": RETRY_BUFFER_BYTES,
        "retry_policy": _retry_policy(),
        "routes": routes,
    }


def _inference_routes(traffic: Traffic, shares: Sequence[Share]) -> list[dict[str, Any]]:
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    matches = (
        {"safe_regex": {"regex": REST_INFER}, "headers": [post]},
        {"path": GRPC_INFER, "headers": [post]},
    )
    stamped = [_stamped(share, traffic.epoch) for share in shares]
    return [{"name": "infer", "match": match, "route": _split(stamped)} for match in matches]


def _other_route(shares: Sequence[Share]) -> dict[str, Any]:
    """Return the route of health, metadata and all else, which counts nowhere."""
    plain = [_cluster_weight(share) for share in shares]
    return {"name": "other", "match": {"prefix": "/"}, "route": _split(plain)}


def _split(clusters: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"weighted_clusters": {"clusters": list(clusters)}, "timeout": REQUEST_TIMEOUT}


def _cluster_weight(share: Share) -> dict[str, Any]:
    cluster = canary_cluster if share.arm == "canary" else stable_cluster
    return {"name": cluster(share.revision), "weight": share.weight}


def _stamped(share: Share, epoch: int) -> dict[str, Any]:
    stamps = {ARM_HEADER: share.arm, EPOCH_HEADER: str(epoch), SLOT_HEADER: "%START_TIME(%s)%"}
    action = "OVERWRITE_IF_EXISTS_OR_ADD"
    added = [
        {"header": {"key": key, "value": value}, "append_action": action}
        for key, value in stamps.items()
    ]
    return _cluster_weight(share) | {"request_headers_to_add": added}


def _retry_policy() -> dict[str, Any]:
    """Return retries of requests that reached no server, on another host where there is one."""
    predicate = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3"
    return {
        "retry_on": "connect-failure",
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

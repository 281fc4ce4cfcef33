"""Listener resources: one port per Model, so that neither Host nor path must tell Models apart.

All listeners read one route configuration, and each names its Model to it in a header. One
subscription per listener would make every router ask the operator once per Model and poll.
"""

from typing import Any, Final

from driftline_api.names import ARM_HEADER, EPOCH_HEADER, SLOT_HEADER
from driftline_operator.router.inputs import Routed
from driftline_operator.router.outcomes import access_log

ROUTES: Final = "models"
STAT_PREFIX: Final = "models"
#: Chooses the virtual host. Set before routing, removed before the request goes on.
MODEL_HEADER: Final = "driftline-route"
#: Set by the route alone; whatever a client sends under these names is dropped.
STAMPS: Final = (ARM_HEADER, EPOCH_HEADER, SLOT_HEADER)
#: Longest inference, from the request's last byte to the response's last.
REQUEST_TIMEOUT: Final = "300s"
#: Above REQUEST_TIMEOUT, so that it is the route's time-out, a 504, which ends a slow inference.
STREAM_IDLE_TIMEOUT: Final = "330s"

_TYPE: Final = "type.googleapis.com/envoy."
CONNECTION_MANAGER: Final = (
    f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
ROUTER_FILTER: Final = f"{_TYPE}extensions.filters.http.router.v3.Router"
LISTENER: Final = f"{_TYPE}config.listener.v3.Listener"

#: The server is polled: it holds a request until there is something new, so this is short.
REFRESH_DELAY: Final = "0.250s"
#: Longer than the server holds a request.
FETCH_TIMEOUT: Final = "25s"


def rest_source() -> dict[str, Any]:
    """Return the source of every dynamic resource: the operator, over REST.

    Without a time-out of the first fetch: a router waits for its configuration for ever, and is
    not Ready meanwhile, instead of Ready and refusing.
    """
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": ["operator"],
            "refresh_delay": REFRESH_DELAY,
            "request_timeout": FETCH_TIMEOUT,
        },
    }


def render_listener(routed: Routed) -> dict[str, Any]:
    """Return the listener of one Model."""
    manager = {"name": "http", "typed_config": _connection_manager(routed.model)}
    return {
        "@type": LISTENER,
        "name": routed.model,
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": routed.port}},  # noqa: S104 - clients are other pods
        "filter_chains": [{"filters": [manager]}],
    }


def _connection_manager(model: str) -> dict[str, Any]:
    """Return what speaks HTTP/1.1 and HTTP/2, and passes on what it gets unchanged.

    It trusts no client, since it uses the remote address and knows no internal ones: `x-envoy-*`
    headers, with which a client could change time-outs and retries, are dropped.
    """
    return {
        "@type": CONNECTION_MANAGER,
        "stat_prefix": STAT_PREFIX,
        "codec_type": "AUTO",
        "rds": {"config_source": rest_source(), "route_config_name": ROUTES},
        "early_header_mutation_extensions": [_name_the_model(model)],
        "http_filters": [_router_filter()],
        "access_log": [access_log(model)],
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "use_remote_address": True,
        "stream_idle_timeout": STREAM_IDLE_TIMEOUT,
        "request_timeout": REQUEST_TIMEOUT,
        "request_headers_timeout": "10s",
        "drain_timeout": "10s",
    }


def _name_the_model(model: str) -> dict[str, Any]:
    """Return the mutation that runs before routing."""
    header = {"key": MODEL_HEADER, "value": model}
    action = "OVERWRITE_IF_EXISTS_OR_ADD"
    mutations: list[dict[str, Any]] = [{"remove": name} for name in STAMPS]
    mutations.append({"append": {"header": header, "append_action": action}})
    kind = "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {"@type": _TYPE + kind, "mutations": mutations},
    }


def _router_filter() -> dict[str, Any]:
    config = {"@type": ROUTER_FILTER, "suppress_envoy_headers": True}
    return {"name": "envoy.filters.http.router", "typed_config": config}

"""What a router is started with: how to reach the operator, readiness, and statistics.

All else comes over xDS. The static listeners open only once the first configuration is complete,
so that a router which knows nothing is never Ready.
"""

from dataclasses import dataclass
from typing import Any, Final

from driftline_operator.router.clusters import every_address
from driftline_operator.router.listeners import CONNECTION_MANAGER, ROUTER_FILTER, rest_source

_TYPE: Final = "type.googleapis.com/envoy."
READY_PORT: Final = 9901
STATS_PORT: Final = 9902
ADMIN_PORT: Final = 9903
XDS_PORT: Final = 8081
#: A series that nothing was added to for this long is dropped: epochs that are over.
SERIES_KEPT: Final = "86400s"
#: Of clients, in sum. Readiness and statistics are let in beyond it.
MAX_CONNECTIONS: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a router listens beside its Models' ports. The admin port is on loopback."""

    ready: int = READY_PORT
    stats: int = STATS_PORT
    admin: int = ADMIN_PORT


def render_bootstrap(
    xds_host: str, xds_port: int = XDS_PORT, ports: Ports | None = None
) -> dict[str, Any]:
    """Return Envoy's bootstrap, the same for every router of every namespace.

    The node's id, `<namespace>/<pod>`, comes with the command line.
    """
    ports = ports or Ports()
    source = rest_source()
    return {
        "admin": {"address": _address("127.0.0.1", ports.admin)},
        "dynamic_resources": {"lds_config": source, "cds_config": source},
        "static_resources": {
            "listeners": [_ready_listener(ports.ready), _stats_listener(ports.stats)],
            "clusters": [_operator(xds_host, xds_port), _admin(ports.admin)],
        },
        "overload_manager": _overload_manager(),
        "watchdogs": {"main_thread_watchdog": _hangs(), "worker_watchdog": _hangs()},
        "stats_flush_interval": "1s",
        "stats_eviction_interval": SERIES_KEPT,
    }


def _overload_manager() -> dict[str, Any]:
    """Return the bound on connections, without which a flood takes all memory."""
    name = "envoy.resource_monitors.global_downstream_max_connections"
    kind = "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    config = {"@type": _TYPE + kind, "max_active_downstream_connections": MAX_CONNECTIONS}
    return {"resource_monitors": [{"name": name, "typed_config": config}]}


def _hangs() -> dict[str, Any]:
    """Return when a thread counts as hung for good, and Envoy ends itself to be restarted."""
    return {"kill_timeout": "120s"}


def _ready_listener(port: int) -> dict[str, Any]:
    ready = {"match": {"path": "/ready"}, "direct_response": {"status": 200}}
    return _static_listener("ready", port, [ready])


def _stats_listener(port: int) -> dict[str, Any]:
    """Return the only way in to the admin interface: GET /stats, which changes nothing."""
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    passed = {
        "match": {"path": "/stats", "headers": [get]},
        "route": {"cluster": "admin", "timeout": "10s"},
    }
    refused = {"match": {"prefix": "/"}, "direct_response": {"status": 403}}
    return _static_listener("stats", port, [passed, refused])


def _static_listener(name: str, port: int, routes: list[dict[str, Any]]) -> dict[str, Any]:
    manager = {
        "@type": CONNECTION_MANAGER,
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER_FILTER}}
        ],
    }
    return {
        "name": f"static/{name}",
        "ignore_global_conn_limit": True,
        "address": _address("0.0.0.0", port),  # noqa: S104 - kubelet and operator are elsewhere
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _operator(host: str, port: int) -> dict[str, Any]:
    """Return the cluster of the xDS servers: any replica will do, so a dead one is left fast."""
    return {
        "name": "operator",
        "cluster_type": every_address(refresh="10s"),
        "connect_timeout": "1s",
        "load_assignment": _single("operator", host, port),
    }


def _admin(port: int) -> dict[str, Any]:
    return {
        "name": "admin",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": _single("admin", "127.0.0.1", port),
    }


def _single(cluster: str, host: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(host, port)}}
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}]}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}

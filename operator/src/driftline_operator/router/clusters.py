"""Cluster resources: where a revision is served, and what takes over when it cannot.

A revision has two clusters from the moment its Deployment exists: its own, and an aggregate of
it and the stable revision, which a canary's share is sent to. Both are there whether or not a
share names them, and they do not go when a canary becomes stable: a route is never replaced
before the cluster that it names, nor after.

A revision that serves gRPC has two more, alike, for HTTP/2. One that does not has an aggregate
of the stable revision alone, if that serves gRPC: what is sent to a canary over a protocol that
it lacks falls to stable as if it had no server, and is counted so.

A Model has one more, of the monitors in all its pods: any of them takes feedback.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from driftline_api.names import monitors_service
from driftline_operator.router.inputs import Endpoint, Locate, Wanted

_TYPE: Final = "type.googleapis.com/envoy."
CLUSTER: Final = f"{_TYPE}config.cluster.v3.Cluster"
READY_PATH: Final = "/v2/health/ready"
#: A pod that left DNS is out after this and the age of the DNS server's answer.
DNS_REFRESH: Final = "1s"
#: Must be below the keep-alive time-out of any model server, else a request meets its closing.
#: The shortest in common use is 5 s (uvicorn, Node).
UPSTREAM_IDLE_TIMEOUT: Final = "4s"
#: Any share of healthy hosts counts as all: an arm gives up requests only when it has none left.
OVERPROVISIONING: Final = 100_000
#: After which a connection gives way to a new one, that another worker process may take: those
#: of one pod share a port, and the kernel deals connections to them, not requests.
REQUESTS_PER_CONNECTION: Final = 100
#: At a time, on one HTTP/2 connection; what comes beyond opens another. As many as our server
#: takes.
STREAMS_PER_CONNECTION: Final = 16
#: Feedback can wait: names are asked for, and monitors looked after, less often than servers.
MONITORS_REFRESH: Final = "5s"
MONITORS_PATH: Final = "/healthz"

Protocol = Literal["http", "grpc"]


def stable_cluster(revision: str, protocol: Protocol = "http") -> str:
    """Return the name of a revision's own cluster."""
    return revision if protocol == "http" else f"{revision}/grpc"


def canary_cluster(revision: str, protocol: Protocol = "http") -> str:
    """Return the name of the aggregate that falls to the stable revision."""
    return f"{stable_cluster(revision, protocol)}/canary"


def monitors_cluster(model: str) -> str:
    """Return the name of the cluster of a Model's monitors."""
    return f"{model}/monitors"


def render_clusters(model: Wanted, locate: Locate) -> list[dict[str, Any]]:
    """Return the clusters of one Model, sorted by revision, and that of its monitors."""
    endpoints = {
        revision: model.endpoint(revision, locate(revision))
        for revision in sorted(set(model.traffic.clusters))
    }
    with_grpc = {name: each for name, each in endpoints.items() if each.grpc_port}
    rendered: list[dict[str, Any]] = []
    for revision in endpoints:
        rendered += _pair(revision, model.stable, endpoints, "http")
        rendered += _pair(revision, model.stable, with_grpc, "grpc")
    if endpoints:
        rendered.append(_monitors(model.model, locate(monitors_service(model.model))))
    return rendered


def _pair(
    revision: str, stable: str | None, endpoints: Mapping[str, Endpoint], protocol: Protocol
) -> Iterator[dict[str, Any]]:
    """Yield a revision's two clusters for one protocol, of what is served over that."""
    if revision in endpoints:
        yield _own(revision, endpoints[revision], protocol)
    choices = [each for each in dict.fromkeys((revision, stable or revision)) if each in endpoints]
    if choices:
        yield _aggregate(revision, choices, protocol)


def _aggregate(revision: str, choices: Iterable[str], protocol: Protocol) -> dict[str, Any]:
    members = [stable_cluster(each, protocol) for each in choices]
    kind = "extensions.clusters.aggregate.v3.ClusterConfig"
    config = {"@type": _TYPE + kind, "clusters": members}
    return {
        "@type": CLUSTER,
        "name": canary_cluster(revision, protocol),
        "connect_timeout": "0.250s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": config},
    }


def _own(revision: str, endpoint: Endpoint, protocol: Protocol) -> dict[str, Any]:
    """Return a revision's own cluster.

    A host that left DNS stays until it fails its health check: the one that takes its place may
    be in the very same answer, and nothing is known of its health yet.
    """
    return {
        "@type": CLUSTER,
        "name": stable_cluster(revision, protocol),
        "cluster_type": every_address(),
        "connect_timeout": "0.250s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": _load_assignment(revision, endpoint, protocol),
        "common_lb_config": _load_balancing(),
        "health_checks": [_health_check()],
        "outlier_detection": _outlier_detection(),
        "circuit_breakers": {"thresholds": [_no_limits()]},
        "typed_extension_protocol_options": _http_options(protocol),
    }


def _monitors(model: str, endpoint: Endpoint) -> dict[str, Any]:
    """Return the cluster of a Model's monitors, in pods that serve and in those that do not.

    One that does not answer is left out, as in a pod that was made before there were monitors.
    """
    address = {"address": endpoint.host, "port_value": endpoint.monitor_port}
    host = {"endpoint": {"address": {"socket_address": address}}}
    return {
        "@type": CLUSTER,
        "name": monitors_cluster(model),
        "cluster_type": every_address(MONITORS_REFRESH),
        "connect_timeout": "0.250s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": monitors_cluster(model),
            "endpoints": [{"lb_endpoints": [host]}],
        },
        "common_lb_config": _load_balancing(),
        "health_checks": [
            {
                "timeout": "3s",
                "interval": MONITORS_REFRESH,
                "no_traffic_interval": MONITORS_REFRESH,
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "http_health_check": {"path": MONITORS_PATH},
            }
        ],
        "typed_extension_protocol_options": _http_options("http"),
    }


def every_address(refresh: str = DNS_REFRESH) -> dict[str, Any]:
    """Return the discovery that takes each address of the name as a host ("strict DNS").

    A name that has no address any more has no host any more; a DNS server that fails to answer
    changes nothing.
    """
    kind = "extensions.clusters.dns.v3.DnsCluster"
    options = {
        "@type": _TYPE + kind,
        "dns_refresh_rate": refresh,
        "dns_failure_refresh_rate": {"base_interval": DNS_REFRESH, "max_interval": DNS_REFRESH},
        "respect_dns_ttl": False,
        "dns_lookup_family": "V4_PREFERRED",
    }
    return {"name": "envoy.clusters.dns", "typed_config": options}


def _load_balancing() -> dict[str, Any]:
    """Return a bar to unhealthy hosts, and no delay of what is known of their health.

    By default the threads that route hear of a host's health up to a second after the statistics
    tell it, which the operator acts upon.
    """
    return {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"}


def _load_assignment(revision: str, endpoint: Endpoint, protocol: Protocol) -> dict[str, Any]:
    """Return the name to resolve; each host found is called by its revision in statistics.

    Whatever it serves, it is asked over HTTP whether it is ready, as the kubelet asks.
    """
    port = endpoint.port if protocol == "http" else endpoint.grpc_port
    address = {"address": endpoint.host, "port_value": port}
    host = {
        "hostname": revision,
        "address": {"socket_address": address},
        "health_check_config": {"port_value": endpoint.port},
    }
    return {
        "cluster_name": stable_cluster(revision, protocol),
        "policy": {"overprovisioning_factor": OVERPROVISIONING},
        "endpoints": [{"lb_endpoints": [{"endpoint": host}]}],
    }


def _health_check() -> dict[str, Any]:
    """Return the check that finds a draining host within a second, a dead one within three.

    An answer of 503 takes a host out at once, whatever the threshold. No answer does so only
    after three times three seconds: a process that is starved of CPU is slow, not gone, and
    whoever is gone refuses connections, which retries and ejection see to.
    """
    return {
        "timeout": "3s",
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 1,
        "http_health_check": {"path": READY_PATH},
    }


def _outlier_detection() -> dict[str, Any]:
    """Return ejection for what happens on the way to a host, never for what it answers.

    All hosts may be ejected, since that is what lets an aggregate fall to stable; the next
    health check that passes brings a host back.
    """
    never = ("consecutive_5xx", "consecutive_gateway_failure", "success_rate")
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_time": "10s",
        "max_ejection_percent": 100,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_failure_percentage": 0,
        "enforcing_failure_percentage_local_origin": 0,
        **{f"enforcing_{kind}": 0 for kind in never},
    }


def _no_limits() -> dict[str, Any]:
    """Return limits that are never met: a server alone knows when it is overloaded."""
    kinds = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return dict.fromkeys(kinds, 1_000_000)


def _http_options(protocol: Protocol) -> dict[str, Any]:
    kind = f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions"
    http_2 = {"http2_protocol_options": {"max_concurrent_streams": STREAMS_PER_CONNECTION}}
    options = {
        "@type": kind,
        "common_http_protocol_options": {
            "idle_timeout": UPSTREAM_IDLE_TIMEOUT,
            "max_requests_per_connection": REQUESTS_PER_CONNECTION,
        },
        "explicit_http_config": {"http_protocol_options": {}} if protocol == "http" else http_2,
    }
    return {kind.removeprefix("type.googleapis.com/"): options}

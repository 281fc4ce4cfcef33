"""The statistics by which the routers say how each arm of a Model does.

A unit is one inference call. Its outcome is what the client got, after retries, and its latency
runs from the request's last byte in to the response's last byte out. Both are counted under the
epoch that the weighted cluster stamped, so that a change of weights never mixes shares.

`served_by` is the revision whose server answered. Where it is not the arm's own revision, the
request was diverted: the arm had no healthy server and its share fell to the stable revision.

The series are kept in one scope that all listeners share: a listener that is replaced does not
start them anew.
"""

from typing import Any, Final

from driftline_api.names import ARM_HEADER, EPOCH_HEADER

#: Begins the name of every series.
PREFIX: Final = "driftline"
OUTCOMES: Final = "outcomes"
LATENCY: Final = "latency"


def access_log(model: str) -> dict[str, Any]:
    """Return the access logger that counts one Model's inference calls.

    Only an inference route stamps the epoch, and what a client sent under its name is removed
    before routing: the header's presence is what makes a request a unit.
    """
    arm = (
        _tag("model", model),
        _tag("arm", f"%REQ({ARM_HEADER})%"),
        _tag("epoch", f"%REQ({EPOCH_HEADER})%"),
    )
    outcome = (
        _tag("served_by", "%UPSTREAM_HOST_NAME_WITHOUT_PORT%"),
        _tag("code", "%RESPONSE_CODE%"),
        _tag("grpc", "%GRPC_STATUS_NUMBER%"),
        _tag("flags", "%RESPONSE_FLAGS%"),
    )
    counter = {"stat": {"name": OUTCOMES, "tags": [*arm, *outcome]}, "value_fixed": 1}
    histogram = {
        "stat": {"name": LATENCY, "tags": [*arm]},
        "unit": "Microseconds",
        "value_format": "%COMMON_DURATION(DS_RX_END:DS_TX_END:us)%",
    }
    return {
        "name": "envoy.access_loggers.stats",
        "filter": {"header_filter": {"header": {"name": EPOCH_HEADER, "present_match": True}}},
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": PREFIX, "sharing_name": PREFIX, "enable_eviction": True},
            "counters": [counter],
            "histograms": [histogram],
        },
    }


def _tag(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value_format": value}

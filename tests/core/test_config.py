"""What the installation says."""

import pytest

from driftline_operator.config import OperatorConfig
from driftline_operator.errors import ConfigError

LEAST = {
    "POD_NAME": "operator-0",
    "POD_NAMESPACE": "system",
    "DRIFTLINE_SERVING_IMAGE": "serving:1",
    "DRIFTLINE_ROUTER_IMAGE": "envoy:1",
}


def test_the_rest_has_defaults() -> None:
    config = OperatorConfig.from_env({**LEAST, "DRIFTLINE_XDS_HOST": ""})
    assert config.xds_host == "driftline-operator.system.svc"
    assert config.watch_namespaces == ()
    assert (config.receipt_rotation_days, config.receipt_horizon_days) == (30, 90)
    assert (config.http_port, config.xds_port, config.router_replicas) == (8080, 8081, 2)


def test_lists_and_json_are_read() -> None:
    config = OperatorConfig.from_env(
        {
            **LEAST,
            "DRIFTLINE_WATCH_NAMESPACES": "red, blue,",
            "DRIFTLINE_IMAGE_PULL_SECRETS": "one,two",
            "DRIFTLINE_ROUTER_RESOURCES": '{"limits": {"cpu": "1"}}',
        }
    )
    assert config.watch_namespaces == ("red", "blue")
    assert config.image_pull_secrets == ("one", "two")
    assert config.router_resources == {"limits": {"cpu": "1"}}


@pytest.mark.parametrize("name", sorted(LEAST))
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        OperatorConfig.from_env({key: value for key, value in LEAST.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DRIFTLINE_ROUTER_REPLICAS", "none"),
        ("DRIFTLINE_ROUTER_REPLICAS", "0"),
        ("DRIFTLINE_ROUTER_RESOURCES", "{"),
        ("DRIFTLINE_ROUTER_RESOURCES", "[]"),
        ("DRIFTLINE_XDS_PORT", "-1"),
        ("DRIFTLINE_RECEIPT_ROTATION_DAYS", "0"),
        ("DRIFTLINE_RECEIPT_HORIZON_DAYS", "long"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        OperatorConfig.from_env({**LEAST, name: value})

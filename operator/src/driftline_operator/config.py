"""What the installation says, by environment variables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from driftline_operator.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """The settings of one operator process, each an environment variable of the chart's.

    Attributes:
        namespace: the release's, where the Lease lies.
        watch_namespaces: whose Models are served; empty for all.
        monitor_resources: of the container beside each new model server that watches it.
        proxy_resources: of the one through which requests go to a foreign server.
        xds_host: the name under which routers reach any replica.
        http_port: where this process serves health and metrics.
        xds_port: where it answers routers; their Service always offers it at 8081.
        receipt_rotation_days: the age at which the newest key of receipts gets a successor.
        receipt_horizon_days: for how long after a prediction its receipt can be verified.
        drift_poll_seconds: between two polls of a Model's monitors.
        webhook_url: where CloudEvents go; empty where nobody wants any.
        webhook_authorization: their header of that name; it is shown nowhere.
        webhook_attempts: after which an event is given up.
    """

    pod_name: str
    namespace: str
    serving_image: str
    router_image: str
    xds_host: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    watch_namespaces: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    router_replicas: int = 2
    router_resources: Mapping[str, Any] = field(default_factory=dict)
    monitor_resources: Mapping[str, Any] = field(default_factory=dict)
    proxy_resources: Mapping[str, Any] = field(default_factory=dict)
    http_port: int = 8080
    xds_port: int = 8081
    receipt_rotation_days: int = 30
    receipt_horizon_days: int = 90
    drift_poll_seconds: int = 60
    webhook_url: str = ""
    webhook_authorization: str = field(default="", repr=False)
    webhook_attempts: int = 10

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            ConfigError: one is missing or cannot be read; the message names it.
        """
        namespace = _required(environ, "POD_NAMESPACE")
        return cls(
            pod_name=_required(environ, "POD_NAME"),
            namespace=namespace,
            serving_image=_required(environ, "DRIFTLINE_SERVING_IMAGE"),
            router_image=_required(environ, "DRIFTLINE_ROUTER_IMAGE"),
            xds_host=environ.get("DRIFTLINE_XDS_HOST") or f"driftline-operator.{namespace}.svc",
            image_pull_policy=environ.get("DRIFTLINE_IMAGE_PULL_POLICY") or "IfNotPresent",
            image_pull_secrets=_words(environ, "DRIFTLINE_IMAGE_PULL_SECRETS"),
            watch_namespaces=_words(environ, "DRIFTLINE_WATCH_NAMESPACES"),
            cluster_domain=environ.get("DRIFTLINE_CLUSTER_DOMAIN") or "cluster.local",
            router_replicas=_count(environ, "DRIFTLINE_ROUTER_REPLICAS", 2),
            router_resources=_object(environ, "DRIFTLINE_ROUTER_RESOURCES"),
            monitor_resources=_object(environ, "DRIFTLINE_MONITOR_RESOURCES"),
            proxy_resources=_object(environ, "DRIFTLINE_PROXY_RESOURCES"),
            http_port=_count(environ, "DRIFTLINE_HTTP_PORT", 8080),
            xds_port=_count(environ, "DRIFTLINE_XDS_PORT", 8081),
            receipt_rotation_days=_count(environ, "DRIFTLINE_RECEIPT_ROTATION_DAYS", 30),
            receipt_horizon_days=_count(environ, "DRIFTLINE_RECEIPT_HORIZON_DAYS", 90),
            drift_poll_seconds=_count(environ, "DRIFTLINE_DRIFT_POLL_SECONDS", 60),
            webhook_url=_web(environ, "DRIFTLINE_WEBHOOK_URL"),
            webhook_authorization=environ.get("DRIFTLINE_WEBHOOK_AUTHORIZATION", "").strip(),
            webhook_attempts=_count(environ, "DRIFTLINE_WEBHOOK_ATTEMPTS", 10),
        )


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise ConfigError(f"set {name}: the operator cannot run without it")
    return value


def _words(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = (word.strip() for word in environ.get(name, "").split(","))
    return tuple(word for word in words if word)


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{name} is {text!r}, not a number of 1 or more")
    return int(text)


def _web(environ: Mapping[str, str], name: str) -> str:
    url = environ.get(name, "").strip()
    if url and not url.startswith(("https://", "http://")):
        raise ConfigError(f"{name} is {url!r}: write https://host/path, or http://")
    return url


def _object(environ: Mapping[str, str], name: str) -> Mapping[str, Any]:
    text = environ.get(name) or "{}"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{name} is {text!r}, not a JSON object")
    return value

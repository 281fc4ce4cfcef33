"""Renders what runs beside a model server: its monitor, and a proxy where the server cannot tell.

No pod serves less because its monitor is dead: it has no readiness probe, and its end is none
of the server's. The proxy is on the way of every request, and so a container of its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from driftline_api.keys import KEYS_SECRET
from driftline_api.model import ModelSpec
from driftline_api.names import (
    MONITOR,
    MONITOR_PORT,
    PROXY,
    PROXY_ADMIN_PORT,
    PROXY_GRPC_PORT,
    PROXY_PORT,
    TAP_DIR,
    TAP_SOCKET,
)
from driftline_operator.model.containers import (
    KEYS_DIR,
    LEAVING,
    MODEL_DIR,
    PORT,
    START_SECONDS,
    TMP,
    Identity,
    Images,
    about,
    confined,
    of_pod,
)
from driftline_operator.model.observed import Pinned

_TAP: Final = {"name": "tap", "mountPath": TAP_DIR}


def is_proxied(spec: ModelSpec) -> bool:
    """Tell whether requests go through a proxy of ours."""
    container = spec.runtime.container
    return container is not None and container.observe == "Proxy"


def sidecars(
    spec: ModelSpec, pinned: Pinned, identity: Identity, images: Images
) -> Iterator[dict[str, Any]]:
    """Yield the containers beside the server."""
    if spec.runtime.container and is_proxied(spec):
        ports = spec.runtime.container.ports
        routes = {PROXY_PORT: ports.http} | ({PROXY_GRPC_PORT: ports.grpc} if ports.grpc else {})
        yield _proxy(about(spec, pinned, identity), routes, identity, images)
    container = spec.runtime.container
    server = f"http://127.0.0.1:{container.ports.http if container else PORT}"
    what = ["--model-name", identity.model, "--model-dir", MODEL_DIR, "--server", server]
    yield _monitor(what, about(spec, pinned, identity), pinned.secret, images)


def _monitor(
    what: list[str], env: list[dict[str, Any]], secret: str | None, images: Images
) -> dict[str, Any]:
    """Return the container that watches. It fetches a baseline as the artifact was fetched."""
    where = ["--keys", KEYS_DIR, "--port", str(MONITOR_PORT), "--tap", TAP_SOCKET]
    pod = of_pod(
        POD_UID="metadata.uid",
        POD_NAME="metadata.name",
        POD_NAMESPACE="metadata.namespace",
        POD_IP="status.podIP",
    )
    credentials = {"envFrom": [{"secretRef": {"name": secret}}]} if secret else {}
    return {
        **_ours(MONITOR, images),
        "args": ["monitor", *what, *where],
        "env": [*env, *pod],
        **credentials,
        "ports": [{"name": "monitor", "containerPort": MONITOR_PORT}],
        "resources": dict(images.monitor),
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_DIR, "readOnly": True},
            TMP,
            _TAP,
            {"name": KEYS_SECRET, "mountPath": KEYS_DIR, "readOnly": True},
        ],
        "livenessProbe": _alive("/healthz", "monitor"),
    }


def _proxy(
    env: list[dict[str, Any]], routes: Mapping[int, int], identity: Identity, images: Images
) -> dict[str, Any]:
    """Return the container that requests pass through. It is ready when the server is."""
    passed = [each for mine, theirs in routes.items() for each in ("--pass", f"{mine}:{theirs}")]
    where = ["--tap", TAP_SOCKET, "--admin-port", str(PROXY_ADMIN_PORT)]
    ports = {
        "proxy": PROXY_PORT,
        "proxy-grpc": PROXY_GRPC_PORT,
        "proxy-admin": PROXY_ADMIN_PORT,
    }
    ready = {"httpGet": {"path": "/v2/health/ready", "port": "proxy"}, "timeoutSeconds": 2}
    return {
        **_ours(PROXY, images),
        "args": ["proxy", "--model-name", identity.model, *passed, *where],
        "env": [*env, *of_pod(POD_IP="status.podIP")],
        "ports": [
            {"name": name, "containerPort": port}
            for name, port in ports.items()
            if port in {*routes, PROXY_ADMIN_PORT}
        ],
        "resources": dict(images.proxy),
        "volumeMounts": [TMP, _TAP],
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": START_SECONDS},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": _alive("/v2/health/live", "proxy-admin"),
    }


def _ours(name: str, images: Images) -> dict[str, Any]:
    return {
        "name": name,
        "image": images.serving,
        "imagePullPolicy": images.pull_policy,
        "lifecycle": LEAVING,
        "securityContext": confined(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _alive(path: str, port: str) -> dict[str, Any]:
    probe = {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 5}
    return {**probe, "periodSeconds": 10, "failureThreshold": 6}

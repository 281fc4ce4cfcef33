"""A loopback image registry, whose store is in the cache: only what changed is pushed or pulled."""

import contextlib
import http.client
import json
from collections.abc import Iterator

from e2e.cluster.host import check_port_free
from e2e.cluster.layout import Layout
from e2e.cluster.processes import Running, spawn, stop
from e2e.cluster.progress import wait_for

PORT = 5055
REGISTRY = f"127.0.0.1:{PORT}"
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def start(layout: Layout) -> Running:
    """Start the registry and wait until it answers.

    Its files are all in the cache, so that images can be built without a cluster.
    """
    check_port_free(PORT, "the image registry")
    store = layout.cache / "registry"
    store.mkdir(parents=True, exist_ok=True)
    config = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(store)}, "delete": {"enabled": True}},
        "http": {"addr": REGISTRY},
    }
    file = layout.cache / "registry.json"
    file.write_text(json.dumps(config, indent=2))
    log = layout.cache / "log" / "registry.log"
    process = spawn("registry", ["docker-registry", "serve", str(file)], log)
    wait_for("the image registry answers", answers, seconds=20, log=log)
    return process


@contextlib.contextmanager
def running(layout: Layout) -> Iterator[None]:
    """Use the registry that runs, or one for the time of the block."""
    if answers():
        yield
        return
    process = start(layout)
    try:
        yield
    finally:
        stop([process])


def answers() -> bool:
    """Tell whether a registry listens on the loopback port."""
    return _get("/v2/") == 200


def holds(name: str, tag: str) -> bool:
    """Tell whether the registry has that image."""
    return _get(f"/v2/{name}/manifests/{tag}") == 200


def _get(path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
    try:
        connection.request("HEAD" if "manifests" in path else "GET", path, headers=_ACCEPT)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


_ACCEPT = {"Accept": ", ".join(MANIFESTS)}

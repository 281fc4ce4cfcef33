"""Faults of the cluster itself, for the tests that show who keeps serving through them."""

import contextlib
import subprocess
import time
from collections.abc import Iterator

from e2e.cluster import native
from e2e.cluster.current import current, wish_from
from e2e.cluster.errors import RefusedError
from e2e.cluster.layout import Layout, default_layout
from e2e.cluster.progress import wait_for
from e2e.cluster.state import KIND_NAME, Kind

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
ASIDE = "/etc/kubernetes/kube-apiserver.yaml"


@contextlib.contextmanager
def api_server_down(seconds: float) -> Iterator[None]:
    """Stop the API server for the time of the block, and at least `seconds`; wait for its return.

    Raises:
        RefusedError: the cluster is a given one, whose API server is not ours to stop.
    """
    layout = default_layout()
    cluster = current(layout, wish_from())
    if cluster.kind is None:
        raise RefusedError("the API server of a given cluster is not stopped for a test")
    down = _native if cluster.kind is Kind.NATIVE else _in_kind
    with down(layout):
        until = time.monotonic() + seconds
        yield
        time.sleep(max(0.0, until - time.monotonic()))


@contextlib.contextmanager
def _native(layout: Layout) -> Iterator[None]:
    native.stop_program(layout, "apiserver")
    try:
        yield
    finally:
        native.restart_apiserver(layout)


@contextlib.contextmanager
def _in_kind(layout: Layout) -> Iterator[None]:
    _on_node("mv", MANIFEST, ASIDE)
    wait_for("the API server is gone", lambda: not _runs_in_kind(), seconds=60)
    try:
        yield
    finally:
        _on_node("mv", ASIDE, MANIFEST)
        kubeconfig = f"--kubeconfig={layout.kubeconfig}"
        ready = ["kubectl", kubeconfig, "get", "--raw=/readyz"]
        wait_for("the API server is back", lambda: _succeeds(ready), seconds=120)


def _runs_in_kind() -> bool:
    return _succeeds([*_NODE, "pgrep", "kube-apiserver"])


def _on_node(*argv: str) -> None:
    subprocess.run([*_NODE, *argv], check=True, capture_output=True)


def _succeeds(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


_NODE = ["docker", "exec", f"{KIND_NAME}-control-plane"]

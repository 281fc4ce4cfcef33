"""From `kubectl apply` of a Model to its first prediction, on a real cluster."""

import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from driftline_api import API_VERSION
from e2e.bench.report import Figure, number
from e2e.cluster.up import borrowed
from e2e.install import System, ensure_installed
from e2e.kubectl import Kubectl, KubectlError
from e2e.models import Trained, forest_of
from e2e.s3 import CREDENTIALS
from e2e.workspace import SMALL, Workspace, infer_body

MEGABYTES = 10
BAR_SECONDS = 15.0
PATIENCE_SECONDS = 120.0
#: Columns of `forest_of`.
FEATURES = 20


def figures_of(runs: int, tell: Callable[[str], None]) -> list[Figure]:
    """Return how long it takes, in a new namespace and in one whose routers run already."""
    tell("first prediction: a cluster, Driftline, and a model of 10 MB")
    trained = forest_of(MEGABYTES)
    with borrowed() as kubeconfig:
        system = ensure_installed(Kubectl(kubeconfig=kubeconfig))
        uri = system.upload("bench/forest/model.onnx", trained.onnx)
        pairs = [_pair(system, trained, uri) for _ in range(runs)]
    size = f"{len(trained.onnx) / 1e6:.1f} MB"
    first = [pair[0] for pair in pairs]
    second = [pair[1] for pair in pairs]
    return [
        _figure(f"apply to first prediction, {size}, first Model of a namespace", first),
        _figure(f"apply to first prediction, {size}, routers running", second),
    ]


def _figure(what: str, seconds: list[float]) -> Figure:
    return Figure(
        what=what,
        value=statistics.median(seconds),
        unit="s",
        bar=BAR_SECONDS,
        note=f"median of {', '.join(map(number, seconds))}",
    )


def _pair(system: System, trained: Trained, uri: str) -> tuple[float, float]:
    """Measure two Models, one after the other, in a namespace of their own."""
    with _namespace(system) as space:
        return (
            _seconds_to_predict(space, _manifest(space, "first", trained, uri)),
            _seconds_to_predict(space, _manifest(space, "second", trained, uri)),
        )


@contextmanager
def _namespace(system: System) -> Iterator[Workspace]:
    name = f"bench-{secrets.token_hex(3)}"
    space = Workspace(kubectl=system.kubectl, system=system, namespace=name)
    space.create()
    try:
        yield space
    finally:
        space.delete(wait=False)


def _manifest(space: Workspace, name: str, trained: Trained, uri: str) -> dict[str, Any]:
    source = {"uri": uri, "digest": trained.digest, "secretRef": {"name": CREDENTIALS}}
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "metadata": {"name": name, "namespace": space.namespace},
        "spec": {"artifact": source, "resources": SMALL},
    }


def _seconds_to_predict(space: Workspace, manifest: Mapping[str, Any]) -> float:
    """Apply, then ask through the Service until there is an answer.

    Raises:
        TimeoutError: there was none in time.
    """
    name = manifest["metadata"]["name"]
    body = infer_body(np.zeros((1, FEATURES), dtype=np.float32))
    began = time.monotonic()
    space.apply(manifest)
    while time.monotonic() - began < PATIENCE_SECONDS:
        try:
            space.system.post(space.namespace, name, body)
        except (AssertionError, LookupError, KubectlError, OSError):
            time.sleep(0.1)
        else:
            return time.monotonic() - began
    raise TimeoutError(f"{name} predicted nothing within {PATIENCE_SECONDS:g} s of its apply")

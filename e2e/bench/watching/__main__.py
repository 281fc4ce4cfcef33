"""Memory and CPU of the operator's drift loop, with real requests to stand-ins of monitors.

    python -m e2e.bench.watching [--models 1000] [--features 20] [--rounds 5]

The loop runs in this process, the monitors in another. Every Model has two pods and a profile of
its own, unless `--profiles` says otherwise. Nothing is written to an API server: what would be
is counted.
"""

import argparse
import asyncio
import base64
import gc
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from driftline_api import API_VERSION
from driftline_api.keys import KEYS_FILE, KEYS_SECRET, new_key, render_keys
from driftline_api.names import MANAGED_BY, MANAGER, MODEL, MONITOR, REVISION
from driftline_operator.core.clock import SYSTEM_CLOCK
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.core.store import Store
from driftline_operator.drift.findings import DriftBoard
from driftline_operator.shell.courier import Courier, Delivery
from driftline_operator.shell.drift import DriftCadence, DriftLoop, Watching
from driftline_operator.shell.drift_metrics import DriftMetrics
from driftline_operator.shell.keeper import Keeper
from driftline_operator.shell.monitors import MonitorClient
from e2e.bench.watching.fleet import address_of

_NAMESPACES = 50
_PODS = 2
_MIB = 1024 * 1024


class Written:
    """Takes writes and keeps none: their number, and their bytes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._versions = itertools.count(1)

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Know of nothing."""
        assert ref.kind == "ConfigMap"
        return None

    async def create(self, manifest: Manifest) -> Manifest:
        """Take a write."""
        blobs: Mapping[str, str] = manifest["binaryData"]
        self.sizes.append(sum(len(base64.b64decode(each)) for each in blobs.values()))
        return {"metadata": {"resourceVersion": str(next(self._versions))}}

    replace = create

    def permit(self) -> None:
        """Let writes pass."""

    def count(self, kind: str, verb: str) -> None:
        """Take note of nothing."""


def a_store(models: int) -> Store:
    """Return what the operator knows of so many Models with two pods each."""
    store, versions = Store(), itertools.count(1)

    def put(kind: str, name: str, namespace: str, **rest: Any) -> None:
        version = {"Model": API_VERSION, "ControllerRevision": "apps/v1"}.get(kind, "v1")
        meta = {
            "name": name,
            "namespace": namespace,
            "uid": name,
            "resourceVersion": str(next(versions)),
            "labels": {MANAGED_BY: MANAGER, **rest.pop("labels", {})},
        }
        store.put({"apiVersion": version, "kind": kind, "metadata": meta, **rest})

    keys = render_keys([new_key(bytes(range(38)), datetime(2026, 1, 1, tzinfo=UTC))])
    for at in range(models):
        namespace, model = f"team-{at % _NAMESPACES}", f"m{at}"
        if at < _NAMESPACES:
            secret = base64.b64encode(keys.encode()).decode()
            put("Secret", KEYS_SECRET, namespace, data={KEYS_FILE: secret})
        put("Model", model, namespace, spec={"artifact": {"uri": "s3://bucket/model"}})
        put("ControllerRevision", f"{model}-1", namespace, data={}, revision=1)
        for pod in range(_PODS * at, _PODS * (at + 1)):
            running = {"name": MONITOR, "restartCount": 0, "state": {"running": {}}}
            put(
                "Pod", f"pod-{pod}", namespace,
                labels={MODEL: model, REVISION: f"{model}-1"},
                spec={"containers": [{"name": MONITOR}]},
                status={"podIP": address_of(pod), "containerStatuses": [running]},
            )  # fmt: skip
    return store


async def measure(models: int, rounds: int, port: int) -> None:
    """Let the loop look `rounds` times at every Model, and print what that took."""
    store, written = a_store(models), Written()
    registry = CollectorRegistry()
    metrics = DriftMetrics(registry)
    watching = Watching(
        snapshot=store,
        board=DriftBoard(),
        enqueue=lambda _: None,
        keeper=Keeper(written, written, lambda: 1),  # type: ignore[arg-type]  # all that is called is there
        courier=Courier(Delivery(), metrics.event),
        metrics=metrics,
        clock=SYSTEM_CLOCK,
    )
    loop = DriftLoop(
        watching,
        client=lambda: MonitorClient(port=port, timeout=60.0),
        cadence=DriftCadence(usual=1.0, tick=0.2),
    )
    before = resident()
    print(f"{models} Models, {_PODS * models} monitors; before the first look {before:.0f} MiB")
    task = asyncio.create_task(loop.run())
    told, cpu = 0.0, time.process_time()
    for at in range(rounds):
        while polls(registry) < told + _PODS * models:  # noqa: ASYNC110 - counts have no event
            await asyncio.sleep(0.05)
        spent, told = time.process_time() - cpu, polls(registry)
        cpu = time.process_time()
        gc.collect()
        print(
            f"look {at + 1}: {spent * 1e3 / models:.1f} ms of CPU a Model, "
            f"{spent / 60:.1%} of a core at a look a minute; {resident() - before:.0f} MiB more"
        )
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    sizes = sorted(written.sizes)
    print(
        f"{len(sizes)} writes, {sizes[len(sizes) // 2] / 1024:.1f} KiB in the median, "
        f"{sizes[-1] / 1024:.1f} KiB at most"
    )


def polls(registry: CollectorRegistry) -> float:
    """Return how many summaries came."""
    found = registry.get_sample_value(
        "driftline_drift_polls_total", {"whom": "monitor", "outcome": "ok"}
    )
    return found or 0.0


def resident() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench.watching", description=__doc__)
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profiles", type=int, default=None, help="different ones; one a Model")
    args = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    profiles = args.profiles or args.models
    command = [sys.executable, "-m", "e2e.bench.watching.fleet"]
    fleet = subprocess.Popen(
        [*command, str(port), str(args.features), str(profiles)], stdout=subprocess.PIPE
    )
    try:
        assert fleet.stdout is not None
        fleet.stdout.readline()
        asyncio.run(measure(args.models, args.rounds, port))
    finally:
        fleet.kill()
        fleet.wait()


if __name__ == "__main__":
    main()

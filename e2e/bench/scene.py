"""What the operator is measured in: an API server, the stand-in, and the operator itself."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from e2e.bench.api import Client, Object
from e2e.bench.audit import OPERATOR, AuditLog, Write
from e2e.bench.control_plane import ControlPlane, control_plane
from e2e.bench.population import SYSTEM, populate
from e2e.bench.process import Running, running, start

CHECKOUT = Path(__file__).resolve().parents[2]
#: A run that takes longer than this has hung.
PATIENCE_SECONDS = 1200

_ENVIRONMENT = {
    "POD_NAME": "driftline-operator-bench",
    "POD_NAMESPACE": SYSTEM,
    "DRIFTLINE_SERVING_IMAGE": "localhost/driftline-serving:bench",
    "DRIFTLINE_ROUTER_IMAGE": "localhost/envoy:bench",
    "DRIFTLINE_ROUTER_REPLICAS": "2",
}


@dataclass(slots=True, kw_only=True)
class Scene:
    """A cluster of Models that nobody has reconciled yet, and what is to reconcile them.

    Attributes:
        models: how many.
        operators: every operator that was started here, the latest last.
        peaks: the most memory (10^6 bytes) that each stopped one had.
    """

    plane: ControlPlane
    audit: AuditLog
    stand_in: Running
    directory: Path
    models: int
    operators: list[Running] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    @property
    def operator(self) -> Running:
        """The operator that was started last."""
        return self.operators[-1]

    def start_operator(self) -> Running:
        """Start the operator, as its container would."""
        log = self.directory / f"operator-{len(self.operators) + 1}.log"
        environment = {**_ENVIRONMENT, "KUBECONFIG": str(self.plane.kubeconfig)}
        command = [sys.executable, "-m", "driftline_operator"]
        self.operators.append(start("operator", command, log, environment))
        return self.operator

    def stop_operator(self) -> None:
        """Stop the operator that was started last, and keep what it tells only while it runs."""
        self.peaks.append(self.operator.peak_memory_mb())
        self.operator.stop()

    def end(self) -> None:
        """Stop the operator if it still runs, so that every operator's peak is known."""
        if self.operator.process.poll() is None:
            self.stop_operator()

    def check(self) -> None:
        """Raise DiedError if something ended that should run."""
        self.stand_in.check()
        self.operator.check()

    @contextlib.contextmanager
    def paused_stand_in(self) -> Iterator[None]:
        """Keep the stand-in from using any CPU for a while."""
        pid = self.stand_in.process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def scene(kube: Path, models: int) -> AsyncIterator[Scene]:
    """Bring up an API server with Models and the stand-in, and take all down at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="driftline-bench-") as name,
        control_plane(kube, Path(name)) as plane,
    ):
        async with Client(plane, "driftline-bench/1") as client:
            await populate(client, CHECKOUT / "crds", models)
        command = [sys.executable, "-m", "e2e.bench.standin"]
        command += ["--kubeconfig", str(plane.kubeconfig), "--xds", "http://127.0.0.1:8081"]
        log = Path(name) / "stand-in.log"
        with running("stand-in", command, log, {"PYTHONPATH": str(CHECKOUT)}) as stand_in:
            made = Scene(
                plane=plane,
                audit=AuditLog(plane.audit_log),
                stand_in=stand_in,
                directory=Path(name),
                models=models,
            )
            try:
                yield made
            finally:
                for operator in made.operators:
                    operator.stop()


def is_settled(model: Object) -> bool:
    """Whether a Model serves and the operator has nothing left to do for it."""
    status = model.get("status", {})
    said = {c["type"]: c["status"] for c in status.get("conditions", [])}
    current = status.get("observedGeneration") == model["metadata"]["generation"]
    return current and said.get("Ready") == "True" and said.get("Reconciling") == "False"


async def until_settled(made: Scene, tell: Callable[[str], None]) -> float:
    """Wait until every Model is served, and return the seconds since the call.

    Raises:
        DiedError: the operator or the stand-in ended.
        TimeoutError: it hung.
    """
    began = time.monotonic()
    settled: set[tuple[str, str]] = set()
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        progress = tasks.create_task(_progress(made, settled, tell))
        async with Client(made.plane, "driftline-bench-observer/1") as client:
            await _collect(client, settled, made.models)
        progress.cancel()
    return time.monotonic() - began


async def _collect(client: Client, settled: set[tuple[str, str]], wanted: int) -> None:
    async for _, model in client.watch("Model", "resourceVersion=0"):
        name = (model["metadata"]["namespace"], model["metadata"]["name"])
        if is_settled(model):
            settled.add(name)
        else:
            settled.discard(name)
        if len(settled) == wanted:
            return


async def _progress(
    made: Scene, settled: set[tuple[str, str]], tell: Callable[[str], None]
) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(5)
        made.check()
        tell(f"{len(settled)} of {made.models} Ready after {time.monotonic() - began:.0f} s")


async def until_led(made: Scene) -> list[Write]:
    """Wait until the operator has taken or renewed the Lease, and return what was written."""
    seen: list[Write] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(write.is_lease and write.agent.startswith(OPERATOR) for write in seen):
            await asyncio.sleep(0.5)
            made.check()
            seen += made.audit.read()
    return seen


async def until_quiet(made: Scene, seconds: float) -> list[Write]:
    """Wait until the API server saw no write but of Leases for so long, and return what it saw."""
    seen: list[Write] = []
    quiet_since = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while time.monotonic() - quiet_since < seconds:
            await asyncio.sleep(1)
            made.check()
            new = [write for write in made.audit.read() if not write.is_lease]
            if new:
                quiet_since = time.monotonic()
            seen += new
    return seen

"""Starts the servers one after the other, puts the same load on each, and compares."""

import json
import socket
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.bench.process import running
from e2e.bench.report import Figure, number
from e2e.bench.scene import CHECKOUT
from e2e.bench.serving import load
from e2e.bench.serving.load import Load
from e2e.bench.serving.models import Case, cases

CONCURRENCIES = (1, 8, 64)
WARM_UP_SECONDS = 1
START_SECONDS = 60.0
OURS, PLAIN = "Driftline", "aiohttp and ONNX Runtime"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server and how it is started for a model in a directory, at a port."""

    name: str
    command: Callable[[Path, int], list[str]]


def _ours(directory: Path, port: int) -> list[str]:
    where = ["--model-name", "m", "--model-dir", str(directory), "--port", str(port)]
    where += ["--host", "127.0.0.1", "--grpc-port", "0"]
    more = ["--cpus", "1", "--termination-log", str(directory / "end")]
    return [sys.executable, "-m", "driftline_serving", "serve", *where, *more]


def _plain(directory: Path, port: int) -> list[str]:
    module = "e2e.bench.serving.plain"
    return [sys.executable, "-m", module, str(directory / "model.onnx"), str(port)]


SERVERS = (Server(name=OURS, command=_ours), Server(name=PLAIN, command=_plain))


def figures(runs: int, seconds: int, tell: Tell) -> list[Figure]:
    """Return how the servers compare, each figure the median of its runs."""
    found = []
    for case in cases():
        seen: dict[tuple[str, int], list[Load]] = {}
        for turn in range(runs):
            for server in SERVERS:
                tell(f"{case.name}: {server.name}, run {turn + 1} of {runs}")
                for connections, measured in _measured(server, case, seconds):
                    seen.setdefault((server.name, connections), []).append(measured)
        found += [each for count in CONCURRENCIES for each in _compared(case, count, seen)]
    return found


def _measured(server: Server, case: Case, seconds: int) -> Iterator[tuple[int, Load]]:
    """Start a server, let it answer for a moment, and put each load on it."""
    ours, theirs = load.free_cpus(1)
    with _started(server, case, ours) as url:
        load.run(url, case.body, connections=8, seconds=WARM_UP_SECONDS, cpus=theirs)
        for connections in CONCURRENCIES:
            yield (
                connections,
                load.run(url, case.body, connections=connections, seconds=seconds, cpus=theirs),
            )


@contextmanager
def _started(server: Server, case: Case, cpus: Sequence[int]) -> Iterator[str]:
    pinned = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
    with tempfile.TemporaryDirectory(prefix="driftline-serving-") as name:
        directory = Path(name)
        (directory / "model.onnx").write_bytes(case.onnx)
        port = _free_port()
        command = [*pinned, *server.command(directory, port)]
        env = {"PYTHONPATH": str(CHECKOUT)}
        with running(server.name, command, directory / "log", env) as program:
            base = f"http://127.0.0.1:{port}/v2"
            deadline = time.monotonic() + START_SECONDS
            while not _is_ready(base):
                program.check()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{server.name} is not ready:\n{program.tail()}")
                time.sleep(0.05)
            _check_answer(f"{base}/models/m/infer", case.body)
            yield f"{base}/models/m/infer"


def _is_ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/health/ready", timeout=1) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _check_answer(url: str, body: bytes) -> None:
    """See that an answer holds one probability for each class, which add up to 1."""
    with urllib.request.urlopen(url, body, timeout=10) as answer:  # noqa: S310 - loopback
        outputs = {each["name"]: each["data"] for each in json.load(answer)["outputs"]}
    total = sum(outputs["probabilities"])
    if abs(total - 1) > 1e-4:
        raise load.LoadError(f"{url} answers with probabilities {outputs['probabilities']}")


def _compared(
    case: Case, connections: int, seen: dict[tuple[str, int], list[Load]]
) -> Iterator[Figure]:
    where = f"{case.name}, {connections} connections"
    ours, plain = seen[OURS, connections], seen[PLAIN, connections]
    ratios = [a.per_second / b.per_second for a, b in zip(ours, plain, strict=True)]
    yield Figure(
        what=f"{where}: {OURS} / {PLAIN}",
        value=statistics.median(ratios),
        unit="x",
        note=f"requests/s; runs: {', '.join(map(number, ratios))}",
    )
    for server, loads in ((OURS, ours), (PLAIN, plain)):
        yield Figure(
            what=f"{where}: {server}",
            value=statistics.median(each.per_second for each in loads),
            unit="requests/s",
            note=_latencies(loads),
        )


def _latencies(loads: Sequence[Load]) -> str:
    p50 = statistics.median(each.p50 for each in loads)
    p99 = statistics.median(each.p99 for each in loads)
    return f"p50 {number(p50)} ms, p99 {number(p99)} ms"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

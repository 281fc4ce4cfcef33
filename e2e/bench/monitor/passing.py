"""What it costs a server that cannot tap to stand behind the proxy.

The server is ours, without a tap: hardly any other is as fast, so what is lost by the proxy is the
most that is lost. Server, proxy and monitor share one CPU, as in a pod that is given one.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.bench.monitor.sidecars import MONITOR, environment, ours, port_of, sidecar
from e2e.bench.process import Running, running
from e2e.bench.report import Figure, number
from e2e.bench.serving import answers, load
from e2e.bench.serving.case import Case
from e2e.bench.serving.load import Load
from e2e.bench.serving.memory import memory_mb
from e2e.bench.serving.running import Cpus, Serving, pinned, serving
from e2e.bench.serving.servers import BARE, driftline

DIRECT, PROXY, WATCHED = "no proxy", "proxy", "proxy and monitor"
FORWARDER = "aiohttp reverse proxy"
NAMES: Final = (DIRECT, PROXY, WATCHED, FORWARDER)
MANY: Final = 64
#: Of the requests/s through the plainest proxy, all on one CPU.
RATE_BAR: Final = 1.5
_WARM_SECONDS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What one run through one of them showed.

    Attributes:
        many: many requests at a time.
        alone: one at a time.
        each_us: microseconds of CPU that the proxy took for a request, many at a time.
    """

    many: Load
    alone: Load
    each_us: float


Seen = Mapping[str, Sequence[Passed]]


def measured(case: Case, cpus: Cpus, runs: int, seconds: int) -> tuple[Seen, dict[str, float]]:
    """Return what was seen, turn by turn, and the memory of each proxy in MB."""
    seen: dict[str, list[Passed]] = {name: [] for name in NAMES}
    with ExitStack() as stack:
        server = stack.enter_context(serving(driftline(BARE, ()), case, cpus))
        ways = {name: _way(name, server, cpus, stack) for name in NAMES}
        for turn in range(runs + 1):
            for name, (url, program) in ways.items():
                passed = _passed(
                    url, program, server.asked, (cpus, seconds if turn else _WARM_SECONDS)
                )
                seen[name] += [passed] * bool(turn)
        memory = {
            name: sum(memory_mb(program.process.pid))
            for name, (_, program) in ways.items()
            if name != DIRECT
        }
    return seen, memory


def _way(name: str, server: Serving, cpus: Cpus, stack: ExitStack) -> tuple[str, Running]:
    """Return where requests go, and who passes them on."""
    if name == DIRECT:
        return server.url, server.program
    directory = server.program.log.parent / name.replace(" ", "-")
    directory.mkdir()
    port = server.url.split(":")[2].partition("/")[0]
    command = ours("e2e.bench.monitor.forwarder", port)
    if name != FORWARDER:
        command = ours("driftline_serving", "proxy", "--model-name", "m", "--host", "127.0.0.1")
        command += ["--pass", f"0:{port}", "--admin-port", "0", "--tap", str(directory / "tap")]
    if name == WATCHED:
        stack.enter_context(sidecar(MONITOR, directory, cpus.server))
    log = Path(directory) / "proxy.log"
    program = running(name, pinned(command, cpus.server), log, environment())
    started = stack.enter_context(program)
    own = port_of(started)
    url = server.url.replace(f":{port}/", f":{own}/")
    answers.check(url, server.asked)
    return url, started


def _passed(url: str, program: Running, asked: answers.Asked, by: tuple[Cpus, int]) -> Passed:
    cpus, seconds = by
    posts = [post for post, _ in asked]
    alone = load.run(url, posts, connections=1, seconds=seconds, cpus=cpus.client)
    before = program.cpu_seconds()
    many = load.run(url, posts, connections=MANY, seconds=seconds, cpus=cpus.client)
    spent = program.cpu_seconds() - before
    return Passed(many=many, alone=alone, each_us=1e6 * spent / (many.per_second * seconds))


def figures(seen: Seen, memory: Mapping[str, float]) -> Iterator[Figure]:
    """Return what the proxy costs, beside what another would."""
    plain = zip(seen[FORWARDER], seen[PROXY], strict=True)
    ratios = [each.many.per_second / other.many.per_second for other, each in plain]
    yield _figure(f"{PROXY}: requests/s / {FORWARDER}", "x", ratios, RATE_BAR)
    for name in (PROXY, WATCHED, FORWARDER):
        pairs = list(zip(seen[DIRECT], seen[name], strict=True))
        rates = [each.many.per_second / direct.many.per_second for direct, each in pairs]
        yield _figure(f"{name}: requests/s / {DIRECT}", "x", rates)
        added = [1000 * (each.alone.p50 - direct.alone.p50) for direct, each in pairs]
        yield _figure(f"{name}: added to a request alone, p50", "µs", added)
        tails = [1000 * (each.alone.p99 - direct.alone.p99) for direct, each in pairs]
        yield _figure(f"{name}: the same, p99", "µs", tails)
        spent = [each.each_us for each in seen[name]]
        yield _figure(f"{name}: CPU of the proxy for a request", "µs", spent)
        what = f"{name}: memory of the proxy"
        yield Figure(what=what, value=memory[name], unit="MB", note="PSS, after all runs")


def _figure(what: str, unit: str, values: Sequence[float], bar: float = 0.0) -> Figure:
    return Figure(
        what=what,
        value=statistics.median(values),
        unit=unit,
        bar=bar or None,
        at_least=True,
        note=f"runs: {', '.join(map(number, values))}",
    )

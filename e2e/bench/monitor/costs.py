"""What one who is told costs, at some rates, and what telling costs the server."""

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.bench.monitor.sidecars import LOGGER, MONITOR, Sidecar, ask, environment, ours, sidecar
from e2e.bench.report import Figure, number
from e2e.bench.serving.load import LoadError
from e2e.bench.serving.memory import memory_mb
from e2e.bench.serving.running import Cpus, pinned

#: Inferences a second; 0: as many as are taken.
RATES: Final = (1_000, 10_000, 0)
_WARM_RATE, _WARM_SECONDS = 2_000, 1.0
#: Of the payload logger's CPU for one inference, both ends counted, at each rate.
CPU_BARS: Final = {1_000: 1.0, 10_000: 0.5, 0: 0.25}
MEMORY_BAR_MB: Final = 200.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run showed.

    Attributes:
        per_second: inferences that were taken.
        dropped: of those made, a share.
        cpu: seconds of CPU of the sidecar, for each second.
        each_us: microseconds of CPU for each inference that was taken, of the sidecar.
        telling_us: the same of the server, beside making the inferences.
        memory_mb: of the sidecar, after the run.
        counted: share of inferences whose rows were counted; 1 for who counts none.
    """

    per_second: float
    dropped: float
    cpu: float
    each_us: float
    telling_us: float
    memory_mb: float
    counted: float


def measured(
    cpus: Cpus, runs: int, seconds: float, tell: Tell
) -> dict[tuple[str, int], list[Cost]]:
    """Return the costs of both at all rates, run by run."""
    found: dict[tuple[str, int], list[Cost]] = {}
    for rate in RATES:
        making = _source("off", "-", rate, seconds, cpus)
        making_us = 1e6 * making["cpu"] / making["made"]
        for name in (MONITOR, LOGGER):
            tell(f"{name} at {_named(rate)}")
            with (
                tempfile.TemporaryDirectory(prefix="driftline-") as directory,
                sidecar(name, Path(directory), cpus.client) as one,
            ):
                _prepare(one, cpus)
                found[name, rate] = [
                    _cost(one, rate, seconds, (making_us, cpus)) for _ in range(runs)
                ]
    return found


def _prepare(one: Sidecar, cpus: Cpus) -> None:
    """Have the monitor count by a plan, as in a cluster, which it proposes after some rows."""
    if one.how == "tap":
        ask("PUT", f"{one.url}/config", {})
    _source(one.how, one.where, _WARM_RATE, _WARM_SECONDS, cpus)
    if one.how == "tap":
        plan = ask("POST", f"{one.url}/plan")
        ask("PUT", f"{one.url}/config", {"plan": plan})


def _cost(one: Sidecar, rate: int, seconds: float, by: tuple[float, Cpus]) -> Cost:
    making_us, cpus = by
    before, counted = one.program.cpu_seconds(), _counted(one)
    made = _source(one.how, one.where, rate, seconds, cpus)
    if not made["told"]:
        raise LoadError(f"{one.program.name} took nothing:\n{one.program.tail()}")
    cpu, seen = one.program.cpu_seconds() - before, _counted(one)
    return Cost(
        per_second=made["told"] / made["seconds"],
        dropped=made["dropped"] / made["made"],
        cpu=cpu / made["seconds"],
        each_us=1e6 * cpu / made["told"],
        telling_us=1e6 * made["cpu"] / made["told"] - making_us * made["made"] / made["told"],
        memory_mb=sum(memory_mb(one.program.process.pid)),
        counted=(seen[1] - counted[1]) / (seen[0] - counted[0]) if one.how == "tap" else 1.0,
    )


def _counted(one: Sidecar) -> tuple[int, int]:
    """Return how many inferences the monitor has seen, and counted."""
    if one.how != "tap":
        return 0, 0
    totals = ask("GET", f"{one.url}/summary")["totals"]
    return totals["seen"], totals["counted"]


def _source(how: str, where: str, rate: float, seconds: float, cpus: Cpus) -> dict[str, float]:
    command = ours("e2e.bench.monitor.source", how, where, str(rate), str(seconds))
    ended = subprocess.run(
        pinned(command, cpus.server), env=environment(), capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise LoadError(f"the source has ended:\n{ended.stderr[-2000:]}")
    result: dict[str, float] = json.loads(ended.stdout)
    return result


def figures(found: dict[tuple[str, int], list[Cost]]) -> Iterator[Figure]:
    """Return the figures, the monitor's beside the logger's."""
    for rate in RATES:
        ours_all, theirs_all = found[MONITOR, rate], found[LOGGER, rate]
        pairs = zip(ours_all, theirs_all, strict=True)
        ratios = [
            (mine.each_us + mine.telling_us) / (other.each_us + other.telling_us)
            for mine, other in pairs
        ]
        yield Figure(
            what=f"{_named(rate)}: CPU for an inference, both ends / {LOGGER}",
            value=statistics.median(ratios),
            unit="x",
            bar=CPU_BARS[rate],
            note=f"runs: {', '.join(map(number, ratios))}",
        )
    yield Figure(
        what="most memory of the monitor, at all rates",
        value=max(cost.memory_mb for rate in RATES for cost in found[MONITOR, rate]),
        unit="MB",
        bar=MEMORY_BAR_MB,
        note="PSS after each run",
    )


def rows(found: dict[tuple[str, int], list[Cost]]) -> list[Sequence[str]]:
    """Return a table of all that was measured."""
    header = (
        "inferences/s", "who", "taken/s", "dropped", "CPU", "µs each", "µs each, server",
        "memory", "counted",
    )  # fmt: skip
    return [header, *(_row(name, rate, costs) for (name, rate), costs in found.items())]


def _row(name: str, rate: int, costs: Sequence[Cost]) -> Sequence[str]:
    def middle(of: Callable[[Cost], float]) -> float:
        return statistics.median(map(of, costs))

    return (
        _named(rate),
        name,
        number(round(middle(lambda cost: cost.per_second))),
        f"{100 * middle(lambda cost: cost.dropped):.3g} %",
        f"{100 * middle(lambda cost: cost.cpu):.3g} %",
        number(middle(lambda cost: cost.each_us)),
        number(middle(lambda cost: cost.telling_us)),
        f"{middle(lambda cost: cost.memory_mb):.3g} MB",
        f"{100 * middle(lambda cost: cost.counted):.3g} %" if name == MONITOR else "",
    )


def _named(rate: int) -> str:
    return f"{rate:,}/s" if rate else "saturated"

"""What the tap costs, whoever listens; run as a module, it is who listens badly."""

import argparse
import asyncio
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from driftline_serving.tap.frame import Frame
from driftline_serving.tap.reader import Reader
from e2e.bench.report import Figure, number
from e2e.bench.serving import load
from e2e.bench.serving.case import Case, Start
from e2e.bench.serving.extras import RECEIPTS, TAP, Beside, Extra, socket_of, tapping
from e2e.bench.serving.load import Load
from e2e.bench.serving.running import Cpus, serving
from e2e.bench.serving.servers import Server, driftline

OFF, OFF_AGAIN, LIVE, DEAD = "no tap", "no tap, again", "a reader that keeps up", "no reader"
STUCK, SLOW = "a stuck reader", "a slow reader"
CONNECTIONS: Final = 64
WARM_UP_SECONDS: Final = 1
#: Of the requests/s without a tap, with a reader that keeps up, percent.
LIVE_BAR: Final = 15.0
#: That the slow reader takes for each frame.
SLOW_SECONDS: Final = 0.1

Loads = Mapping[str, Sequence[Load]]


def _badly(how: str, start: Start) -> list[Beside]:
    command = [sys.executable, "-m", "e2e.bench.serving.tap", how, socket_of(start)]
    return [Beside(command=command, proof=how)]


def _server(name: str, *extras: Extra) -> Server:
    return driftline(name, (RECEIPTS, *extras))


SERVERS: Final = (
    _server(OFF),
    _server(OFF_AGAIN),
    _server(LIVE, TAP),
    _server(DEAD, Extra(arguments=tapping)),
    _server(STUCK, Extra(arguments=tapping, beside=partial(_badly, "stuck"))),
    _server(SLOW, Extra(arguments=tapping, beside=partial(_badly, "slow"))),
)


def figures(case: Case, cpus: Cpus, runs: int, seconds: int) -> list[Figure]:
    """Return what the tap costs when the server has all it can do.

    All servers are there all the time, and take turns.
    """
    loads: dict[str, list[Load]] = {server.name: [] for server in SERVERS}
    with ExitStack() as stack:
        started = {each.name: stack.enter_context(serving(each, case, cpus)) for each in SERVERS}
        for turn in range(runs + 1):
            for name, each in started.items():
                posts = [post for post, _ in each.asked]
                lasts = seconds if turn else WARM_UP_SECONDS
                loaded = load.run(
                    each.url, posts, connections=CONNECTIONS, seconds=lasts, cpus=cpus.client
                )
                loads[name] += [loaded] * bool(turn)
    return list(compared(loads))


def compared(loads: Loads) -> Iterator[Figure]:
    """Return the figures; what differs no more than a server from itself is noise."""
    noise = max(map(abs, _costs(loads, OFF_AGAIN)))
    p99_noise = max(max(ratio, 1 / ratio) for ratio in _p99s(loads, OFF_AGAIN))
    for name in (OFF_AGAIN, LIVE, DEAD, STUCK, SLOW):
        costs, p99s = _costs(loads, name), _p99s(loads, name)
        others = noise if name in (DEAD, STUCK, SLOW) else None
        yield Figure(
            what=f"tap, {name}: requests/s lost",
            value=statistics.median(costs),
            unit="%",
            bar=LIVE_BAR if name == LIVE else others,
            note=_runs(costs),
        )
        yield Figure(
            what=f"tap, {name}: p99 / p99 without",
            value=statistics.median(p99s),
            unit="x",
            bar=p99_noise if others else None,
            note=_runs(p99s),
        )


def _costs(loads: Loads, name: str) -> list[float]:
    """Return how much less than without a tap was answered in each turn, percent."""
    pairs = zip(loads[OFF], loads[name], strict=True)
    return [100 * (1 - each.per_second / without.per_second) for without, each in pairs]


def _p99s(loads: Loads, name: str) -> list[float]:
    return [each.p99 / off.p99 for off, each in zip(loads[OFF], loads[name], strict=True)]


def _runs(values: Sequence[float]) -> str:
    return f"runs: {', '.join(map(number, values))}"


def _stuck(path: Path) -> None:
    """Take connections, and never read."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        taken = []
        while True:
            taken.append(listener.accept())
            print("stuck", flush=True)


def _slow(path: Path) -> None:
    """Take long over every frame."""

    def handle(_: Frame) -> None:
        time.sleep(SLOW_SECONDS)
        print("slow", flush=True)

    async def listen() -> None:
        await Reader(path, handle).start()
        await asyncio.Event().wait()

    asyncio.run(listen())


def main() -> None:
    """Listen, badly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=["stuck", "slow"])
    parser.add_argument("socket", type=Path)
    arguments = parser.parse_args()
    {"stuck": _stuck, "slow": _slow}[arguments.how](arguments.socket)


if __name__ == "__main__":
    main()

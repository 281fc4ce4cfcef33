"""The figures of what the monitor and the proxy cost come from what was told."""

import asyncio
import io
import json
from pathlib import Path

from aiohttp import web

from e2e.bench.monitor import costs, logger, passing
from e2e.bench.monitor.costs import RATES, Cost
from e2e.bench.monitor.passing import DIRECT, FORWARDER, NAMES, Passed
from e2e.bench.monitor.sidecars import LOGGER, MONITOR
from e2e.bench.monitor.source import ByEvents, ByTap, Calls, Nobody, event, run
from e2e.bench.serving.load import Load
from tests.serving.tap_readers import Told, listening


def a_cost(each_us: float, telling_us: float = 0.0) -> Cost:
    return Cost(
        per_second=1000,
        dropped=0.0,
        cpu=0.01,
        each_us=each_us,
        telling_us=telling_us,
        memory_mb=70.0,
        counted=0.5,
    )


def test_both_ends_are_compared() -> None:
    found = {
        (name, rate): [a_cost(each, 10), a_cost(each, 10)]
        for rate in RATES
        for name, each in ((MONITOR, 10.0), (LOGGER, 90.0))
    }
    *ratios, memory = costs.figures(found)
    assert [round(figure.value, 6) for figure in ratios] == [0.2, 0.2, 0.2]
    assert [figure.missed for figure in ratios] == [False] * 3
    assert (memory.value, memory.missed) == (70.0, False)
    table = costs.rows(found)
    assert table[1] == (
        "1,000/s", "monitor", "1,000", "0 %", "1 %", "10", "10", "70 MB", "50 %",
    )  # fmt: skip


def test_the_proxy_is_judged_by_the_plainest_one() -> None:
    def passed(rate: float) -> Passed:
        alone = Load(per_second=rate, p50=100 / rate, p99=200 / rate)
        return Passed(many=Load(per_second=rate, p50=1, p99=2), alone=alone, each_us=80.0)

    seen = {name: [passed(1000 if name == DIRECT else 300)] for name in NAMES}
    seen[FORWARDER] = [passed(250)]
    figures = list(passing.figures(seen, dict.fromkeys(NAMES, 50.0)))
    assert figures[0].what == "proxy: requests/s / aiohttp reverse proxy"
    assert (figures[0].value, figures[0].missed) == (1.2, True)
    assert (figures[1].what, figures[1].value) == ("proxy: requests/s / no proxy", 0.3)
    assert [figure.missed for figure in figures[1:]] == [False] * (len(figures) - 1)


async def test_the_source_keeps_to_its_rate() -> None:
    found = await run(Nobody(), 2000, 0.25)
    assert 0 < found["made"] <= 500
    assert found["told"] == found["made"]


async def test_the_tap_is_told_what_was_made(tmp_path: Path) -> None:
    told = Told()
    async with listening(tmp_path / "tap", told):
        found = await run(ByTap(tmp_path / "tap"), 500, 0.25)
        await told.until_seen(int(found["told"]))
    assert found["made"] == found["told"] + found["dropped"]
    inputs = told.inferences[0].inputs["X"]
    assert inputs.shape == (1, 20)


async def test_the_logger_is_told_what_was_made() -> None:
    file = io.BytesIO()
    runner = web.AppRunner(logger.application(file))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with asyncio.timeout(30):
        found = await run(ByEvents(f"http://127.0.0.1:{runner.addresses[0][1]}"), 200, 0.25)
    await runner.cleanup()
    lines = file.getvalue().splitlines()
    assert len(lines) == found["told"] == found["made"] > 0
    assert len(json.loads(lines[0])["inputs"]["X"][0]) == 20


def test_an_event_says_what_a_frame_says() -> None:
    said = json.loads(event(Calls().next()))
    assert list(said) == ["id", "received", "seconds", "status", "inputs", "outputs"]
    assert list(said["outputs"]) == ["label", "probabilities"]

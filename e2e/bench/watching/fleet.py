"""Monitors of many Models behind one port: the loopback address that is asked names the pod."""

import argparse
import asyncio
import json

import numpy as np
from aiohttp import web

from driftline_api.monitor import (
    BaselineState,
    DriftCounts,
    MonitorConfig,
    Packed,
    ProfileFile,
    Summary,
    Totals,
    parse,
)
from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.rows import Feature, Rows

#: Rows that come to each pod between two polls, and the different windows that there are of them.
ROWS, WINDOWS = 1_000, 3


def a_profile(features: int, seed: int) -> Profile:
    """Return a profile of 2,000 rows; another for each seed."""
    named = tuple(Feature(name=f"feature-{at}") for at in range(features))
    random = np.random.default_rng(seed)
    return build(named, Rows(numeric=_normal(random, 2_000, features)))


def _normal(
    random: np.random.Generator, rows: int, features: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return random.normal(size=(rows, features)).astype(np.float32)


class Fleet:
    """All monitors.

    Args:
        features: of each Model.
        profiles: different ones; Models share them in turn.
    """

    def __init__(self, features: int, profiles: int) -> None:
        self._profiles = [a_profile(features, seed) for seed in range(profiles)]
        random = np.random.default_rng(99)
        self._windows = [
            [
                Kernel(each.plan).count(Rows(numeric=_normal(random, ROWS, features)))
                for _ in range(WINDOWS)
            ]
            for each in self._profiles
        ]
        self._configs: dict[str, str] = {}
        self._counts: dict[str, Counts] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the monitor of the address that was asked."""
        host = request.host.partition(":")[0]
        model = _number(host) // 2
        place = model % len(self._profiles)
        match request.path:
            case "/summary":
                return _json(self._summary(host, model, place).model_dump_json(by_alias=True))
            case "/config":
                config: MonitorConfig = parse(MonitorConfig, await request.read())
                self._configs[host] = config.digest
                return web.Response(status=204)
            case "/profile":
                file = ProfileFile(profile=json.loads(self._profiles[place].to_json()))
                return _json(file.model_dump_json(by_alias=True))
        return web.Response(status=404)

    def _summary(self, host: str, model: int, place: int) -> Summary:
        """Return cumulative counters: each poll finds one window more."""
        if host in self._configs:
            before = self._counts.get(host) or Counts.none(self._profiles[place].plan)
            window = self._windows[place][(before.rows // ROWS + _number(host)) % WINDOWS]
            self._counts[host] = before + window
        counts = self._counts.get(host)
        rows = counts.rows if counts else 0
        return Summary(
            model=f"m{model}",
            revision=f"m{model}-1",
            pod=f"pod-{_number(host)}",
            process="p",
            started=0.0,
            now=0.0,
            config=self._configs.get(host, ""),
            totals=Totals(offered=rows, seen=rows, counted=rows, rows=rows),
            drift=_told(counts) if counts else None,
            baseline=BaselineState(source="profile"),
        )


def _told(counts: Counts) -> DriftCounts:
    raw = counts.values.astype("<i8").tobytes()
    return DriftCounts(plan=counts.plan, rows=counts.rows, values=Packed.of(raw))


def address_of(pod: int) -> str:
    """Return the loopback address of a pod."""
    return f"127.1.{pod // 250}.{pod % 250 + 1}"


def _number(address: str) -> int:
    _, _, high, low = address.split(".")
    return int(high) * 250 + int(low) - 1


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


async def _serve(fleet: Fleet, port: int) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fleet.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - all of loopback's addresses
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("features", type=int)
    parser.add_argument("profiles", type=int)
    args = parser.parse_args()
    asyncio.run(_serve(Fleet(args.features, args.profiles), args.port))


if __name__ == "__main__":
    main()

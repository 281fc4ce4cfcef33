"""Labels and rewards through the real Envoy: to the monitors, and counted as no call."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from driftline_api.names import ARM_HEADER, EPOCH_HEADER, monitors_service
from driftline_operator.router.state import parse_state
from tests.router.builders import Cluster, a_model, traffic
from tests.router.harness import (
    Feed,
    Router,
    Upstream,
    a_free_uid,
    a_router,
    at,
    eventually,
    running,
)

OLD, NEW = "iris-aaaaaaaaaa", "iris-bbbbbbbbbb"
MONITORS = monitors_service("iris")
FEEDBACK = "/v2/models/iris/feedback"


@dataclass(slots=True)
class World:
    """Two revisions that share the traffic, the monitors of both, and a router."""

    upstreams: dict[str, Upstream]
    router: Router
    http: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, path: str, **headers: str) -> tuple[int, Any]:
        """Ask with a body; return the status, and what the server says where one answered."""
        answered = self.http.request(method, self.url + path, data=b"[]", headers=headers)
        async with answered as response:
            return response.status, await response.json() if response.status == 200 else None

    async def is_up(self) -> bool:
        status, _ = await self.ask("POST", FEEDBACK)
        return status == 200


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    wants = traffic(OLD, NEW, stable=OLD, canary=(NEW, 50))
    cluster = Cluster(a_model(wants=wants, uid=a_free_uid()))
    cluster.reconcile()
    upstreams = {name: Upstream(name=name) for name in (OLD, NEW, MONITORS)}
    feed = Feed(store=cluster.store, locate=at(upstreams))
    port = parse_state(cluster.find("ConfigMap", "driftline-router")).models["iris"].port
    async with (
        running(*upstreams.values(), feed),
        a_router(tmp_path, feed.port) as router,
        aiohttp.ClientSession() as http,
    ):
        await eventually("ready", router.ready)
        yield World(upstreams, router, http, f"http://127.0.0.1:{port}")


async def test_feedback_goes_to_the_monitors_and_inference_to_the_servers(world: World) -> None:
    await eventually("a monitor answers", world.is_up)
    asked = {
        ("POST", FEEDBACK): {MONITORS},
        ("POST", "/v2/models/iris/infer"): {OLD, NEW},
        ("GET", FEEDBACK): {OLD, NEW},
        ("GET", "/v2/models/iris"): {OLD, NEW},
    }
    for (method, path), expected in asked.items():
        found = {(await world.ask(method, path))[1]["by"] for _ in range(30)}
        assert found == expected, (method, path)


async def test_feedback_is_no_unit_whatever_stamps_a_client_sends(world: World) -> None:
    await eventually("a monitor answers", world.is_up)
    stamps = {ARM_HEADER: "stable", EPOCH_HEADER: "1"}
    _, said = await world.ask("POST", FEEDBACK, **stamps)
    assert not stamps.keys() & said["headers"].keys()
    await world.ask("POST", "/v2/models/iris/infer")

    async def units() -> int:
        return sum(each.count for each in (await world.router.reported()).outcomes)

    assert await eventually("the call is counted", units) == 1


async def test_a_monitor_that_is_away_holds_up_feedback_alone(world: World) -> None:
    await eventually("a monitor answers", world.is_up)
    await world.upstreams[MONITORS].stop()
    assert (await world.ask("POST", FEEDBACK))[0] == 503
    assert (await world.ask("POST", "/v2/models/iris/infer"))[0] == 200
    await world.upstreams[MONITORS].start()
    await eventually("a monitor answers again", world.is_up)

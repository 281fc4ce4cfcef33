"""The routers, shown on the real Envoy: nothing here stands in for it."""

import asyncio
import contextlib
import io
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from driftline_api.model import Traffic
from driftline_operator.router.state import RouterState, parse_state
from driftline_operator.router.stats import Arm
from tests.router.builders import NAMESPACE, Cluster, a_model, traffic
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

INFER = "/v2/models/iris/infer"
OLD, NEW = "iris-aaaaaaaaaa", "iris-bbbbbbbbbb"


@dataclass(slots=True)
class World:
    """A namespace with one Model of two revisions, and one router."""

    cluster: Cluster
    upstreams: dict[str, Upstream]
    feed: Feed
    router: Router
    http: aiohttp.ClientSession
    uid: str
    failures: list[str] = field(default_factory=list)

    @property
    def state(self) -> RouterState:
        return parse_state(self.cluster.store.find("ConfigMap", NAMESPACE, "driftline-router"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.state.models['iris'].port}"

    def set(self, wants: Traffic) -> int:
        """Have the Model want this, and return the version that contains it."""
        self.cluster.put(a_model(wants=wants, uid=self.uid))
        self.cluster.wait(seconds=1)
        self.cluster.reconcile()
        return self.state.version

    async def route(self, wants: Traffic) -> None:
        """Have the router serve this."""
        version = self.set(wants)

        async def is_acknowledged() -> bool:
            return (await self.router.acknowledged()).version == version

        await eventually("acknowledged", is_acknowledged)

    async def infer(self, **headers: str) -> tuple[int, Any]:
        async with self.http.post(self.url + INFER, json={}, headers=headers) as response:
            body = await response.json() if response.status == 200 else await response.text()
            return response.status, body

    async def served_by(self, count: int) -> Counter[str]:
        answers = [await self.infer() for _ in range(count)]
        return Counter(body["by"] if status == 200 else str(status) for status, body in answers)

    @contextlib.asynccontextmanager
    async def load(self, clients: int = 4) -> AsyncIterator[Counter[str]]:
        """Keep sending; yields who answered, and notes whatever failed."""
        seen: Counter[str] = Counter()

        async def client() -> None:
            while True:
                try:
                    status, body = await self.infer()
                except aiohttp.ClientError as error:
                    self.failures.append(repr(error))
                    continue
                if status != 200:
                    self.failures.append(f"{status} {body}")
                    continue
                seen[body["by"]] += 1

        tasks = [asyncio.create_task(client()) for _ in range(clients)]
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The old revision serves, both have a cluster, and the router is Ready."""
    uid = a_free_uid()
    cluster = Cluster(a_model(wants=traffic(OLD, NEW, stable=OLD), uid=uid))
    cluster.reconcile()
    upstreams = {name: Upstream(name=name) for name in (OLD, NEW)}
    feed = Feed(store=cluster.store, locate=at(upstreams))
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        running(*upstreams.values(), feed),
        a_router(tmp_path, feed.port) as router,
        aiohttp.ClientSession(timeout=timeout) as http,
    ):
        await eventually("ready", router.ready)
        yield World(cluster, upstreams, feed, router, http, uid)


async def test_a_router_without_an_operator_is_never_ready_until_one_comes(tmp_path: Path) -> None:
    cluster = Cluster(a_model(wants=traffic(OLD, stable=OLD), uid=a_free_uid()))
    cluster.reconcile()
    feed = Feed(store=cluster.store, locate=at({}))
    async with a_router(tmp_path, feed.port) as router:
        for _ in range(40):  # with fetch time-outs of as little as 1 s it would be Ready after 3
            await asyncio.sleep(0.1)
            assert not await router.ready()
        async with running(feed):
            await eventually("ready", router.ready)


async def test_a_restarted_router_waits_for_an_operator_again(world: World) -> None:
    await world.feed.stop()
    await world.router.stop()
    await world.router.start()
    for _ in range(20):
        await asyncio.sleep(0.1)
        assert not await world.router.ready()
    await world.feed.start()
    await eventually("ready", world.router.ready)
    assert (await world.infer())[0] == 200


async def test_a_router_of_a_namespace_without_a_version_is_not_ready(world: World) -> None:
    world.cluster.remove("ConfigMap", "driftline-router")
    await world.router.stop()
    await world.router.start()
    for _ in range(15):
        await asyncio.sleep(0.1)
        assert not await world.router.ready()


async def test_it_reports_the_version_that_it_serves(world: World) -> None:
    said = await world.router.acknowledged()
    version = world.state.version
    assert (said.listeners, said.clusters, said.routes) == (version, version, version)
    await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 50), epoch=2))
    assert world.state.version == version + 1


async def test_a_router_that_has_all_there_is_asks_seldom(world: World) -> None:
    await asyncio.sleep(0.5)
    before = world.feed.requests
    await asyncio.sleep(2.5)
    assert world.feed.requests - before <= 3 * 3


async def test_neither_host_nor_path_chooses_the_model(world: World) -> None:
    async with world.http.get(
        world.url + "/anything/at/all?x=1", headers={"Host": "elsewhere"}
    ) as response:
        body = await response.json()
    assert (body["by"], body["headers"]["host"]) == (OLD, "elsewhere")


async def test_an_inference_call_is_stamped_over_what_the_client_sent(world: World) -> None:
    await world.route(traffic(OLD, NEW, stable=OLD, epoch=7))
    forged = {"driftline-epoch": "99", "driftline-arm": "canary", "driftline-slot": "1"}
    _, body = await world.infer(**forged)
    headers = body["headers"]
    assert (headers["driftline-epoch"], headers["driftline-arm"]) == ("7", "stable")
    assert int(headers["driftline-slot"]) > 1_700_000_000
    assert "driftline-route" not in headers


async def test_what_is_no_inference_call_bears_no_stamp_and_counts_nowhere(world: World) -> None:
    for method, path in [("GET", "/v2/models/iris"), ("POST", "/v2/repository/index")]:
        async with world.http.request(
            method, world.url + path, headers={"driftline-epoch": "99"}
        ) as response:
            body = await response.json()
        assert not [name for name in body["headers"] if name.startswith("driftline-")]
    assert (await world.router.reported()).outcomes == ()


async def test_a_client_changes_no_retry_and_no_time_out(world: World) -> None:
    world.upstreams[OLD].delay = 0.2
    status, body = await world.infer(**{"x-envoy-upstream-rq-timeout-ms": "20"})
    assert status == 200
    assert not [name for name in body["headers"] if name.startswith("x-envoy-")]


async def test_all_traffic_switches_without_a_failed_request(world: World) -> None:
    async with world.load() as seen:
        await eventually("the old one serves", lambda: seen[OLD] > 50)
        await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 100), epoch=2))
        old = seen[OLD]
        await eventually("the new one serves", lambda: seen[NEW] > 50)
        assert seen[OLD] - old <= 4, "at most what was under way"
        await world.route(traffic(OLD, NEW, stable=NEW, epoch=3))
        await world.route(traffic(NEW, stable=NEW, epoch=3))
        await world.upstreams[OLD].stop()
        new = seen[NEW]
        await eventually("it goes on", lambda: seen[NEW] > new + 100)
    assert world.failures == []


async def test_a_canary_that_dies_falls_to_stable_while_no_operator_lives(world: World) -> None:
    await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 100), epoch=2))
    assert set(await world.served_by(5)) == {NEW}
    await world.feed.stop()
    await world.upstreams[NEW].stop()

    async def stable_serves() -> bool:
        return set(await world.served_by(5)) == {OLD}

    await eventually("diverted", stable_serves)

    async def diverted() -> int:
        outcomes = (await world.router.reported()).outcomes
        canary = Arm(model="iris", arm="canary", epoch=2)
        return sum(o.count for o in outcomes if o.arm == canary and o.served_by == OLD)

    assert await eventually("counted", diverted) >= 5


async def test_a_draining_server_loses_no_request(world: World) -> None:
    """An unhealthy answer takes a server out while it goes on serving, as `preStop` has it."""
    await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 100), epoch=2))
    async with world.load() as seen:
        await eventually("the new one serves", lambda: seen[NEW] > 50)
        world.upstreams[NEW].healthy = False
        await eventually("the old one serves", lambda: seen[OLD] > 50)
        await world.upstreams[NEW].stop()
        old = seen[OLD]
        await eventually("it goes on", lambda: seen[OLD] > old + 100)
    assert world.failures == []


async def test_a_server_that_is_not_ready_is_asked_nothing_even_if_there_is_no_other(
    world: World,
) -> None:
    world.upstreams[OLD].healthy = False

    async def refused() -> bool:
        return set(await world.served_by(5)) == {"503"}

    await eventually("refused", refused)


async def test_a_large_request_goes_through(world: World) -> None:
    async with world.http.post(
        world.url + INFER, data=io.BytesIO(bytes(16 * 1024 * 1024))
    ) as response:
        assert response.status == 200


async def test_outcomes_and_latency_are_counted_by_arm_and_epoch(world: World) -> None:
    await world.served_by(3)
    await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 100), epoch=2))
    world.upstreams[NEW].status, world.upstreams[NEW].delay = 500, 0.05
    await world.served_by(2)
    world.upstreams[NEW].status = 422
    await world.served_by(1)

    async def all_counted() -> bool:
        reported = await world.router.reported()
        return sum(each.count for each in reported.outcomes) == 6

    await eventually("counted", all_counted)
    outcomes = (await world.router.reported()).outcomes
    stable, canary = (
        Arm(model="iris", arm="stable", epoch=1),
        Arm(model="iris", arm="canary", epoch=2),
    )
    told = {(o.arm, o.served_by, o.code, o.is_error, o.is_rejected): o.count for o in outcomes}
    assert told == {
        (stable, OLD, 200, False, False): 3,
        (canary, NEW, 500, True, False): 2,
        (canary, NEW, 422, False, True): 1,
    }

    async def latencies() -> bool:
        reported = await world.router.reported()
        counts = {each.arm: sum(b.count for b in each.bins) for each in reported.latencies}
        return counts == {stable: 3, canary: 3}

    await eventually("merged", latencies)
    (slow,) = [each for each in (await world.router.reported()).latencies if each.arm == canary]
    assert all(50_000 <= each.lower + each.width <= 1_000_000 for each in slow.bins)


async def test_calls_that_reach_no_server_are_errors_of_their_arm(world: World) -> None:
    for upstream in world.upstreams.values():
        await upstream.stop()
    await world.served_by(20)

    async def unreached() -> int:
        outcomes = (await world.router.reported()).outcomes
        return sum(o.count for o in outcomes if o.is_error and o.arm.arm == "stable")

    assert await eventually("counted", unreached) == 20


async def test_the_statistics_listener_passes_nothing_else(world: World) -> None:
    base = f"http://127.0.0.1:{world.router.ports.stats}"
    assert await world.router.status(base + "/stats") == 200
    for method, path in [
        ("POST", "/stats"),
        ("POST", "/quitquitquit"),
        ("GET", "/config_dump"),
        ("GET", "/stats/prometheus"),
        ("GET", "/stats/../clusters"),
        ("GET", "/"),
        ("POST", "/healthcheck/fail"),
    ]:
        assert await world.router.status(base + path, method) == 403, path


async def test_a_second_model_has_a_port_of_its_own(world: World) -> None:
    world.cluster.put(a_model("wine", traffic(NEW, stable=NEW), uid=a_free_uid()))
    await world.route(traffic(OLD, stable=OLD, epoch=2))
    port = world.state.models["wine"].port
    async with world.http.get(f"http://127.0.0.1:{port}/v2/models/wine") as response:
        assert (await response.json())["by"] == NEW
    assert (await world.infer())[1]["by"] == OLD


async def test_a_model_that_goes_frees_its_listener_and_touches_no_other(world: World) -> None:
    world.cluster.put(a_model("wine", traffic(NEW, stable=NEW), uid=a_free_uid()))
    await world.route(traffic(OLD, stable=OLD, epoch=2))
    port = world.state.models["wine"].port
    async with world.load() as seen:
        await eventually("load", lambda: seen[OLD] > 20)
        world.cluster.remove("Model", "wine")
        await world.route(traffic(OLD, stable=OLD, epoch=3))
        before = seen[OLD]
        await eventually("it goes on", lambda: seen[OLD] > before + 100)
    assert world.failures == []
    assert await world.router.status(f"http://127.0.0.1:{port}/") in {0, 503}


async def test_a_model_that_nothing_serves_yet_says_so(world: World) -> None:
    await world.route(traffic(NEW, epoch=2))
    status, body = await world.infer()
    assert (status, body) == (503, '{"error": "no revision of Model iris serves yet"}')

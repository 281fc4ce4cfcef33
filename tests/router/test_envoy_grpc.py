"""gRPC through the routers, shown on the real Envoy and by gRPC's own client."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest

from driftline_api.model import Traffic
from driftline_operator.router.state import parse_state
from driftline_operator.router.stats import Arm, Outcome
from tests.router.builders import Cluster, a_model, traffic
from tests.router.grpc_harness import HEALTH, INFER, READY, GrpcUpstream, Refusing, Told, call
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
Code = grpc.StatusCode


@dataclass(slots=True)
class World:
    """One Model of two revisions that speak both protocols, one router, and a gRPC client."""

    cluster: Cluster
    http: dict[str, Upstream]
    servers: dict[str, GrpcUpstream]
    router: Router
    uid: str
    channel: grpc.aio.Channel

    async def route(self, wants: Traffic, with_grpc: tuple[str, ...] = (OLD, NEW)) -> None:
        """Have the router serve this."""
        revisions = [
            {"name": name, "port": self.http[name].port, "grpcPort": self.servers[name].port}
            for name in with_grpc
        ]
        self.cluster.put(a_model(wants=wants, uid=self.uid, revisions=revisions))
        self.cluster.wait(seconds=1)
        self.cluster.reconcile()

        async def is_acknowledged() -> bool:
            state = parse_state(self.cluster.find("ConfigMap", "driftline-router"))
            return (await self.router.acknowledged()).version == state.version

        await eventually("acknowledged", is_acknowledged)

    async def infer(self, message: bytes = b"") -> Told:
        return await call(self.channel, INFER, message)

    async def answered_by(self, name: str) -> bool:
        """Tell whether five calls in turn are answered so."""
        return {(await self.infer()).by for _ in range(5)} == {name}

    async def units(self, count: int) -> tuple[Outcome, ...]:
        """Return what the router has counted, once it has counted so many."""

        async def counted() -> tuple[Outcome, ...]:
            outcomes = (await self.router.reported()).outcomes
            return outcomes if sum(each.count for each in outcomes) >= count else ()

        outcomes: tuple[Outcome, ...] = await eventually("counted", counted)
        assert sum(each.count for each in outcomes) == count
        return outcomes


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The old revision serves, both have clusters, and the router has found their servers."""
    uid = a_free_uid()
    http = {name: Upstream(name=name) for name in (OLD, NEW)}
    grpcs = {name: GrpcUpstream(name=name) for name in (OLD, NEW)}
    cluster = Cluster(a_model(wants=traffic(OLD, NEW), uid=uid))
    cluster.reconcile()
    feed = Feed(store=cluster.store, locate=at(http))
    port = parse_state(cluster.find("ConfigMap", "driftline-router")).models["iris"].port
    async with (
        running(*http.values(), *grpcs.values(), feed),
        a_router(tmp_path, feed.port) as router,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        await eventually("ready", router.ready)
        world = World(cluster, http, grpcs, router, uid, channel)
        await world.route(traffic(OLD, NEW, stable=OLD))

        async def reached() -> bool:
            return (await router.acknowledged()).reached >= {OLD, NEW}

        await eventually("reached", reached)
        yield world


async def test_both_protocols_are_served_on_one_port(world: World) -> None:
    port = parse_state(world.cluster.find("ConfigMap", "driftline-router")).models["iris"].port
    assert (await world.infer()).answer["by"] == OLD
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"http://127.0.0.1:{port}/v2/models/iris/infer", json={}) as response,
    ):
        assert (await response.json())["by"] == OLD


async def test_an_inference_call_is_stamped_over_what_the_client_sent(world: World) -> None:
    await world.route(traffic(OLD, NEW, stable=OLD, epoch=7))
    forged = (("driftline-epoch", "99"), ("driftline-arm", "canary"), ("x-request-id", "17"))
    metadata = (await call(world.channel, metadata=forged)).answer["metadata"]
    assert (metadata["driftline-epoch"], metadata["driftline-arm"]) == ("7", "stable")
    assert int(metadata["driftline-slot"]) > 1_700_000_000
    assert metadata["x-request-id"] == "17"
    assert "driftline-route" not in metadata


async def test_only_inference_is_stamped_and_counted(world: World) -> None:
    for method in (READY, HEALTH, "/grpc.reflection.v1alpha.ServerReflection/X", "/any/Thing"):
        answer = (await call(world.channel, method, metadata=(("driftline-epoch", "9"),))).answer
        assert (answer["by"], answer["method"]) == (OLD, method)
        assert not [name for name in answer["metadata"] if name.startswith("driftline-")]
    await world.infer()
    (unit,) = await world.units(1)
    assert (unit.arm, unit.served_by) == (Arm(model="iris", arm="stable", epoch=1), OLD)
    assert (unit.grpc, unit.is_error, unit.is_rejected) == (0, False, False)


async def test_calls_are_split_by_weight(world: World) -> None:
    await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 25), epoch=2))
    seen = Counter([(await world.infer()).by for _ in range(400)])
    assert seen[OLD] + seen[NEW] == 400
    assert 50 <= seen[NEW] <= 150, seen
    counts = {each.arm.arm: each.count for each in await world.units(400)}
    assert counts == {"stable": seen[OLD], "canary": seen[NEW]}


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (Code.UNKNOWN, "error"),
        (Code.DEADLINE_EXCEEDED, "error"),
        (Code.RESOURCE_EXHAUSTED, "error"),
        (Code.INTERNAL, "error"),
        (Code.UNAVAILABLE, "error"),
        (Code.DATA_LOSS, "error"),
        (Code.INVALID_ARGUMENT, "rejected"),
        (Code.UNIMPLEMENTED, "rejected"),
        (Code.NOT_FOUND, "neither"),
        (Code.UNAUTHENTICATED, "neither"),
    ],
)
async def test_what_a_call_ends_with_is_counted(world: World, code: Code, verdict: str) -> None:
    world.servers[OLD].code = code
    told = await world.infer()
    assert (told.code, told.details) == (code, f"{OLD} says so")
    (unit,) = await world.units(1)
    assert unit.grpc == code.value[0]
    expected = (verdict == "error", verdict == "rejected")
    assert (unit.is_error, unit.is_rejected) == expected


async def test_a_client_that_leaves_is_nobodys_error(world: World) -> None:
    world.servers[OLD].delay = 5
    leaving = asyncio.create_task(call(world.channel))
    await eventually("the call has come", lambda: world.servers[OLD].peers)
    leaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    (unit,) = await world.units(1)
    assert (unit.is_error, unit.is_rejected) == (False, False), unit


async def test_a_deadline_that_passes_is_an_error(world: World) -> None:
    """The router ends the call, as a rule just before the client leaves, whom nobody counts."""
    world.servers[OLD].delay = 5
    for _ in range(10):
        assert (await call(world.channel, timeout=0.2)).code is Code.DEADLINE_EXCEEDED
    units = await world.units(10)
    assert sum(each.count for each in units if each.is_error) >= 5, units


async def test_a_call_that_reaches_no_server_is_an_error(world: World) -> None:
    await world.servers[OLD].stop()
    told = [await world.infer() for _ in range(10)]
    assert {each.code for each in told} == {Code.UNAVAILABLE}
    for unit in await world.units(10):
        assert unit.is_error, unit


async def test_a_revision_without_grpc_says_so_and_serves_on(world: World) -> None:
    await world.route(traffic(OLD, NEW, stable=OLD), with_grpc=(NEW,))
    told = await world.infer()
    assert told.code is Code.UNIMPLEMENTED
    assert f"revision {OLD} of Model iris does not serve gRPC" in told.details
    port = parse_state(world.cluster.find("ConfigMap", "driftline-router")).models["iris"].port
    assert await world.router.status(f"http://127.0.0.1:{port}/v2/models/iris") == 200


async def test_a_model_that_nothing_serves_yet_says_so(world: World) -> None:
    await world.route(traffic(NEW, epoch=2))
    told = await world.infer()
    assert told.code is Code.UNAVAILABLE
    assert "no revision of Model iris serves yet" in told.details


@pytest.mark.parametrize("how", ["it dies", "it lacks gRPC"])
async def test_a_canary_that_cannot_serve_falls_to_stable(world: World, how: str) -> None:
    with_grpc = (OLD,) if how == "it lacks gRPC" else (OLD, NEW)
    await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 100), epoch=2), with_grpc)
    if how == "it dies":
        assert await world.answered_by(NEW)
        await world.http[NEW].stop()
        await world.servers[NEW].stop()
    await eventually("diverted", lambda: world.answered_by(OLD))
    outcomes = (await world.router.reported()).outcomes
    canary = Arm(model="iris", arm="canary", epoch=2)
    assert sum(o.count for o in outcomes if o.arm == canary and o.served_by == OLD) > 0


async def test_a_revision_is_reached_once_it_is_over_both_protocols(world: World) -> None:
    """Its gRPC servers are found by another name server's answer, and a moment later or sooner."""
    world.http[NEW].healthy = False

    async def old_alone() -> bool:
        return {OLD, NEW} & (await world.router.acknowledged()).reached == {OLD}

    await eventually("not reached", old_alone)


async def test_a_large_message_goes_through(world: World) -> None:
    assert (await world.infer(bytes(16 * 1024 * 1024))).by == OLD


@contextlib.asynccontextmanager
async def load(world: World, callers: int) -> AsyncIterator[Counter[str]]:
    """Keep calling; yields who answered, and with what calls ended."""
    seen: Counter[str] = Counter()

    async def caller() -> None:
        while True:
            seen[(await world.infer()).by] += 1

    tasks = [asyncio.create_task(caller()) for _ in range(callers)]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_all_calls_switch_without_a_failed_one(world: World) -> None:
    async with load(world, callers=8) as seen:
        await eventually("the old one serves", lambda: seen[OLD] > 50)
        await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 100), epoch=2))
        await eventually("the new one serves", lambda: seen[NEW] > 50)
        await world.route(traffic(OLD, NEW, stable=NEW, epoch=3))
        await world.route(traffic(NEW, stable=NEW, epoch=3))
        await world.servers[OLD].stop(grace=5)
        new = seen[NEW]
        await eventually("it goes on", lambda: seen[NEW] > new + 100)
    assert set(seen) == {OLD, NEW}


async def test_a_draining_server_loses_no_call(world: World) -> None:
    """It says that it is not ready, and stops listening a while later, as pods do."""
    await world.route(traffic(OLD, NEW, stable=OLD, canary=(NEW, 100), epoch=2))
    async with load(world, callers=8) as seen:
        await eventually("the new one serves", lambda: seen[NEW] > 50)
        world.http[NEW].healthy = False
        await eventually("the old one serves", lambda: seen[OLD] > 50)
        await world.servers[NEW].stop(grace=5)
        old = seen[OLD]
        await eventually("it goes on", lambda: seen[OLD] > old + 100)
    assert set(seen) == {OLD, NEW}


async def test_connections_that_are_renewed_all_the_time_lose_no_call(world: World) -> None:
    """A model server asks for it once a minute."""
    age = (("grpc.max_connection_age_ms", 200), ("grpc.max_connection_age_grace_ms", 5000))
    renewed = GrpcUpstream(name=OLD, port=world.servers[OLD].port, options=age)
    await world.servers[OLD].stop()
    async with running(renewed):
        await eventually("it serves", lambda: world.answered_by(OLD))
        async with load(world, callers=32) as seen:
            await eventually("many were renewed", lambda: len(renewed.peers) > 20, within=30)
        assert set(seen) == {OLD}


async def test_a_call_that_a_server_did_not_begin_with_is_sent_again(world: World) -> None:
    """As one that crosses the end of a connection on the wire."""
    await world.servers[OLD].stop()
    refusing = Refusing(name=OLD, port=world.servers[OLD].port)
    async with running(refusing):
        await eventually("it serves", lambda: world.answered_by(OLD))
        assert {(await world.infer()).by for _ in range(50)} == {OLD}
    assert refusing.refused >= 50


async def test_a_connection_carries_a_bounded_number_of_calls(world: World) -> None:
    """Worker processes that share a port are dealt connections: each must get its share."""
    for _ in range(250):
        await world.infer()
    assert len(world.servers[OLD].peers) >= 3

"""Pods that leave, as the real Envoy sees it: by DNS, by their health, and the router's own."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest

from driftline_operator.router.inputs import Endpoint
from driftline_operator.router.state import parse_state
from tests.router.builders import Cluster, a_model, traffic
from tests.router.harness import (
    Feed,
    Names,
    Router,
    Upstream,
    a_free_uid,
    a_router,
    eventually,
    free_port,
    running,
)

INFER = "/v2/models/iris/infer"


@dataclass(slots=True)
class Pods:
    """One revision of two pods that DNS knows, and a router."""

    names: Names
    pods: tuple[Upstream, Upstream]
    router: Router
    http: aiohttp.ClientSession
    url: str

    async def seen(self, count: int = 8) -> Counter[str]:
        """Return who answered so many requests."""
        return Counter([await self.infer() for _ in range(count)])

    async def infer(self) -> str:
        async with self.http.post(self.url + INFER, json={}) as response:
            return (await response.json())["by"] if response.status == 200 else str(response.status)


@pytest.fixture
async def pods(tmp_path: Path) -> AsyncIterator[Pods]:
    port = free_port()
    first = Upstream(name="first", port=port, address="127.0.0.2")
    second = Upstream(name="second", port=port, address="127.0.0.3")
    names = Names(first.address, second.address)
    cluster = Cluster(a_model(wants=traffic("iris-a", stable="iris-a"), uid=a_free_uid()))
    cluster.reconcile()
    feed = Feed(cluster.store, lambda revision: Endpoint(host=f"{revision}.team.svc.", port=port))
    model = parse_state(cluster.find("ConfigMap", "driftline-router")).models["iris"]
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(running(first, second, feed, names))
        router = await stack.enter_async_context(a_router(tmp_path, feed.port, names))
        await eventually("ready", router.ready)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Pods(names, (first, second), router, http, f"http://127.0.0.1:{model.port}")


async def test_a_pod_that_left_dns_serves_until_it_says_that_it_is_not_ready(pods: Pods) -> None:
    await eventually("both serve", lambda: both_serve(pods))
    pods.names.addresses.remove("127.0.0.2")
    pods.pods[0].healthy = False
    await eventually("one serves", lambda: only(pods, "second"), within=4)
    await asyncio.sleep(2)
    pods.pods[0].healthy = True
    await asyncio.sleep(2)
    served = pods.pods[0].served
    await pods.seen(20)
    assert pods.pods[0].served == served


async def test_a_revision_that_the_statistics_say_is_reached_answers_at_once(pods: Pods) -> None:
    """What the operator reads comes from another thread than those that route."""
    for pod in pods.pods:
        pod.healthy = False
    pods.names.addresses.clear()
    await eventually("nothing serves", lambda: only(pods, "503"), within=5)
    await asyncio.sleep(2)
    for pod in pods.pods:
        pod.healthy = True
    pods.names.addresses[:] = ["127.0.0.2", "127.0.0.3"]

    async def reached() -> bool:
        return "iris-a" in (await pods.router.acknowledged()).reached

    await eventually("reached", reached, within=5)
    assert "503" not in await pods.seen(20)


async def test_pods_that_change_places_in_one_answer_of_dns_leave_no_gap(pods: Pods) -> None:
    """An eviction ends the old pod as soon as the new one is ready: its health is not yet known."""
    pods.names.addresses.remove("127.0.0.3")
    pods.pods[1].healthy = False
    await eventually("one serves", lambda: only(pods, "first"), within=4)
    pods.pods[1].healthy, pods.pods[1].health_delay = True, 0.5
    pods.names.addresses[:] = ["127.0.0.3"]
    seen: Counter[str] = Counter()
    while seen["second"] < 20 and sum(seen.values()) < 5_000:
        seen[await pods.infer()] += 1
        await asyncio.sleep(0.002)
    assert set(seen) == {"first", "second"}


async def test_a_server_that_is_slow_for_a_moment_is_not_given_up(pods: Pods) -> None:
    """A process that is starved of CPU answers late. If it is the only one, that is no reason."""
    pods.names.addresses.remove("127.0.0.2")
    pods.pods[0].healthy = False
    await eventually("one serves", lambda: only(pods, "second"), within=4)
    pods.pods[1].health_delay = 2.5
    for _ in range(50):
        assert await pods.infer() == "second"
        await asyncio.sleep(0.1)


async def both_serve(pods: Pods) -> bool:
    return set(await pods.seen()) == {"first", "second"}


async def only(pods: Pods, name: str) -> bool:
    return set(await pods.seen()) == {name}


async def test_a_new_pod_is_found(pods: Pods) -> None:
    pods.names.addresses.remove("127.0.0.2")
    pods.pods[0].healthy = False
    await eventually("one serves", lambda: only(pods, "second"), within=4)
    pods.pods[0].healthy = True
    pods.names.addresses.append("127.0.0.2")
    await eventually("both serve", lambda: both_serve(pods), within=5)


async def test_a_dns_server_that_fails_changes_nothing(pods: Pods) -> None:
    await eventually("both serve", lambda: both_serve(pods))
    pods.names.failing = True
    await asyncio.sleep(3)
    assert "503" not in await pods.seen(20)


async def test_a_pod_that_dies_costs_no_request(pods: Pods) -> None:
    """Its connections are refused: the retry goes to the other."""
    await eventually("both serve", lambda: both_serve(pods))
    await pods.pods[0].stop()
    # The connections that the router kept are closed by now, so that each request needs a new one.
    await asyncio.sleep(0.05)
    seen = [await pods.infer() for _ in range(200)]
    assert set(seen) == {"second"}


async def test_a_router_that_leaves_asks_its_clients_to_go_and_finishes_what_is_under_way(
    pods: Pods, tmp_path: Path
) -> None:
    script = tmp_path / "drain.sh"
    script.write_text(files("driftline_operator.router").joinpath("drain.sh").read_text())
    async with pods.http.post(pods.url + INFER, json={}) as before:
        assert before.headers.get("connection") != "close"
    for pod in pods.pods:
        pod.delay = 3.0
    slow = asyncio.create_task(pods.infer())
    await asyncio.sleep(0.2)
    drain = await asyncio.create_subprocess_exec(
        "bash", str(script), str(pods.router.ports.admin), "1", "60"
    )
    await asyncio.sleep(0.3)
    for pod in pods.pods:
        pod.delay = 0.0
    async with pods.http.post(pods.url + INFER, json={}) as leaving:
        assert (leaving.status, leaving.headers.get("connection")) == (200, "close")
    await asyncio.sleep(1.2)
    assert drain.returncode is None, "it waits for the slow one"
    assert await slow in {"first", "second"}
    assert await asyncio.wait_for(drain.wait(), timeout=5) == 0

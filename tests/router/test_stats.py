"""Reading what a router says, and asking all of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from driftline_operator.core.plan import Key
from driftline_operator.router.acks import RouterAcks
from driftline_operator.router.state import parse_state
from driftline_operator.router.stats import Arm, Outcome, parse_outcomes, parse_served
from driftline_operator.router.traffic import Acknowledged, router_view, traffic_hash
from driftline_operator.shell.poll import Cadence, RouterPoll
from tests.router.builders import NAMESPACE, Cluster, a_model, a_router_pod, traffic
from tests.router.harness import eventually, free_port

VERSIONS = """\
cluster.m-a.membership_healthy: 2
cluster.m-a/grpc.membership_healthy: 1
cluster.m-b.membership_healthy: 0
cluster.m-b/canary.membership_healthy: 1
cluster.m-c.membership_healthy: 1
cluster.m-c/grpc.membership_healthy: 0
cluster_manager.cds.version_text: "7"
http.models.rds.models.version_text: "6"
listener_manager.lds.version_text: "7"
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VERSIONS, Acknowledged(listeners=7, clusters=7, routes=6, reached=frozenset({"m-a"}))),
        ("", Acknowledged()),
        ('cluster_manager.cds.version_text: ""\n', Acknowledged()),
        ("<html>", Acknowledged()),
    ],
)
def test_versions(text: str, expected: Acknowledged) -> None:
    assert parse_served(text) == expected


def test_what_lags_counts() -> None:
    assert Acknowledged(listeners=7, clusters=7, routes=6).version == 6


def outcome(code: int, grpc: int | None = None, *flags: str) -> Outcome:
    arm = Arm(model="m", arm="stable", epoch=1)
    return Outcome(arm=arm, served_by="m-a", code=code, grpc=grpc, flags=frozenset(flags), count=1)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (outcome(200), "ok"),
        (outcome(500), "error"),
        (outcome(503, None, "UH"), "error"),
        (outcome(504, None, "UT"), "error"),
        (outcome(0, None, "UR"), "error"),
        (outcome(0, None, "DC"), "ok"),
        (outcome(499, None, "DC"), "ok"),
        (outcome(0, None, "DR"), "ok"),
        (outcome(400), "rejected"),
        (outcome(422), "rejected"),
        *((outcome(code), "ok") for code in (401, 403, 404, 408, 413, 429)),
        *((outcome(200, code), "error") for code in (2, 4, 8, 13, 14, 15)),
        *((outcome(200, code), "rejected") for code in (3, 6, 9, 10, 11, 12)),
        *((outcome(200, code), "ok") for code in (0, 1, 5, 7, 16)),
    ],
)
def test_what_counts_as_an_error(seen: Outcome, verdict: str) -> None:
    told = "error" if seen.is_error else "rejected" if seen.is_rejected else "ok"
    assert told == verdict


def test_series_of_others_are_passed_over() -> None:
    assert parse_outcomes('{"stats": [{"name": "driftline.other", "value": 1}]}').outcomes == ()


class Routers:
    """Answers in the place of a router's statistics listener, with what the test says."""

    def __init__(self) -> None:
        self.port = free_port()
        self.version: int | None = None
        self.versions: dict[str, int] = {}
        self.healthy: set[str] = set()
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        assert "version_text$" in request.query["filter"]
        self.asked += 1
        version = self.versions.get(request.url.host or "", self.version)
        if version is None:
            return web.Response(status=503)
        names = ("cluster_manager.cds", "http.models.rds.models", "listener_manager.lds")
        lines = [f'{name}.version_text: "{version}"' for name in names]
        lines += [f"cluster.{each}.membership_healthy: 1" for each in sorted(self.healthy)]
        return web.Response(text="\n".join(lines))


@pytest.fixture
async def routers() -> AsyncIterator[Routers]:
    routers = Routers()
    app = web.Application()
    app.router.add_get("/stats", routers.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", routers.port).start()
    yield routers
    await runner.cleanup()


class Polled:
    """A namespace with one Model and two routers, and the poll over it."""

    def __init__(self, routers: Routers) -> None:
        self.wants = traffic("a", stable="a")
        self.cluster = Cluster(
            a_model(wants=self.wants),
            a_router_pod("r-1", "127.0.0.1"),
            a_router_pod("r-2", "127.0.0.2"),
        )
        self.cluster.reconcile()
        self.acks = RouterAcks()
        self.enqueued: list[Key] = []
        cadence = Cadence(unacknowledged=0.02, settled=60, timeout=1)
        self.poll = RouterPoll(
            self.cluster.store, self.acks, self.enqueued.append, cadence, routers.port
        )

    @property
    def version(self) -> int:
        return parse_state(self.cluster.find("ConfigMap", "driftline-router")).version

    def acknowledged(self) -> str | None:
        state = parse_state(self.cluster.find("ConfigMap", "driftline-router"))
        view = router_view("iris", "uid-of-iris", state, self.acks.said(NAMESPACE), 2)
        return view.acknowledged


@pytest.fixture
async def polled(routers: Routers) -> AsyncIterator[Polled]:
    polled = Polled(routers)
    task = asyncio.create_task(polled.poll.run())
    yield polled
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


MODEL = Key(controller="model", namespace=NAMESPACE, name="iris")


async def test_a_model_hears_when_its_traffic_is_acknowledged(
    routers: Routers, polled: Polled
) -> None:
    await eventually("asked", lambda: routers.asked >= 6)
    assert (polled.enqueued, polled.acknowledged()) == ([], None)
    routers.version = polled.version
    await eventually("enqueued", lambda: polled.enqueued)
    assert polled.enqueued == [MODEL]
    port = parse_state(polled.cluster.find("ConfigMap", "driftline-router")).models["iris"].port
    assert polled.acknowledged() == traffic_hash(polled.wants, port)


async def test_routers_that_serve_all_there_is_are_left_alone(
    routers: Routers, polled: Polled
) -> None:
    routers.version = polled.version
    await eventually("enqueued", lambda: polled.enqueued)
    asked = routers.asked
    await asyncio.sleep(0.3)
    assert routers.asked == asked


async def test_routers_are_asked_until_they_have_found_a_server_that_is_ready(
    routers: Routers, polled: Polled
) -> None:
    polled.cluster.put(a_model(wants=polled.wants, revisions=[{"name": "a", "readyReplicas": 1}]))
    routers.version = polled.version
    await eventually("the version is heard", lambda: polled.enqueued)
    asked = routers.asked
    await eventually("asked again", lambda: routers.asked >= asked + 4)
    assert polled.acks.said(NAMESPACE).reached == frozenset()
    polled.enqueued.clear()
    routers.healthy = {"a"}
    await eventually("found", lambda: polled.acks.said(NAMESPACE).reached)
    asked = routers.asked
    await asyncio.sleep(0.3)
    assert routers.asked <= asked + 2


async def test_a_new_version_is_not_acknowledged_by_an_old_answer(
    routers: Routers, polled: Polled
) -> None:
    routers.version = polled.version
    await eventually("enqueued", lambda: polled.enqueued)
    polled.cluster.wait(seconds=1)
    polled.cluster.put(a_model(wants=traffic("a", "b", stable="a")))
    polled.cluster.reconcile()
    asked = routers.asked
    await eventually("asked again", lambda: routers.asked >= asked + 4)
    assert polled.acknowledged() is None
    routers.version = polled.version
    await eventually("acknowledged", polled.acknowledged)
    assert polled.enqueued[-1] == MODEL


async def test_a_router_that_does_not_answer_holds_up_the_acknowledgement(
    routers: Routers, polled: Polled
) -> None:
    polled.cluster.put(a_router_pod("r-3", "127.255.255.254"))
    polled.cluster.put(a_router_pod("r-4", "0.0.0.1"))
    routers.version = polled.version
    await asyncio.sleep(0.3)
    assert polled.acknowledged() is None
    polled.cluster.put(a_router_pod("r-4", "0.0.0.1", ready=False))
    await eventually("acknowledged", polled.acknowledged)


async def test_a_starting_router_with_an_old_version_holds_up_the_acknowledgement(
    routers: Routers, polled: Polled
) -> None:
    """It may be Ready, and serve what it has, before we are told."""
    polled.cluster.put(a_router_pod("r-3", "127.0.0.3", ready=False))
    routers.version = polled.version
    routers.versions["127.0.0.3"] = polled.version - 1
    await eventually("asked", lambda: routers.asked >= 9)
    assert polled.acknowledged() is None
    del routers.versions["127.0.0.3"]
    await eventually("acknowledged", polled.acknowledged)


async def test_a_starting_router_without_a_configuration_holds_up_nothing(
    routers: Routers, polled: Polled
) -> None:
    polled.cluster.put(a_router_pod("r-3", "127.0.0.3", ready=False))
    routers.version = polled.version
    routers.versions["127.0.0.3"] = 0
    await eventually("acknowledged", polled.acknowledged)


async def test_a_router_that_comes_later_is_asked_too(routers: Routers, polled: Polled) -> None:
    routers.version = polled.version
    await eventually("enqueued", lambda: polled.enqueued)
    asked = routers.asked
    polled.cluster.put(a_router_pod("r-3", "127.0.0.3"))
    await eventually("asked", lambda: routers.asked == asked + 3)


async def test_without_a_ready_router_nothing_is_acknowledged(
    routers: Routers, polled: Polled
) -> None:
    routers.version = polled.version
    await eventually("acknowledged", polled.acknowledged)
    for name in ("r-1", "r-2"):
        polled.cluster.put(a_router_pod(name, ready=False))
    await eventually("no more", lambda: polled.acknowledged() is None)
    assert polled.enqueued == [MODEL, MODEL]

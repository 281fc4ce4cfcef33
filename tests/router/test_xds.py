"""What routers are answered."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from driftline_api.model import Traffic
from driftline_operator.router import xds
from driftline_operator.router.bootstrap import render_bootstrap
from driftline_operator.router.inputs import Routed, headless_service, wanted
from driftline_operator.router.manifests import concurrency, render_manifests
from driftline_operator.router.state import parse_state
from driftline_operator.router.xds import Kind, Offer, answer, render_resources
from driftline_operator.shell.xds import Patience, XdsFeed
from tests.router.builders import CONFIG, NAMESPACE, Cluster, a_model, traffic

GOLDEN = Path(__file__).parent / "golden"
KINDS: tuple[Kind, ...] = ("listeners", "clusters", "routes")

MODELS = [
    Routed(
        wanted=wanted(
            "wine", "2", traffic("wine-a", "wine-b", stable="wine-a", canary=("wine-b", 20))
        ),
        port=10_002,
    ),
    Routed(wanted=wanted("iris", "1", traffic("iris-a")), port=10_001),
]


def check_golden(name: str, value: object) -> None:
    """Compare with the file, which is written where it is missing, and then fails once."""
    file = GOLDEN / name
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        pytest.fail(f"{file} was missing: read it, and run again")
    assert text == file.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_is_as_written_down(kind: Kind) -> None:
    resources = render_resources(kind, MODELS, headless_service(NAMESPACE))
    check_golden(f"{kind}.json", resources)


def test_the_bootstrap_is_as_written_down() -> None:
    check_golden("bootstrap.json", render_bootstrap(CONFIG.xds_host))


def test_the_objects_are_as_written_down() -> None:
    manifests = render_manifests(NAMESPACE, CONFIG)
    check_golden("manifests.json", [each for each in manifests if each["kind"] != "ConfigMap"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_models_does_not_matter(kind: Kind) -> None:
    locate = headless_service(NAMESPACE)
    turned = render_resources(kind, MODELS[::-1], locate)
    assert render_resources(kind, MODELS, locate) == turned


def cluster_names(wants: Traffic) -> set[str]:
    routed = [Routed(wanted=wanted("m", "", wants), port=1)]
    rendered = render_resources("clusters", routed, headless_service(NAMESPACE))
    return {each["name"] for each in rendered}


def routed_to(wants: Traffic) -> set[str]:
    routed = [Routed(wanted=wanted("m", "", wants), port=1)]
    text = json.dumps(render_resources("routes", routed, headless_service(NAMESPACE)))
    names = cluster_names(traffic("a", "b"))
    return {name for name in names if f'"name": "{name}", "weight"' in text}


def test_no_step_of_a_switch_routes_to_a_cluster_that_the_step_before_or_after_lacks() -> None:
    """Clusters and routes are fetched one by one: a router may hold two steps at once."""
    steps = [
        traffic("a", stable="a"),
        traffic("a", "b", stable="a"),
        traffic("a", "b", stable="a", canary=("b", 100)),
        traffic("a", "b", stable="b"),
        traffic("b", stable="b"),
    ]
    for before, after in itertools.pairwise(steps):
        assert routed_to(before) <= cluster_names(after)
        assert routed_to(after) <= cluster_names(before)


def test_a_revision_may_listen_elsewhere() -> None:
    model = wanted("m", "", traffic("a", "b"), {"a": 9000, "gone": 7000, "b": 8080})
    assert model.ports == (("a", 9000),)
    rendered = render_resources(
        "clusters", [Routed(wanted=model, port=1)], headless_service(NAMESPACE)
    )
    addresses = {
        each["name"]: each["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"][
            "address"
        ]["socket_address"]
        for each in rendered
        if "load_assignment" in each
    }
    assert addresses == {
        "a": {"address": "a.team.svc.cluster.local.", "port_value": 9000},
        "b": {"address": "b.team.svc.cluster.local.", "port_value": 8080},
    }


def test_a_share_of_nothing_is_not_routed() -> None:
    wants = traffic("a", "b", stable="a", canary=("b", 100))
    assert [share.weight for share in wants.shares] == [0, 100]
    assert routed_to(wants) == {"b/canary"}


@pytest.mark.parametrize(
    ("version", "coherent", "known", "expected"),
    [
        (5, True, 0, "send"),
        (5, True, 4, "send"),
        (5, True, 5, "unchanged"),
        (5, True, 6, "refuse"),
        (5, False, 0, "refuse"),
        (5, False, 4, "refuse"),
        (5, False, 5, "refuse"),
        (0, False, 0, "refuse"),
        (0, True, 0, "refuse"),
    ],
)
def test_what_a_router_is_told(version: int, coherent: bool, known: int, expected: str) -> None:
    assert answer(Offer(version=version, coherent=coherent), known) == expected


@pytest.mark.parametrize(
    ("resources", "threads"),
    [
        ({}, 2),
        ({"limits": {"cpu": "4"}}, 4),
        ({"limits": {"cpu": 3}}, 3),
        ({"limits": {"cpu": "500m"}}, 1),
        ({"limits": {"cpu": "2500m"}}, 2),
        ({"limits": {"cpu": "1.5"}}, 1),
        ({"limits": {"memory": "1Gi"}}, 2),
    ],
)
def test_threads_follow_the_limit(resources: dict[str, Any], threads: int) -> None:
    assert concurrency(resources) == threads


class Asker:
    """Asks the feed as a router does."""

    def __init__(self, cluster: Cluster, client: TestClient[Any, Any]) -> None:
        self.cluster = cluster
        self.client = client

    @property
    def version(self) -> int:
        return parse_state(self.cluster.find("ConfigMap", "driftline-router")).version

    async def ask(
        self, known: object = "", kind: str = "clusters", node: str = f"{NAMESPACE}/r-1"
    ) -> ClientResponse:
        body = {"version_info": str(known), "node": {"id": node}, "resource_names": []}
        return await self.client.post(f"/v3/discovery:{kind}", json=body)


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    cluster = Cluster(a_model(wants=traffic("a", stable="a")))
    cluster.reconcile()
    cluster.wait(seconds=1)
    patience = Patience(unchanged=0.3, incoherent=0.1, rejected=0.2, tick=0.01)
    feed = XdsFeed(cluster.store, headless_service, patience)
    async with TestClient(TestServer(feed.application())) as client:
        yield Asker(cluster, client)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_router_gets_everything(asker: Asker, kind: Kind) -> None:
    response = await asker.ask(kind=kind)
    said = await response.json()
    assert (response.status, said["version_info"]) == (200, str(asker.version))
    assert said["type_url"] == said["resources"][0]["@type"] == xds.TYPE_URLS[kind]


async def test_a_router_that_has_it_all_is_told_so_after_a_while(asker: Asker) -> None:
    since = asyncio.get_running_loop().time()
    assert (await asker.ask(asker.version)).status == 304
    assert asyncio.get_running_loop().time() - since >= 0.29


async def test_a_change_is_told_at_once(asker: Asker) -> None:
    waiting = asyncio.create_task(asker.ask(asker.version))
    await asyncio.sleep(0.05)
    asker.cluster.put(a_model(wants=traffic("a", "b", stable="a")))
    asker.cluster.reconcile()
    response = await waiting
    assert (await response.json())["version_info"] == str(asker.version)


async def test_a_replica_whose_models_differ_refuses(asker: Asker) -> None:
    asker.cluster.put(a_model(wants=traffic("a", "b", stable="b")))
    response = await asker.ask(asker.version - 1)
    assert (response.status, response.headers["Connection"]) == (503, "close")
    asker.cluster.put(a_model(wants=traffic("a", stable="a")))
    assert (await asker.ask(asker.version - 1)).status == 200


async def test_a_replica_that_misses_a_model_refuses(asker: Asker) -> None:
    asker.cluster.remove("Model", "iris")
    assert (await asker.ask()).status == 503


async def test_a_replica_that_lags_behind_the_router_refuses(asker: Asker) -> None:
    response = await asker.ask(asker.version + 1)
    assert response.status == 503
    assert str(asker.version + 1) in await response.text()


async def test_a_replica_that_renders_otherwise_refuses(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As during an upgrade of the operator: two replicas, two ways to render."""
    monkeypatch.setattr(xds, "renderer", lambda: "a newer one")
    assert (await asker.ask()).status == 503


async def test_a_namespace_that_has_no_routers_is_refused(asker: Asker) -> None:
    assert (await asker.ask(node="other/r-1")).status == 503


async def test_a_version_that_a_router_did_not_take_is_sent_again_but_not_in_a_storm(
    asker: Asker,
) -> None:
    before = asker.version - 1
    assert (await asker.ask(before)).status == 200
    since = asyncio.get_running_loop().time()
    assert (await asker.ask(before)).status == 200
    assert asyncio.get_running_loop().time() - since >= 0.19


async def test_a_restarted_router_does_not_wait(asker: Asker) -> None:
    assert (await asker.ask()).status == 200
    since = asyncio.get_running_loop().time()
    assert (await asker.ask()).status == 200
    assert asyncio.get_running_loop().time() - since < 0.15


@pytest.mark.parametrize(
    ("known", "kind", "node"),
    [
        ("x", "clusters", "team/r-1"),
        ("-1", "clusters", "team/r-1"),
        ("", "secrets", "team/r-1"),
        ("", "clusters", "team"),
        ("", "clusters", "/r-1"),
    ],
)
async def test_nonsense_is_answered_as_such(asker: Asker, known: str, kind: str, node: str) -> None:
    assert (await asker.ask(known, kind, node)).status == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"node": 1}', b"\xff"])
async def test_what_is_no_request_is_answered_as_such(asker: Asker, body: bytes) -> None:
    response = await asker.client.post("/v3/discovery:clusters", data=body)
    assert response.status == 400

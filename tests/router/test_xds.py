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
            "wine",
            "2",
            traffic("wine-a", "wine-b", stable="wine-a", canary=("wine-b", 20)),
            grpc_ports={"wine-a": 9000, "wine-b": 9000},
        ),
        port=10_002,
    ),
    Routed(wanted=wanted("iris", "1", traffic("iris-a", stable="iris-a")), port=10_001),
    Routed(wanted=wanted("rose", "3", traffic("rose-a")), port=10_003),
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


def rendered(kind: Kind, wants: Traffic, with_grpc: str = "") -> list[dict[str, Any]]:
    """Return what one Model makes, whose revisions have names of one letter."""
    model = wanted("m", "", wants, grpc_ports=dict.fromkeys(with_grpc, 9000))
    return render_resources(kind, [Routed(wanted=model, port=1)], headless_service(NAMESPACE))


def cluster_names(wants: Traffic, with_grpc: str = "") -> set[str]:
    return {each["name"] for each in rendered("clusters", wants, with_grpc)}


def routed_to(wants: Traffic, with_grpc: str = "") -> set[str]:
    (host,) = rendered("routes", wants, with_grpc)[0]["virtual_hosts"]
    routes = (each["route"] for each in host["routes"] if "route" in each)
    return {each["name"] for route in routes for each in route["weighted_clusters"]["clusters"]}


@pytest.mark.parametrize("with_grpc", ["", "ab", "b"])
def test_no_step_of_a_switch_routes_to_a_cluster_that_the_step_before_or_after_lacks(
    with_grpc: str,
) -> None:
    """Clusters and routes are fetched one by one: a router may hold two steps at once."""
    steps = [
        traffic("a", stable="a"),
        traffic("a", "b", stable="a"),
        traffic("a", "b", stable="a", canary=("b", 100)),
        traffic("a", "b", stable="b"),
        traffic("b", stable="b"),
    ]
    for before, after in itertools.pairwise(steps):
        assert routed_to(before, with_grpc) <= cluster_names(after, with_grpc)
        assert routed_to(after, with_grpc) <= cluster_names(before, with_grpc)


def test_a_revision_may_listen_elsewhere() -> None:
    ports, grpc_ports = {"a": 9000, "gone": 7000, "b": 8080}, {"a": 9001, "gone": 7001}
    model = wanted("m", "", traffic("a", "b"), ports, grpc_ports)
    assert (model.ports, model.grpc_ports) == ((("a", 9000),), (("a", 9001),))
    clusters = render_resources(
        "clusters", [Routed(wanted=model, port=1)], headless_service(NAMESPACE)
    )
    assert addresses(clusters) == {
        "a": ("a.team.svc.cluster.local.", 9000, 9000),
        "a/grpc": ("a.team.svc.cluster.local.", 9001, 9000),
        "b": ("b.team.svc.cluster.local.", 8080, 8080),
        "m/monitors": ("m-monitors.team.svc.cluster.local.", 8085, 8085),
    }


def addresses(clusters: list[dict[str, Any]]) -> dict[str, tuple[str, int, int]]:
    """Return host, port and the port of health checks, of each cluster that has servers."""
    found = {}
    for each in clusters:
        if "load_assignment" in each:
            ((server,),) = (e["lb_endpoints"] for e in each["load_assignment"]["endpoints"])
            address = server["endpoint"]["address"]["socket_address"]
            elsewhere = server["endpoint"].get("health_check_config", {})
            checked = elsewhere.get("port_value", address["port_value"])
            found[each["name"]] = (address["address"], address["port_value"], checked)
    return found


@pytest.mark.parametrize(
    ("with_grpc", "expected"),
    [
        ("ab", {"a/grpc", "b/grpc/canary"}),
        ("a", {"a/grpc", "b/grpc/canary"}),
        ("b", set()),
        ("", set()),
    ],
)
def test_the_stable_revision_says_whether_grpc_is_served(
    with_grpc: str, expected: set[str]
) -> None:
    wants = traffic("a", "b", stable="a", canary=("b", 20))
    assert routed_to(wants, with_grpc) == {"a", "b/canary", "m/monitors", *expected}


@pytest.mark.parametrize(
    ("with_grpc", "members"),
    [("ab", ["b/grpc", "a/grpc"]), ("a", ["a/grpc"]), ("b", ["b/grpc"])],
)
def test_what_a_canary_lacks_falls_to_stable(with_grpc: str, members: list[str]) -> None:
    wants = traffic("a", "b", stable="a", canary=("b", 20))
    clusters = {each["name"]: each for each in rendered("clusters", wants, with_grpc)}
    aggregate = clusters["b/grpc/canary"]["cluster_type"]["typed_config"]
    assert aggregate["clusters"] == members


def test_a_share_of_nothing_is_not_routed() -> None:
    wants = traffic("a", "b", stable="a", canary=("b", 100))
    assert [share.weight for share in wants.shares] == [0, 100]
    assert routed_to(wants) == {"b/canary", "m/monitors"}


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

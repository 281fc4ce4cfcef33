"""The loop, its client and its writes, against monitors that are real servers."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from driftline_api.conditions import Reason
from driftline_api.drift import BaselineStatus
from driftline_operator.core.plan import ObjectRef
from driftline_operator.drift.keeping import parse_kept
from driftline_operator.drift.units import Ledger
from tests.drift.builders import a_profile, counted
from tests.drift.world import (
    NAMESPACE,
    Cluster,
    FakeMonitor,
    Operator,
    listening,
)
from tests.router.harness import free_port

KEPT = ObjectRef(api_version="v1", kind="ConfigMap", namespace=NAMESPACE, name="m-drift")


@dataclass
class Scene:
    """A cluster whose monitors all listen at one port, each at an address of its own."""

    stack: AsyncExitStack
    port: int
    stats_port: int
    cluster: Cluster

    async def add(self, **given: Any) -> FakeMonitor:
        """Start a pod with a monitor."""
        monitor = FakeMonitor(**{"profile": a_profile(), **given})
        address = f"127.0.0.{len(self.cluster.monitors) + 2}"
        await self.stack.enter_async_context(listening(monitor.answer, address, self.port))
        self.cluster.add_pod(monitor, address)
        return monitor

    def operator(self) -> Operator:
        return Operator(self.cluster, self.port, self.stats_port)

    def kept(self) -> Any:
        manifest = self.cluster.api.find(KEPT)
        return parse_kept(manifest, self.cluster.uid) if manifest else None


async def a_scene(stack: AsyncExitStack, monitoring: dict[str, Any] | None = None) -> Scene:
    cluster = Cluster(monitoring)
    stats_port = free_port()
    await stack.enter_async_context(listening(cluster.router.answer, "127.0.0.1", stats_port))
    cluster.add_router("127.0.0.1")
    return Scene(stack=stack, port=free_port(), stats_port=stats_port, cluster=cluster)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        yield await a_scene(stack)


def rows(operator: Operator) -> int:
    """Return the rows that the watch has taken in."""
    known = operator.loop._known.get((NAMESPACE, "m"))
    revision = known.drift.revisions.get("m-1") if known and known.drift else None
    return revision.watch.state.drifting.seen.rows if revision and revision.watch else 0


def ledger(operator: Operator) -> Ledger:
    known = operator.loop._known[NAMESPACE, "m"].drift
    return known.revisions["m-1"].ledger if known and known.revisions else Ledger()


def more_than(before: int) -> Callable[[Operator], bool]:
    return lambda it: rows(it) > before


def another_than(before: BaselineStatus) -> Callable[[Operator], bool]:
    return lambda it: it.revision.baseline != before


async def test_two_replicas_are_configured_asked_and_added_up(scene: Scene) -> None:
    left, right = await scene.add(), await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: left.config and right.config)
        left.came(counted(700))
        right.came(counted(500, seed=1))
        await operator.until(lambda it: rows(it) == 1_200)
        assert operator.revision.observation.monitors == 2
        assert operator.revision.baseline.source == "Profile"
        assert operator.revision.baseline.rows == 10_000
    asked = left.asked + right.asked
    assert asked.count("GET /profile") == 1
    assert asked.count("PUT /config") == 2


async def test_drift_is_found_told_and_kept(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        for seed in range(30):
            grown = more_than(rows(operator))
            monitor.came(counted(300, seed=seed, shift=1.0))
            await operator.until(grown)
        await operator.until(lambda it: it.revision.reason is Reason.TRAINING_SERVING_SKEW)
        where = {"namespace": "team", "model": "m", "revision": "m-1"}
        reason = "TrainingServingSkew"
        assert operator.metric("driftline_drift_detected", **where, reason=reason) == 1
        assert operator.metric("driftline_drift_evidence", **where) >= 1  # type: ignore[operator]  # there is one
        told = scene.kept().revisions["m-1"].told
        assert told.reason == reason
        assert scene.cluster.enqueued.is_set()


async def test_an_operator_that_starts_anew_goes_on_where_the_last_one_was(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as first:
        await first.until(lambda _: monitor.config)
        monitor.came(counted(1_000))
        await first.until(lambda it: rows(it) == 1_000)
    monitor.came(counted(200, seed=1))
    async with scene.operator().leading() as second:
        await second.until(lambda it: rows(it) == 1_200)
        monitor.came(counted(50, seed=2))
        await second.until(lambda it: rows(it) == 1_250)
    assert monitor.asked.count("PUT /config") == 1


async def test_a_monitor_that_is_away_for_a_while_loses_nothing(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(100))
        await operator.until(lambda it: rows(it) == 100)
        monitor.silent = True
        await operator.until(lambda it: it.revision.observation.monitors == 0)
        monitor.came(counted(100, seed=1))
        monitor.silent = False
        await operator.until(lambda it: rows(it) == 200)
        polls = operator.metric("driftline_drift_polls_total", whom="monitor", outcome="refused")
        assert polls


async def test_what_a_killed_monitor_had_seen_is_unobserved(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(100))
        scene.cluster.router.units["m-1"] = 100
        await operator.until(lambda it: rows(it) == 100)
        await operator.until(lambda it: it.revision.observation.unobserved == 0)
        monitor.silent = True
        monitor.came(counted(30, seed=1))
        scene.cluster.router.units["m-1"] = 130
        monitor.restart()
        monitor.silent = False
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(20, seed=2))
        monitor.dropped = 5
        scene.cluster.router.units["m-1"] = 155
        await operator.until(lambda it: rows(it) == 120)
        await operator.until(lambda it: it.revision.observation.dropped == 5)
        seen = operator.revision.observation
        assert (seen.seen, seen.dropped, seen.unobserved) == (120, 5, 30)
        assert seen.seen + seen.dropped + seen.unobserved == 155


async def test_a_router_that_is_lost_for_a_while_is_not_counted_twice(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(100))
        scene.cluster.router.units["m-1"] = 100
        await operator.until(lambda it: ledger(it).units == 100)
        scene.cluster.lose_router()
        polls = len(monitor.asked)
        await operator.until(lambda _: len(monitor.asked) > polls + 5)
        scene.cluster.lose_router(lost=False)
        scene.cluster.router.units["m-1"] = 110
        await operator.until(lambda it: ledger(it).units > 100)
        assert ledger(operator).units == 110


async def test_the_last_words_of_a_pod_that_leaves_are_heard_and_kept(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(100))
        await operator.until(lambda it: rows(it) == 100)
        name = next(each for each in scene.cluster.pod_names() if each != "router")
        scene.cluster.leave(name)
        monitor.came(counted(40, seed=1))
        monitor.final = True
        await operator.until(lambda it: rows(it) == 140)
        await operator.until(lambda _: scene.kept().revisions["m-1"].ledger.seen == 140)
        scene.cluster.end(name)
    async with scene.operator().leading() as later:
        fresh = await scene.add()
        await later.until(lambda _: fresh.config)
        fresh.came(counted(10, seed=2))
        await later.until(lambda it: rows(it) == 150)


async def test_a_baseline_is_learned_over_all_replicas_and_pushed_to_them() -> None:
    async with AsyncExitStack() as stack:
        scene = await a_scene(stack, {"baseline": {"rows": 1_000}})
        left = await scene.add(profile=None, sampled=500)
        right = await scene.add(profile=None, sampled=1_500)
        operator = await stack.enter_async_context(scene.operator().leading())
        await operator.until(lambda _: left.source == right.source == "learned")
        assert right.asked.count("POST /plan") == 1
        assert operator.revision.baseline.source == "Learning"
        seed = 0
        while operator.revision.baseline.source == "Learning":
            seed += 1
            moved = another_than(operator.revision.baseline)
            left.came(counted(60, seed=seed))
            right.came(counted(60, seed=-seed % 1000 + 1000))
            await operator.until(moved)
        baseline = operator.revision.baseline
        assert (baseline.source, baseline.rows >= 1_000) == ("Learned", True)
        configs = left.asked.count("PUT /config"), right.asked.count("PUT /config")
        assert configs == (2, 2), "freezing the baseline changes nothing that is counted"


async def test_a_refused_profile_is_told_and_nothing_is_learned(scene: Scene) -> None:
    monitor = await scene.add(problem="it belongs to another model", sampled=5_000)
    async with scene.operator().leading() as operator:
        await operator.until(lambda it: it.revision and it.revision.baseline.problem)
        assert operator.revision.reason is Reason.BASELINE_MISSING
        assert "POST /plan" not in monitor.asked


async def test_a_stranger_at_a_pods_address_is_not_counted(scene: Scene) -> None:
    monitor = await scene.add()
    monitor.pod = "another"
    async with scene.operator().leading() as operator:
        outcome = {"whom": "monitor", "outcome": "stranger"}
        await operator.until(lambda it: it.metric("driftline_drift_polls_total", **outcome))
        assert operator.revision is None


async def test_a_foreign_config_map_of_the_name_is_left_alone(scene: Scene) -> None:
    monitor = await scene.add()
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mine": "1"}}
    meta = {"name": "m-drift", "namespace": NAMESPACE}
    scene.cluster.api.create_as("somebody", {**theirs, "metadata": meta})
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(100))
        await operator.until(lambda it: rows(it) == 100)
        failed = {"outcome": "failed"}
        await operator.until(lambda it: it.metric("driftline_drift_writes_total", **failed))
    found = scene.cluster.api.find(KEPT)
    assert found
    assert found["data"] == {"mine": "1"}
    assert "binaryData" not in found


async def test_nothing_is_written_while_nothing_comes(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(100))
        await operator.until(lambda it: rows(it) == 100)
        polls = len(monitor.asked)
        version = scene.cluster.api.version
        await operator.until(lambda _: len(monitor.asked) > polls + 10)
        assert scene.cluster.api.version == version


async def test_a_model_that_is_deleted_is_forgotten(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda it: it.revision)
        model = next(iter(scene.cluster.api.everything("Model")))
        scene.cluster.api.delete_now(ObjectRef.of(model))
        await operator.until(lambda it: not it.loop._known)
        where = {"namespace": "team", "model": "m", "revision": "m-1"}
        assert operator.metric("driftline_drift_rows", **where) is None
        assert monitor.asked


async def test_a_model_that_is_made_again_begins_anew(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(100))
        await operator.until(lambda _: scene.kept() and scene.kept().revisions)
        old = scene.cluster.uid
        scene.cluster.make_model_again()
        assert scene.cluster.uid != old
        scene.cluster.api.collect_garbage()
        scene.cluster.enqueued.clear()
        await operator.until(lambda it: it.revision)
        await operator.until(lambda _: scene.kept() and scene.kept().uid != old)
        assert scene.cluster.enqueued.is_set()


async def test_the_state_bears_its_owner_and_no_label_that_is_watched(scene: Scene) -> None:
    monitor = await scene.add()
    async with scene.operator().leading() as operator:
        await operator.until(lambda _: monitor.config)
        monitor.came(counted(10))
        await operator.until(lambda _: scene.kept())
    found = scene.cluster.api.find(KEPT)
    assert found
    assert found["metadata"]["labels"] == {"driftline.dev/model": "m"}
    assert found["metadata"]["ownerReferences"][0]["uid"] == scene.cluster.uid
    assert base64.b64decode(found["binaryData"]["state"])

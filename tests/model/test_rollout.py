"""One step of the state machine at a time."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from driftline_api.model import Share, Traffic
from driftline_operator.model.rollout import DRAIN, MOST_RUNNING, Rollout, Scene, plan_rollout
from tests.model.builders import NOW

OLD, NEW, NEXT = "iris-old", "iris-new", "iris-next"


def shares(**weights: int) -> list[Share]:
    """Return the shares of `stable` OLD and `canary` NEW."""
    names = {"stable": OLD, "canary": NEW}
    given = [("stable", weights.get("stable")), ("canary", weights.get("canary"))]
    return [
        Share.model_validate({"arm": arm, "revision": names[arm], "weight": weight})
        for arm, weight in given
        if weight is not None
    ]


def a_scene(**fields: Any) -> Scene:
    """Return OLD serving, NEW wanted, published, acknowledged and ready."""
    running = fields.pop("running", {OLD, NEW})
    traffic = Traffic(
        epoch=4,
        shares=fields.pop("shares", shares(stable=100)),
        clusters=fields.pop("clusters", sorted(running)),
    )
    given: dict[str, Any] = {
        "stable": OLD,
        "target": NEW,
        "traffic": traffic,
        "acknowledged": True,
        "running": running,
        "alive": running,
        "ready": running,
        "idle": {NEW: NOW},
    }
    return Scene(**{**given, **fields})


def planned(now: datetime = NOW, **fields: Any) -> Rollout:
    return plan_rollout(a_scene(**fields), now)


def weights(rollout: Rollout) -> dict[str, int]:
    return {share.revision: share.weight for share in rollout.traffic.shares}


def test_a_ready_target_that_all_routers_know_gets_all_requests_and_stable_stays_in_reserve() -> (
    None
):
    rollout = planned()
    assert weights(rollout) == {OLD: 0, NEW: 100}
    assert rollout.stable == OLD
    assert rollout.traffic.epoch == 5
    assert not rollout.traffic.acknowledged


@pytest.mark.parametrize(
    "hindrance",
    [
        {"acknowledged": False},
        {"ready": {OLD}},
        {"clusters": [OLD]},
        {"target": None},
        {"target": OLD},
    ],
    ids=lambda each: next(iter(each)),
)
def test_stable_keeps_all_requests_while(hindrance: dict[str, Any]) -> None:
    rollout = planned(**hindrance)
    assert weights(rollout) == {OLD: 100}
    assert rollout.traffic.epoch == 4


SWITCHED: dict[str, Any] = {"shares": shares(stable=0, canary=100), "idle": {}}


def test_a_target_that_all_routers_send_requests_to_becomes_stable() -> None:
    rollout = planned(**SWITCHED)
    assert rollout.stable == NEW
    assert weights(rollout) == {NEW: 100}
    assert rollout.traffic.epoch == 5
    assert not rollout.settled, "a router may still fall back to the old one"


@pytest.mark.parametrize(
    "hindrance", [{"acknowledged": False}, {"ready": {OLD}}], ids=["unheard", "too few pods"]
)
def test_a_target_does_not_become_stable_while(hindrance: dict[str, Any]) -> None:
    rollout = planned(**SWITCHED, **hindrance)
    assert rollout.stable == OLD
    assert weights(rollout) == {OLD: 0, NEW: 100}


@pytest.mark.parametrize("acknowledged", [True, False])
@pytest.mark.parametrize(
    "cause",
    [{"alive": {OLD}, "ready": {OLD}}, {"target": OLD}, {"target": NEXT}, {"target": None}],
    ids=["no pod left", "back to stable", "a third revision", "not known yet"],
)
def test_requests_go_back_to_stable_at_once(cause: dict[str, Any], acknowledged: bool) -> None:
    rollout = planned(**SWITCHED, acknowledged=acknowledged, **cause)
    assert weights(rollout) == {OLD: 100}
    assert rollout.stable == OLD
    assert NEW in rollout.traffic.clusters
    assert NEW in rollout.running


PROMOTED: dict[str, Any] = {
    "stable": NEW,
    "shares": [Share(arm="stable", revision=NEW, weight=100)],
    "idle": {},
}


def test_an_old_revision_is_idle_from_the_acknowledgement_on() -> None:
    unheard = planned(NOW + timedelta(hours=1), **PROMOTED, acknowledged=False)
    assert unheard.idle == {}
    assert not unheard.settled
    heard = planned(**PROMOTED)
    assert heard.idle == {OLD: NOW}
    assert heard.settled
    assert heard.due == NOW + DRAIN


def test_the_cluster_of_an_old_revision_goes_when_requests_in_flight_have_ended() -> None:
    idle = {**PROMOTED, "idle": {OLD: NOW}}
    assert planned(NOW + DRAIN - timedelta(seconds=1), **idle).traffic.clusters == [NEW, OLD]
    drained = planned(NOW + DRAIN, **idle)
    assert drained.traffic.clusters == [NEW]
    assert drained.traffic.epoch == 4, "no weight has changed"
    assert drained.running == (NEW, OLD)
    assert drained.settled, "whoever waits for the update need not wait for this"


@pytest.mark.parametrize("acknowledged", [True, False])
def test_its_pods_go_when_all_routers_have_forgotten_it(acknowledged: bool) -> None:
    rollout = planned(
        NOW + DRAIN,
        **{**PROMOTED, "idle": {OLD: NOW}},
        clusters=[NEW],
        acknowledged=acknowledged,
    )
    assert (OLD in rollout.running) != acknowledged


def test_a_stable_that_a_canary_may_fall_back_to_is_not_idle() -> None:
    rollout = planned(**SWITCHED)
    assert OLD not in rollout.idle


def test_a_target_whose_deployment_is_refused_is_not_published() -> None:
    rollout = planned(running={OLD}, clusters=[OLD], barred=True, idle={})
    assert rollout.traffic.clusters == [OLD]
    assert rollout.running == (NEW, OLD), "and is tried again"


def test_while_nothing_serves_the_target_is_routed_to_before_it_is_ready() -> None:
    first: dict[str, Any] = {
        "stable": None,
        "running": {NEW},
        "ready": set(),
        "alive": set(),
        "shares": [],
    }
    assert weights(planned(**first)) == {NEW: 100}
    assert weights(planned(**first, acknowledged=False)) == {}
    assert planned(**first).stable is None


def test_a_target_waits_while_too_many_others_run() -> None:
    others = {f"iris-{number}" for number in range(MOST_RUNNING - 1)} | {OLD}
    rollout = planned(running=others, acknowledged=False)
    assert rollout.waits
    assert NEW not in rollout.running
    assert NEW not in rollout.traffic.clusters

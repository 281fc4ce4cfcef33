"""The life of a Model, step by step, with the core's own Store and executor."""

from datetime import timedelta

import pytest

from driftline_operator.model.containers import Images
from tests.model.builders import IMAGES, OTHER_DIGEST, a_model
from tests.model.invariants import INVARIANTS
from tests.model.world import World, weights

THIRD_DIGEST = "sha256:" + "c" * 64


@pytest.fixture
def world() -> World:
    """A world in which every invariant is looked after, always."""
    made = World()
    made.checks.extend(INVARIANTS)
    return made


@pytest.fixture
def serving(world: World) -> World:
    """A Model of two replicas whose first revision serves."""
    world.apply(a_model(replicas=2))
    world.finish()
    return world


def update(world: World, digest: str = OTHER_DIGEST) -> str:
    """Ask for another artifact, and return the new revision once its Deployment is there."""
    world.edit(lambda spec: spec["artifact"].update(digest=digest))
    world.reconcile()
    target = world.status.target_revision
    assert target
    return target


def stable_of(world: World) -> str:
    stable = world.status.stable_revision
    assert stable
    return stable


def test_a_first_revision_serves_once_it_is_ready_and_every_router_knows(world: World) -> None:
    world.apply(a_model(replicas=2))
    world.reconcile()
    assert world.condition("Ready") == ("Unknown", "Starting")
    assert world.condition("Reconciling") == ("True", "RevisionStarting")
    assert world.status.stable_revision is None
    world.pods_turn()
    world.finish()
    assert world.condition("Ready") == ("True", "Serving")
    assert world.condition("Reconciling") == ("False", "UpToDate")
    assert world.condition("Stalled") == ("", "")
    assert world.condition("RolloutSucceeded") == ("True", "Promoted")
    assert weights(world) == {stable_of(world): 100}
    assert world.events() == ["RevisionStarting", "Promoted", "Serving"]


def test_a_model_at_rest_is_not_written_to(serving: World) -> None:
    written = len(serving.writes.done)
    for hours in (0, 1, 24):
        serving.now += timedelta(hours=hours)
        assert serving.reconcile() is None
    assert len(serving.writes.done) == written


def test_an_operator_that_starts_anew_writes_nothing(serving: World) -> None:
    written = len(serving.writes.done)
    serving.restart(IMAGES)
    serving.reconcile()
    assert len(serving.writes.done) == written


def test_an_operator_with_other_images_changes_no_revision(serving: World) -> None:
    stable, written = stable_of(serving), len(serving.writes.done)
    serving.restart(Images(serving="registry.example.com/driftline-serving:2"))
    serving.settle()
    assert len(serving.writes.done) == written
    target = update(serving)
    images = {
        name: (serving.find("Deployment", name) or {})["spec"]["template"]["spec"]["containers"][0][
            "image"
        ]
        for name in (stable, target)
    }
    assert images[stable].endswith(":1")
    assert images[target].endswith(":2")


def test_a_refresh_token_of_the_runtime_moves_a_model_to_new_images(serving: World) -> None:
    stable = stable_of(serving)
    serving.restart(Images(serving="registry.example.com/driftline-serving:2"))
    serving.edit(lambda spec: spec.update(runtime={"refreshToken": "now"}))
    serving.finish()
    assert stable_of(serving) != stable
    deployment = serving.find("Deployment", stable_of(serving))
    assert deployment
    template = deployment["spec"]["template"]["spec"]
    assert template["containers"][0]["image"].endswith(":2")


def test_a_switch_goes_step_by_step_and_every_step_waits_for_the_routers(serving: World) -> None:
    old, epoch = stable_of(serving), serving.status.traffic.epoch
    new = update(serving)
    assert weights(serving) == {old: 100}
    assert serving.status.traffic.clusters == sorted([old, new])
    serving.pods_turn()
    serving.reconcile()
    assert weights(serving) == {old: 100}, "ready, but the routers have not heard of it"
    serving.routers_turn()
    serving.reconcile()
    assert weights(serving) == {new: 100}
    assert serving.status.traffic.epoch == epoch + 1
    assert stable_of(serving) == old, "not before every router has switched"
    assert serving.condition("Reconciling") == ("True", "SwitchingTraffic")
    serving.routers_turn()
    serving.reconcile()
    assert stable_of(serving) == new
    assert [share.arm for share in serving.status.traffic.shares] == ["stable"]
    assert serving.condition("RolloutSucceeded") == ("Unknown", "InProgress")
    serving.routers_turn()
    serving.reconcile()
    assert serving.condition("RolloutSucceeded") == ("True", "Promoted")
    assert serving.condition("Ready") == ("True", "Serving")


def test_an_old_revision_is_drained_before_its_cluster_and_then_its_pods_go(
    serving: World,
) -> None:
    old, new = stable_of(serving), update(serving)
    serving.settle()
    assert serving.names("Deployment") == sorted([old, new])
    assert serving.status.traffic.clusters == sorted([old, new])
    due = serving.reconcile()
    assert due is not None
    assert 10 <= due <= 20
    serving.now += timedelta(seconds=due)
    serving.reconcile()
    assert serving.status.traffic.clusters == [new]
    assert serving.names("Deployment") == sorted([old, new]), "a router may still know it"
    serving.routers_turn()
    serving.reconcile()
    assert serving.names("Deployment") == [new]
    assert serving.names("Service") == sorted(["iris", "iris-monitors", new])
    assert serving.names("PodDisruptionBudget") == [new]
    assert old in serving.names("ControllerRevision")


def test_a_revision_that_never_gets_ready_takes_no_request_and_goes_on_once_mended(
    serving: World,
) -> None:
    old = stable_of(serving)
    serving.edit(lambda spec: spec["artifact"].update(digest=OTHER_DIGEST))
    serving.reconcile()
    new = serving.status.target_revision
    assert new
    serving.broken.add(new)
    serving.settle()
    due = serving.reconcile()
    assert due is not None
    serving.now += timedelta(seconds=due)
    serving.settle()
    assert weights(serving) == {old: 100}
    assert serving.condition("Ready") == ("True", "Serving")
    assert serving.condition("Stalled") == ("True", "ProgressDeadlineExceeded")
    assert serving.condition("RolloutSucceeded") == ("False", "ProgressDeadlineExceeded")
    assert serving.events().count("ProgressDeadlineExceeded") == 1
    serving.broken.clear()
    serving.finish()
    assert weights(serving) == {new: 100}
    assert serving.condition("Stalled") == ("", "")
    assert serving.names("Deployment") == [new]


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_third_revision_in_the_middle_of_a_switch_starts_from_stable(
    serving: World, turns: int
) -> None:
    old, second = stable_of(serving), update(serving)
    for _ in range(turns):
        serving.pods_turn()
        serving.routers_turn()
        serving.reconcile()
    stable = stable_of(serving)
    third = update(serving, THIRD_DIGEST)
    assert weights(serving) == {stable: 100}
    serving.finish()
    assert weights(serving) == {third: 100}
    assert serving.names("Deployment") == [third]
    assert serving.names("ControllerRevision") == sorted([old, second, third])


@pytest.mark.parametrize("turns", [0, 1])
def test_going_back_to_the_stable_content_cancels_at_once(serving: World, turns: int) -> None:
    old, second = stable_of(serving), update(serving)
    for _ in range(turns):
        serving.pods_turn()
        serving.routers_turn()
        serving.reconcile()
    assert (second in weights(serving)) == bool(turns)
    target = update(serving, "sha256:" + "a" * 64)
    assert target == old
    assert weights(serving) == {old: 100}
    serving.finish()
    assert serving.names("Deployment") == [old]
    assert serving.condition("RolloutSucceeded") == ("True", "Promoted")


def test_a_canary_that_loses_its_pods_is_withdrawn_and_tried_again(serving: World) -> None:
    old, new = stable_of(serving), update(serving)
    serving.pods_turn()
    serving.routers_turn()
    serving.reconcile()
    assert weights(serving) == {new: 100}
    serving.broken.add(new)
    serving.pods_turn()
    serving.reconcile()
    assert weights(serving) == {old: 100}, "at once: no acknowledgement is waited for"
    serving.settle()
    assert weights(serving) == {old: 100}
    serving.broken.clear()
    serving.finish()
    assert weights(serving) == {new: 100}


def test_a_first_revision_that_never_serves_makes_way_for_the_next(world: World) -> None:
    world.apply(a_model())
    world.reconcile()
    first = world.status.target_revision
    assert first
    world.broken.add(first)
    world.settle()
    assert world.status.stable_revision is None
    second = update(world)
    world.finish()
    assert weights(world) == {second: 100}
    assert world.names("Deployment") == [second]


def test_a_first_revision_that_serves_is_not_given_up_for_one_that_does_not(
    world: World,
) -> None:
    world.apply(a_model())
    world.reconcile()
    first = world.status.target_revision
    assert first
    world.routers_turn()
    world.reconcile()
    world.pods_turn()
    world.routers_turn()
    world.edit(lambda spec: spec["artifact"].update(digest=OTHER_DIGEST))
    world.reconcile()
    second = world.status.target_revision
    assert second
    assert second != first
    world.broken.add(second)
    world.settle()
    assert stable_of(world) == first
    assert weights(world) == {first: 100}


def test_replicas_change_in_place(serving: World) -> None:
    stable = stable_of(serving)
    serving.edit(lambda spec: spec.update(replicas=3))
    serving.reconcile()
    assert serving.condition("Reconciling") == ("True", "Scaling")
    assert serving.condition("RolloutSucceeded") == ("True", "Promoted")
    serving.finish()
    assert serving.status.ready_replicas == 3
    assert serving.names("ControllerRevision") == [stable]
    serving.edit(lambda spec: spec.update(replicas=1))
    serving.finish()
    assert serving.names("PodDisruptionBudget") == []
    assert serving.status.ready_replicas == 1


def test_history_is_pruned_and_going_back_uses_the_old_revision_again(serving: World) -> None:
    serving.edit(lambda spec: spec.update(revisionHistoryLimit=1))
    first = stable_of(serving)
    second = update(serving)
    serving.finish()
    back = update(serving, "sha256:" + "a" * 64)
    serving.finish()
    assert back == first
    numbers = {each.name: each.number for each in serving.status.revisions}
    assert numbers == {second: 2, first: 3}
    third = update(serving, THIRD_DIGEST)
    serving.finish()
    assert serving.names("ControllerRevision") == sorted([first, third])


def test_a_limit_of_none_keeps_what_serves(serving: World) -> None:
    serving.edit(lambda spec: spec.update(revisionHistoryLimit=0))
    second = update(serving)
    serving.finish()
    assert serving.names("ControllerRevision") == [second]


@pytest.mark.parametrize("kind", ["Deployment", "Service", "ControllerRevision"])
def test_a_deleted_child_comes_back_as_it_was(world: World, kind: str) -> None:
    world.apply(a_model(replicas=2))
    world.finish()
    stable = stable_of(world)
    before = world.find("Deployment", stable)
    world.checks.clear()  # of what the operator does: a person breaks them
    world.delete(kind, stable)
    world.finish()
    after = world.find("Deployment", stable)
    assert before
    assert after
    assert before["spec"] == after["spec"]
    assert stable in world.names(kind)
    assert stable_of(world) == stable


def test_what_bears_our_labels_and_is_not_ours_is_left_alone(serving: World) -> None:
    labels = {"app.kubernetes.io/managed-by": "driftline", "driftline.dev/model": "iris"}
    meta = {"name": "theirs", "namespace": "team", "labels": labels}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": []}}
    serving.memory.create_as("them", service)
    serving.finish()
    assert "theirs" in serving.names("Service")


def test_a_foreign_service_of_the_models_name_stalls_until_it_is_handed_over(
    world: World,
) -> None:
    meta = {"name": "iris", "namespace": "team", "labels": {"owner": "them"}}
    spec = {"ports": [{"port": 5432}], "selector": {"app": "theirs"}}
    world.memory.create_as(
        "them", {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    )
    world.apply(a_model())
    world.settle()
    assert world.condition("Stalled") == ("True", "NameConflict")
    assert world.condition("Ready") == ("False", "NameConflict")
    assert "driftline.dev/adopt" in world.status.message
    theirs = world.find("Service", "iris")
    assert theirs
    assert theirs["spec"]["selector"] == {"app": "theirs"}
    world.memory.edit(
        world.ref("Service", "iris"),
        lambda service: service["metadata"].update(annotations={"driftline.dev/adopt": "iris"}),
    )
    world.finish()
    assert world.condition("Ready") == ("True", "Serving")


def test_a_model_that_is_made_anew_waits_for_what_the_earlier_one_left(serving: World) -> None:
    stable = stable_of(serving)
    serving.checks.clear()  # of what the operator does: a person breaks them
    serving.delete("Model", "iris")
    serving.apply(a_model(replicas=2))
    serving.reconcile()
    assert serving.condition("Stalled") == ("", "")
    assert serving.condition("Ready") == ("Unknown", "Starting")
    assert "earlier Model" in serving.status.message
    assert serving.status.traffic.clusters == []
    serving.memory.collect_garbage()
    serving.finish()
    assert stable_of(serving) == stable
    assert serving.condition("RolloutSucceeded") == ("True", "Promoted")


def test_a_model_that_is_being_deleted_is_left_to_the_garbage_collector(serving: World) -> None:
    serving.memory.edit(
        serving.ref("Model", "iris"),
        lambda model: model["metadata"].update(finalizers=["example.com/backup"]),
    )
    serving.checks.clear()
    serving.delete("Model", "iris")
    serving.delete("Deployment", stable_of(serving))
    written = len(serving.writes.done)
    serving.reconcile()
    assert len(serving.writes.done) == written


def test_silent_routers_do_not_make_deployments_pile_up(serving: World) -> None:
    for number in range(12):
        update(serving, f"sha256:{number:064x}")
        serving.pods_turn()
    assert len(serving.names("Deployment")) == 8
    assert serving.condition("Reconciling") == ("True", "AwaitingRouters")
    last = serving.status.target_revision
    assert last not in serving.names("Deployment")
    serving.finish()
    assert serving.names("Deployment") == [last]
    assert weights(serving) == {last: 100}


def test_with_no_router_ready_a_model_says_so(serving: World) -> None:
    serving.delete("Pod", "router-1")
    serving.reconcile()
    assert serving.condition("Ready") == ("False", "RouterNotReady")
    assert serving.condition("RolloutSucceeded") == ("True", "Promoted")

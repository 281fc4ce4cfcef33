"""An autoscaler owns the number of pods of stable, and is never fought over it."""

import pytest

from tests.model.builders import OTHER_DIGEST, a_model
from tests.model.invariants import INVARIANTS
from tests.model.world import World

AUTOSCALING = {"minReplicas": 2, "maxReplicas": 9}


@pytest.fixture
def scaled() -> World:
    """A Model whose autoscaler has gone from 2 pods to 6."""
    world = World()
    world.checks.extend(INVARIANTS)
    world.apply(a_model(autoscaling=AUTOSCALING))
    world.finish()
    autoscale(world, 6)
    world.finish()
    return world


def autoscale(world: World, replicas: int) -> None:
    """Set the number as the autoscaler does."""
    stable = world.status.stable_revision
    assert stable
    deployment = world.ref("Deployment", stable)
    world.memory.edit(deployment, lambda each: each["spec"].update(replicas=replicas), "autoscaler")


def replicas(world: World, revision: str | None) -> int:
    deployment = world.find("Deployment", revision or "")
    assert deployment
    return int(deployment["spec"]["replicas"])


def test_it_starts_at_the_minimum_and_its_number_is_left_alone(scaled: World) -> None:
    stable = scaled.status.stable_revision
    assert replicas(scaled, stable) == 6
    assert scaled.status.ready_replicas == 6
    written = len(scaled.writes.done)
    scaled.settle()
    assert len(scaled.writes.done) == written
    for number in (3, 2, 9):
        autoscale(scaled, number)
        scaled.finish()
        assert replicas(scaled, stable) == number
    applied = [kind for kind, verb in scaled.writes.done[written:] if verb == "apply"]
    assert applied == [], "only status follows"


def test_it_scales_the_revision_that_serves(scaled: World) -> None:
    scaler = scaled.find("HorizontalPodAutoscaler", "iris")
    assert scaler
    assert scaler["spec"]["scaleTargetRef"]["name"] == scaled.status.stable_revision
    scaled.edit(lambda spec: spec["artifact"].update(digest=OTHER_DIGEST))
    scaled.finish()
    scaler = scaled.find("HorizontalPodAutoscaler", "iris")
    assert scaler
    assert scaler["spec"]["scaleTargetRef"]["name"] == scaled.status.stable_revision


def test_a_candidate_is_as_large_as_what_it_takes_over_from(scaled: World) -> None:
    old = scaled.status.stable_revision
    scaled.edit(lambda spec: spec["artifact"].update(digest=OTHER_DIGEST))
    scaled.reconcile()
    new = scaled.status.target_revision
    assert replicas(scaled, new) == 6
    scaled.settle()
    assert scaled.status.stable_revision == new
    assert replicas(scaled, new) == 6, "taking the number back from us does not reset it"
    assert replicas(scaled, old) == 6, "stable does not shrink before it has drained"


def test_switching_it_on_and_off_resets_nothing(scaled: World) -> None:
    stable = scaled.status.stable_revision

    def off(spec: dict[str, object]) -> None:
        del spec["autoscaling"]
        spec["replicas"] = 4

    scaled.edit(off)
    scaled.finish()
    assert replicas(scaled, stable) == 4
    assert scaled.names("HorizontalPodAutoscaler") == []
    scaled.edit(lambda spec: spec.update(replicas=1, autoscaling=AUTOSCALING))
    scaled.reconcile()
    assert replicas(scaled, stable) == 4
    assert scaled.status.stable_revision == stable

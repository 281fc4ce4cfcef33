"""Whatever is asked for in whatever order, and whoever is slow: what is asked for last is served.

Each schedule interleaves a user who edits, pods that come up or break, routers that publish and
acknowledge late, an operator that is restarted, and time. The invariants are looked after at
every write of anybody.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.model.builders import IMAGES, a_model
from tests.model.invariants import INVARIANTS
from tests.model.world import World, weights

SCHEDULES = 150
STEPS = 60


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


def _edit(world: World, chance: random.Random) -> None:
    number = chance.randrange(4)
    world.edit(lambda spec: spec["artifact"].update(digest=_digest(number)))


def _scale(world: World, chance: random.Random) -> None:
    number = chance.randint(1, 4)
    world.edit(lambda spec: spec.update(replicas=number))


def _break(world: World, chance: random.Random) -> None:
    target = world.status.target_revision
    stable = world.status.stable_revision
    if target and target != stable and chance.random() < 0.5:
        world.broken.add(target)


def _wait(world: World, chance: random.Random) -> None:
    world.now += timedelta(seconds=chance.choice((1, 5, 20, 700)))


Step = Callable[[World, random.Random], Any]
#: What may happen, and how often.
HAPPENINGS: tuple[tuple[Step, int], ...] = (
    (_edit, 3),
    (_scale, 1),
    (_break, 1),
    (_wait, 3),
    (lambda world, _: world.broken.clear(), 1),
    (lambda world, _: world.restart(IMAGES), 1),
    (lambda world, _: world.reconcile(), 10),
    (lambda world, _: world.pods_turn(), 6),
    (lambda world, _: world.publish(), 6),
    (lambda world, _: world.hear(), 6),
)


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_the_last_wish_is_served_and_no_state_between_is_wrong(seed: int) -> None:
    chance = random.Random(seed)
    world = World()
    world.checks.extend(INVARIANTS)
    world.apply(a_model(digest=_digest(0)))
    steps, often = zip(*HAPPENINGS, strict=True)
    for step in chance.choices(steps, often, k=STEPS):
        step(world, chance)
    world.broken.clear()
    wish = _digest(chance.randrange(4))
    world.edit(lambda spec: spec["artifact"].update(digest=wish))
    world.finish()

    stable = world.status.stable_revision
    assert stable
    assert world.status.digest == wish
    assert weights(world) == {stable: 100}
    assert world.names("Deployment") == [stable]
    assert world.status.traffic.clusters == [stable]
    assert world.condition("Ready") == ("True", "Serving")
    assert world.condition("Reconciling") == ("False", "UpToDate")
    assert world.condition("RolloutSucceeded") == ("True", "Promoted")
    written = len(world.writes.done)
    world.reconcile()
    assert len(world.writes.done) == written

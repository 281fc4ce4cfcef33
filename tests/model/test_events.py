"""People are told of what happens, when it happens, once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from driftline_api.model import ModelStatus
from driftline_operator.core.plan import EventRecord
from driftline_operator.model.plan import plan_model
from tests.model.builders import IMAGES, NOW, OTHER_DIGEST, a_model
from tests.model.states import STATES
from tests.model.world import World


def told(before: str, after: str) -> list[EventRecord]:
    """Return the Events of going from one state of the golden table to another."""
    old, began = STATES[before]
    written = plan_model(old, IMAGES, NOW + timedelta(seconds=began)).status
    assert written
    status = ModelStatus.model_validate(written.status)
    seen, seconds = STATES[after]
    seen = replace(seen, model=replace(seen.model, status=_like(seen.model.status, status)))
    return list(plan_model(seen, IMAGES, NOW + timedelta(seconds=seconds)).events)


def _like(state: ModelStatus, before: ModelStatus) -> ModelStatus:
    """Return what decides in `state`, with what was told `before`."""
    kept = {"conditions": before.conditions, "revisions": before.revisions}
    return state.model_copy(update=kept)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("rollout comes up", "rollout is refused its artifact", ["Warning DigestMismatch"]),
        ("rollout comes up", "rollout waits for a node", ["Warning Unschedulable"]),
        ("rollout waits for a node", "rollout waited for a node for too long", []),
        ("rollout comes up", "child is refused", ["Warning ChildRefused"]),
        ("stable serves, nothing to do", "no router is ready", ["Warning RouterNotReady"]),
        ("no router is ready", "stable serves, nothing to do", ["Normal Serving"]),
        ("stable has too few pods", "stable serves, nothing to do", []),
        (
            "stable serves, nothing to do",
            "stable broke for good",
            ["Warning StableUnavailable", "Warning DigestMismatch"],
        ),
        ("rollout comes up", "rollout is ready, weights are on their way", ["Normal Switching"]),
        ("rollout comes up", "switched, not every router has confirmed", []),
        ("rollout comes up", "promoted, not every router has confirmed", ["Normal Promoted"]),
    ],
)
def test_tells_what_has_changed(before: str, after: str, expected: list[str]) -> None:
    found = [f"{each.type} {each.reason}".removesuffix("Traffic") for each in told(before, after)]
    assert found == expected


@pytest.mark.parametrize("name", STATES)
def test_tells_nothing_while_nothing_changes(name: str) -> None:
    seen, seconds = STATES[name]
    now = NOW + timedelta(seconds=seconds)
    first = plan_model(seen, IMAGES, now).status
    assert first
    status = ModelStatus.model_validate(first.status)
    again = replace(seen, model=replace(seen.model, status=status))
    shown = plan_model(again, IMAGES, now)
    reasons = {each.reason for each in shown.events}
    assert reasons <= {"SwitchingTraffic", "Promoted", "Serving"}, "only what went on meanwhile"


def test_an_update_is_told_from_its_beginning_to_its_end() -> None:
    world = World()
    world.apply(a_model())
    world.finish()
    before = len(world.events())
    world.edit(lambda spec: spec["artifact"].update(digest=OTHER_DIGEST))
    world.finish()
    assert world.events()[before:] == ["RevisionStarting", "SwitchingTraffic", "Promoted"]

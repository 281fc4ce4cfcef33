"""One golden table of all states, judged as other tools judge it: by the rules of kstatus."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline_api.model import ModelStatus
from driftline_operator.core.plan import Manifest
from driftline_operator.model.plan import plan_model
from tests.model.builders import IMAGES, NOW, a_subject
from tests.model.states import STATES

TABLE: dict[str, dict[str, str]] = yaml.safe_load(
    (Path(__file__).parent / "golden" / "conditions.yaml").read_text()
)


def status_of(name: str) -> dict[str, Any]:
    """Return the status that is written in a state."""
    seen, seconds = STATES[name]
    written = plan_model(seen, IMAGES, NOW + timedelta(seconds=seconds)).status
    assert written
    return dict(written.status)


def kstatus(generation: int, status: Manifest) -> str:
    """Judge as `kstatus` does (cli-utils, `pkg/kstatus/status/core.go`, its generic rules)."""
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    if status.get("observedGeneration") != generation:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    if conditions.get("Ready", "True") != "True":
        return "InProgress"
    return "Current"


@pytest.mark.parametrize("name", STATES)
def test_conditions(name: str) -> None:
    status = status_of(name)
    found = {each["type"]: f"{each['status']} {each['reason']}" for each in status["conditions"]}
    judged = {"kstatus": kstatus(a_subject().generation, status), "phase": status["phase"]}
    assert {**found, **judged} == {"DriftFree": "Unknown InsufficientData", **TABLE[name]}


def test_the_table_is_of_exactly_these_states() -> None:
    assert list(TABLE) == list(STATES)


@pytest.mark.parametrize("name", STATES)
def test_every_condition_speaks_of_the_generation_that_was_seen_and_says_something(
    name: str,
) -> None:
    status = status_of(name)
    for condition in status["conditions"]:
        assert condition["observedGeneration"] == a_subject().generation
        assert condition["message"]
    assert status["message"]


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if "Stalled" in row])
def test_who_is_stalled_is_told_who_must_act(name: str) -> None:
    if name != "name is taken":  # the refusal itself says what to do, see core.ownership
        assert "You: " in status_of(name)["message"]


def test_what_never_was_true_together_is_not() -> None:
    for row in TABLE.values():
        assert not (row["Reconciling"].startswith("True") and "Stalled" in row)


def test_the_time_of_a_condition_moves_with_its_status_only() -> None:
    seen, _ = STATES["stable has too few pods"]
    first = ModelStatus.model_validate(status_of("stable has too few pods"))
    again = replace(seen, model=replace(seen.model, status=first), workloads={})
    written = plan_model(again, IMAGES, NOW + timedelta(hours=1)).status
    assert written
    before = {str(each.type): each.last_transition_time for each in first.conditions}
    after = {each["type"]: each for each in written.status["conditions"]}
    assert after["Reconciling"]["lastTransitionTime"] == before["Reconciling"]
    assert after["Ready"]["status"] == "False"
    assert after["Ready"]["lastTransitionTime"] == "2026-03-04T06:06:07Z"


def test_a_status_that_says_all_is_not_written_again() -> None:
    seen, _ = STATES["stable serves, nothing to do"]
    status = ModelStatus.model_validate(status_of("stable serves, nothing to do"))
    again = replace(seen, model=replace(seen.model, status=status))
    plan = plan_model(again, IMAGES, NOW + timedelta(days=1))
    assert plan.status is None
    assert plan.events == ()
    assert plan.requeue_after is None

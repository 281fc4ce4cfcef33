"""Car loans: cars become dearer and the model worse; labels come through the same Service."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline_api.names import PROFILE_FILE
from e2e.drift.deploy import Placed, model, place, replay, write_artifact
from e2e.drift.promise import SLACK, promised_rows
from e2e.drift.replay import replaying
from e2e.drift.scenes import loans
from e2e.drift.watched import Watcher, one_look, told
from e2e.workspace import Workspace

FIRST, LAST = 12_000, 50_000
ROWS, RATE = 25, 40
#: At the load of the test; a year of it at one false alarm.
BUDGET = ROWS * RATE * 365 * 86_400


@pytest.fixture(scope="module")
def placed(workspace: Workspace) -> Placed:
    return place(workspace.system, loans())


@pytest.fixture(scope="module")
def watcher(workspace: Workspace, placed: Placed) -> Iterator[Watcher]:
    """A Model under load, with labels two seconds after each answer."""
    baseline = {"rows": 8_000}
    workspace.apply(model(workspace, placed, replicas=2, monitoring={"baseline": baseline}))
    workspace.wait_promoted("loans")
    how = replay(workspace, placed, first=FIRST, last=LAST, rows=ROWS, rate=RATE, label_after=2.0)
    image = workspace.system.images["serving"]
    with replaying(workspace.kubectl, workspace.namespace, image, how, "replay") as running:
        yield Watcher(space=workspace, name="loans", replaying=running, answers=[])


def promised(placed: Placed) -> float:
    with tempfile.TemporaryDirectory() as where:
        write_artifact(placed.scene, Path(where))
        return promised_rows(placed.scene, Path(where, PROFILE_FILE), "car_value", BUDGET)


def test_drift_is_found_within_the_promised_rows_and_named(
    watcher: Watcher, placed: Placed
) -> None:
    watcher.until("NoDrift", within=60)
    found = watcher.until("CovariateDrift", "ConceptDrift", "DataIntegrity", within=60)
    change = placed.scene.change
    assert change < found.at <= change + SLACK * promised(placed) + one_look(ROWS * RATE), told(
        watcher.answers
    )
    assert found.reason == "CovariateDrift", told(watcher.answers)
    assert found.status == "False"
    assert found.drift is not None
    assert found.drift.features[0].name == "car_value", told(watcher.answers)
    assert found.drift.evidence >= 1
    assert "car_value" in found.message
    assert found.drift.action


def test_there_is_one_event_for_the_edge(workspace: Workspace, watcher: Watcher) -> None:
    event = workspace.wait_event("loans", "DriftDetected")
    assert "car_value" in event["message"]


def test_labels_show_that_the_model_is_worse(watcher: Watcher) -> None:
    found = watcher.until("ConceptDrift", within=60)
    assert found.drift is not None
    performance = found.drift.performance
    assert performance is not None
    assert performance.loss is not None
    assert performance.baseline_loss is not None
    assert performance.loss > performance.baseline_loss
    assert performance.labels > 0


def test_neither_readiness_nor_traffic_is_touched(workspace: Workspace, watcher: Watcher) -> None:
    status = workspace.get("loans")["status"]
    found = {each["type"]: each["status"] for each in status["conditions"]}
    assert found["Ready"] == "True"
    assert found.get("Stalled", "False") == "False"
    assert watcher.replaying.account().failed == 0


def test_every_inference_is_accounted_for(workspace: Workspace, watcher: Watcher) -> None:
    account = watcher.replaying.account()
    assert set(account.labels) <= {"sent"}, account.labels
    found = watcher.look().drift
    assert found is not None
    assert found.observation.dropped == 0
    assert found.observation.monitors == found.observation.pods == 2

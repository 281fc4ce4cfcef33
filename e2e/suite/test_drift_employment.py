"""The census: the highest age is another one, and the model is as good as ever."""

from collections.abc import Iterator

import pytest

from e2e.drift.deploy import model, place, replay
from e2e.drift.replay import replaying
from e2e.drift.scenes import employment
from e2e.drift.watched import Watcher, told
from e2e.workspace import Workspace

FIRST = 3_000
ROWS, RATE = 20, 25


@pytest.fixture(scope="module")
def watcher(workspace: Workspace) -> Iterator[Watcher]:
    placed = place(workspace.system, employment())
    monitoring = {"baseline": {"rows": 4_000}}
    workspace.apply(model(workspace, placed, monitoring=monitoring))
    workspace.wait_promoted("employment")
    how = replay(workspace, placed, first=FIRST, rows=ROWS, rate=RATE, label_after=1.0)
    image = workspace.system.images["serving"]
    with replaying(workspace.kubectl, workspace.namespace, image, how, "replay") as running:
        yield Watcher(space=workspace, name="employment", replaying=running, answers=[])


@pytest.mark.timeout(180)
def test_benign_drift_is_covariate_drift_without_loss(watcher: Watcher) -> None:
    found = watcher.until("CovariateDrift", within=120)
    assert found.drift is not None
    assert found.drift.features[0].name == "AGEP", told(watcher.answers)
    reasons = {each.reason for each in watcher.answers}
    assert reasons <= {"", "InsufficientData", "NoDrift", "CovariateDrift"}, told(watcher.answers)
    performance = found.drift.performance
    assert performance is not None, told(watcher.answers)
    assert performance.labels > 1_000
    assert performance.loss is not None
    assert performance.loss == pytest.approx(performance.baseline_loss, abs=0.03)

"""The weather: from one row on the columns have moved one place, and the condition says so."""

from collections.abc import Iterator

import pytest

from e2e.drift.deploy import Placed, model, place, replay
from e2e.drift.replay import replaying
from e2e.drift.scenes import weather
from e2e.drift.watched import Watcher, one_look, told
from e2e.workspace import Workspace

FIRST = 1_000
ROWS, RATE = 10, 20
#: As the tests of the statistics have it, at a smaller budget.
FOUND_WITHIN = 256


@pytest.fixture(scope="module")
def placed(workspace: Workspace) -> Placed:
    return place(workspace.system, weather())


@pytest.fixture(scope="module")
def watcher(workspace: Workspace, placed: Placed) -> Iterator[Watcher]:
    monitoring = {"baseline": {"rows": 1_000}, "exclude": ["visibility"]}
    workspace.apply(model(workspace, placed, monitoring=monitoring))
    workspace.wait_promoted("rain")
    how = replay(workspace, placed, first=FIRST, rows=ROWS, rate=RATE)
    image = workspace.system.images["serving"]
    with replaying(workspace.kubectl, workspace.namespace, image, how, "replay") as running:
        yield Watcher(space=workspace, name="rain", replaying=running, answers=[])


def test_the_change_is_found_at_once_and_the_columns_are_named(
    watcher: Watcher, placed: Placed
) -> None:
    watcher.until("NoDrift", within=60)
    found = watcher.until("DataIntegrity", "CovariateDrift", within=60)
    change = placed.scene.change
    assert change < found.at <= change + FOUND_WITHIN + one_look(ROWS * RATE), told(watcher.answers)
    faulty = watcher.until("DataIntegrity", within=30)
    assert "sea-level pressure" in faulty.message, told(watcher.answers)
    assert faulty.drift is not None
    assert faulty.drift.recommendation == "FixData"


def test_what_is_excluded_is_never_named(watcher: Watcher) -> None:
    assert "visibility" not in told(watcher.answers)

"""A real Prometheus on what the chart selects: every query has an answer, and alerts fire."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import debian
from e2e.cluster.current import current, wish_from
from e2e.cluster.layout import default_layout
from e2e.drift.deploy import model, place, replay
from e2e.drift.replay import Replaying, replaying
from e2e.drift.scenes import NUMBERS, weather
from e2e.kubectl import eventually
from e2e.prometheus import rules
from e2e.prometheus.server import Prometheus, running
from e2e.prometheus.targets import jobs
from e2e.workspace import Workspace

FIRST = 2_500
ROWS, RATE = 10, 20
OBJECTS = rules.rendered()
ASKED = list(rules.asked(OBJECTS))


@pytest.fixture(scope="module")
def load(workspace: Workspace) -> Iterator[Replaying]:
    """The weather, which changes while it is sent, with labels."""
    placed = place(workspace.system, weather())
    monitoring = {"baseline": {"rows": 1_000}}
    workspace.apply(model(workspace, placed, monitoring=monitoring))
    workspace.wait_promoted("rain")
    how = replay(workspace, placed, first=FIRST, rows=ROWS, rate=RATE, label_after=1.0, loop=True)
    image = workspace.system.images["serving"]
    with replaying(workspace.kubectl, workspace.namespace, image, how, "replay") as replayed:
        yield replayed


@pytest.fixture(scope="module")
def prometheus(
    workspace: Workspace, load: Replaying, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    if not debian.is_there():
        pytest.skip("Prometheus comes as a Debian package")
    if not current(default_layout(), wish_from()).is_direct:
        pytest.skip("this machine does not reach the pods")
    found = jobs(workspace.kubectl, rules.monitors(OBJECTS))
    home: Path = tmp_path_factory.mktemp("prometheus")
    with running(home, found, rules.at_once(rules.groups(OBJECTS))) as server:
        yield server


def test_every_endpoint_that_the_monitors_select_answers(prometheus: Prometheus) -> None:
    def scraped() -> bool:
        up = prometheus.query("up")
        found = {each.labels["job"]: each.value for each in up}
        wanted = {
            "driftline-operator-metrics",
            "driftline-router-stats",
            "driftline-model-server-admin",
            "driftline-model-server-monitor",
        }
        assert set(found) == wanted, found
        # Models of other tests come and go.
        return all(any(each.value for each in up if each.labels["job"] == name) for name in wanted)

    eventually("all endpoints are scraped", scraped, within=30)


def test_every_query_of_alerts_and_dashboard_has_an_answer(
    workspace: Workspace, prometheus: Prometheus
) -> None:
    """One inference without a number is sent, since some pictures show faults alone."""
    tensor = {"name": NUMBERS, "shape": [1, 8], "datatype": "FP32", "data": ["NaN"] * 8}
    workspace.system.post(workspace.namespace, "rain", {"inputs": [tensor]})

    def unanswered() -> list[str]:
        return [f"{name}: {query}" for name, query in ASKED if not _is_answered(prometheus, query)]

    def all_answered() -> bool:
        lacking = unanswered()
        assert not lacking, "\n".join(lacking)
        return True

    eventually("every query has an answer", all_answered, within=90, every=2)


def _is_answered(prometheus: Prometheus, query: str) -> bool:
    return any(not math.isnan(each.value) for each in prometheus.query(query))


def test_the_alert_about_the_data_fires(workspace: Workspace, prometheus: Prometheus) -> None:
    def fires() -> bool:
        return any(
            each["alertname"] in {"DriftlineDataIntegrity", "DriftlineDrift"}
            and each["namespace"] == workspace.namespace
            and each["model"] == "rain"
            for each in prometheus.alerts()
        )

    eventually("the alert fires", fires, within=90, every=1)


def test_no_alert_fires_that_has_no_cause_here(
    workspace: Workspace, prometheus: Prometheus
) -> None:
    ours = {
        each["alertname"]
        for each in prometheus.alerts()
        if each.get("namespace") == workspace.namespace
    }
    assert ours <= {"DriftlineDataIntegrity", "DriftlineDrift", "DriftlineConceptDrift"}

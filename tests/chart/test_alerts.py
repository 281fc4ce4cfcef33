"""Every alert fires when it should and only then, by the rule engine of a real Prometheus."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.debian import is_there
from e2e.prometheus import dashboard
from e2e.prometheus.server import promtool
from tests.chart.rendering import rendered
from tests.docs.pages import DOCS

pytestmark = pytest.mark.skipif(not is_there(), reason="Prometheus comes as a Debian package")

Series = Mapping[str, str]

MODEL = 'namespace="shop",model="rain"'
REVISION = f'{MODEL},revision="rain-1"'
POD = 'namespace="shop",driftline_dev_model="rain",pod="rain-1"'

#: What a healthy installation tells: an hour, a value a minute.
HEALTHY: Series = {
    "driftline_leader{pod='a'}": "1x120",
    "driftline_leader{pod='b'}": "0x120",
    "driftline_queue_depth{pod='a'}": "2x120",
    "driftline_reconciles_total{controller='model',outcome='done'}": "0+10x120",
    "driftline_reconciles_total{controller='model',outcome='failed'}": "0+1x120",
    f"envoy_driftline_outcomes{{{MODEL},code='200',flags='-'}}": "0+6000x120",
    f"envoy_driftline_outcomes{{{MODEL},code='503',flags='-'}}": "0+6x120",
    f"envoy_driftline_outcomes{{{MODEL},code='0',flags='DC'}}": "0+900x120",
    f"envoy_driftline_outcomes{{{MODEL},code='400',flags='-'}}": "0+900x120",
    f"driftline_server_worker_restarts_total{{{POD}}}": "0x120",
    f"driftline_drift_detected{{{REVISION},reason='NoDrift'}}": "0x120",
    f"driftline_drift_detected{{{REVISION},reason='InsufficientData'}}": "0x120",
    f"driftline_drift_monitors{{{REVISION}}}": "2x120",
    f"driftline_drift_monitored_pods{{{REVISION}}}": "2x120",
    "driftline_cloudevents_total{outcome='delivered'}": "0+1x120",
    "driftline_cloudevents_total{outcome='retried'}": "0+1x120",
    f"driftline_drift_inferences{{{REVISION},state='seen'}}": "0+6000x120",
    f"driftline_drift_inferences{{{REVISION},state='dropped'}}": "0+6x120",
    f"driftline_drift_inferences{{{REVISION},state='unobserved'}}": "0+6x120",
    f"driftline_monitor_sampling{{{POD}}}": "0.5x120",
}


def drift(reason: str, value: str = "1") -> Series:
    return {f"driftline_drift_detected{{{REVISION},reason='{reason}'}}": f"{value}x120"}


#: What makes each alert fire, on top of a healthy installation.
FIRES: Mapping[str, Series] = {
    "DriftlineOperatorDown": {
        "driftline_leader{pod='a'}": "1x60 _x60",
        "driftline_leader{pod='b'}": "0x60 _x60",
    },
    "DriftlineOperatorBug": {
        "driftline_reconciles_total{controller='model',outcome='bug'}": "0+1x120"
    },
    "DriftlineOperatorBehind": {"driftline_queue_depth{pod='a'}": "101x120"},
    "DriftlineModelErrors": {
        f"envoy_driftline_outcomes{{{MODEL},code='503',flags='-'}}": "0+600x120"
    },
    "DriftlineModelServerRestarts": {f"driftline_server_worker_restarts_total{{{POD}}}": "0+1x120"},
    "DriftlineDrift": drift("CovariateDrift"),
    "DriftlineConceptDrift": drift("ConceptDrift"),
    "DriftlineDataIntegrity": drift("DataIntegrity"),
    "DriftlineTrainingServingSkew": drift("TrainingServingSkew"),
    "DriftlineBaselineMissing": drift("BaselineMissing", "0"),
    "DriftlineEventsUndelivered": {"driftline_cloudevents_total{outcome='dead'}": "0x90 1x30"},
    "DriftlineMonitorsUnreachable": {f"driftline_drift_monitors{{{REVISION}}}": "1x120"},
    "DriftlineTrafficUnobserved": {
        f"driftline_drift_inferences{{{REVISION},state='unobserved'}}": "0+600x120"
    },
    "DriftlineMonitorSampling": {f"driftline_monitor_sampling{{{POD}}}": "0.05x120"},
}


def groups() -> list[dict[str, Any]]:
    (rule,) = [each for each in rendered("monitors") if each["kind"] == "PrometheusRule"]
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups() for rule in group["rules"]}


def judged(directory: Path, series: Series, expected: Mapping[str, list[dict[str, Any]]]) -> None:
    """Have promtool say which alerts fire after 110 minutes."""
    (directory / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name.replace("'", '"'), "values": values}
                    for name, values in series.items()
                ],
                "alert_rule_test": [
                    {"eval_time": "110m", "alertname": name, "exp_alerts": found}
                    for name, found in expected.items()
                ],
            }
        ],
    }
    (directory / "test.yaml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", str(directory / "test.yaml"))


def firing(directory: Path, series: Series) -> set[str]:
    """Return the names of the alerts that fire: those of which promtool does not find none."""
    try:
        judged(directory, series, {name: [] for name in alerts()})
    except AssertionError as error:
        return set(re.findall(r"alertname: (\w+)", str(error)))
    return set()


def test_promtool_finds_nothing_wrong_with_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    assert f"{len(alerts())} rules found" in promtool(
        "check", "rules", str(tmp_path / "rules.yaml")
    )


def test_nothing_fires_where_all_is_well(tmp_path: Path) -> None:
    judged(tmp_path, HEALTHY, {name: [] for name in alerts()})


def test_every_alert_has_what_makes_it_fire() -> None:
    assert set(FIRES) == set(alerts())


@pytest.mark.parametrize("name", FIRES)
def test_the_alert_fires_and_no_other(name: str, tmp_path: Path) -> None:
    assert firing(tmp_path, {**HEALTHY, **FIRES[name]}) == {name}


def test_no_operator_at_all_is_told_too(tmp_path: Path) -> None:
    assert firing(tmp_path, {}) == {"DriftlineOperatorDown"}


@pytest.mark.parametrize("name", FIRES)
def test_the_alert_links_to_a_runbook_that_is_there(name: str) -> None:
    link = alerts()[name]["annotations"]["runbook_url"]
    assert link.startswith("https://docs.example/runbooks/")
    page = DOCS / "runbooks" / f"{link.rstrip('/').rpartition('/')[2]}.md"
    assert name in page.read_text(), f"{page} does not name the alert"


def test_the_dashboard_is_the_one_that_its_table_makes() -> None:
    assert dashboard.FILE.read_text() == dashboard.written(), "python -m e2e.prometheus.dashboard"


def test_the_chart_carries_the_dashboard_whole() -> None:
    (found,) = [
        each for each in rendered("monitors") if each["metadata"]["name"] == "driftline-dashboard"
    ]
    assert json.loads(found["data"]["driftline.json"]) == dashboard.dashboard()
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"

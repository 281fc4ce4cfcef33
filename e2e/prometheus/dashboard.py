"""The Grafana dashboard of the chart, made from a table of what it asks.

    python -m e2e.prometheus.dashboard

writes `charts/driftline/files/dashboard.json`. Everything on it has its query here, and each query
is tested against a real Prometheus.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parents[2] / "charts" / "driftline" / "files" / "dashboard.json"
CHOSEN: Final = 'namespace=~"$namespace",model=~"$model"'
POD: Final = 'namespace=~"$namespace",driftline_dev_model=~"$model"'
GOOD: Final = 'code="200"'
WINDOW: Final = "[$__rate_interval]"
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture.

    Attributes:
        title: what it shows.
        ask: queries in PromQL by legend.
        unit: of Grafana's.
        kind: of Grafana's.
    """

    title: str
    ask: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"


def _outcomes(*more: str) -> str:
    return f"sum by (model) (rate(envoy_driftline_outcomes{{{','.join((CHOSEN, *more))}}}{WINDOW}))"


def _quantile(share: float) -> str:
    series = f"rate(envoy_driftline_latency_bucket{{{CHOSEN}}}{WINDOW})"
    return f"histogram_quantile({share}, sum by (le, model) ({series}))"


def _rate(name: str, by: str, chosen: str = POD) -> str:
    return f"sum by ({by}) (rate({name}{{{chosen}}}{WINDOW}))"


def _now(name: str, by: str) -> str:
    return f"max by ({by}) ({name}{{{CHOSEN}}})"


def _operator(name: str, by: str) -> str:
    return f"sum by ({by}) (rate({name}{WINDOW}))"


ROWS: Final[Mapping[str, Sequence[Panel]]] = {
    "Models": (
        Panel(title="Calls a second", ask={"{{model}}": _outcomes()}, unit="reqps"),
        Panel(
            title="Share of calls answered with 200",
            ask={"{{model}}": f"{_outcomes(GOOD)} / {_outcomes()}"},
            unit="percentunit",
        ),
        Panel(
            title="Time to answer",
            ask={"{{model}} p50": _quantile(0.5), "{{model}} p99": _quantile(0.99)},
            unit="µs",
        ),
    ),
    "Drift": (
        Panel(
            title="Data differ: 1 yes, 0 no",
            ask={
                "{{namespace}}/{{model}} {{reason}}": "max by (namespace, model, reason) "
                f"(driftline_drift_detected{{{CHOSEN}}})"
            },
            kind="state-timeline",
        ),
        Panel(
            title="Evidence, 1 is the bar",
            ask={"{{revision}}": _now("driftline_drift_evidence", "model, revision")},
        ),
        Panel(
            title="Rows that the question was asked of",
            ask={"{{revision}}": _now("driftline_drift_rows", "model, revision")},
        ),
        Panel(
            title="Calls a second: seen, dropped, not observed",
            ask={
                "{{model}} {{state}}": _rate("driftline_drift_inferences", "model, state", CHOSEN)
            },
            unit="reqps",
        ),
        Panel(
            title="Labels and rewards a second",
            ask={
                "{{driftline_dev_model}} {{outcome}}": _rate(
                    "driftline_monitor_feedback_total", "driftline_dev_model, outcome"
                )
            },
        ),
        Panel(
            title="Faults in inputs a second",
            ask={
                "{{driftline_dev_model}} {{kind}}": _rate(
                    "driftline_monitor_faults_total", "driftline_dev_model, kind"
                )
            },
        ),
    ),
    "Monitors": (
        Panel(
            title="Share of inferences that are counted",
            ask={"{{pod}}": f"driftline_monitor_sampling{{{POD}}}"},
            unit="percentunit",
        ),
        Panel(
            title="Inferences seen a second",
            ask={"{{pod}}": _rate("driftline_monitor_seen_total", "pod")},
        ),
        Panel(
            title="Monitors: pods that have one, and those that answered",
            ask={
                "{{model}} pods": _now("driftline_drift_monitored_pods", "model"),
                "{{model}} answered": _now("driftline_drift_monitors", "model"),
            },
        ),
    ),
    "Operator": (
        Panel(
            title="Leaders, and keys that wait",
            ask={"leaders": "sum(driftline_leader)", "keys": "max(driftline_queue_depth)"},
        ),
        Panel(
            title="Reconciles a second",
            ask={
                "{{controller}} {{outcome}}": _operator(
                    "driftline_reconciles_total", "controller, outcome"
                )
            },
        ),
        Panel(
            title="Writes a second",
            ask={"{{kind}} {{verb}}": _operator("driftline_writes_total", "kind, verb")},
        ),
        Panel(
            title="Polls for the sake of drift a second",
            ask={"{{whom}} {{outcome}}": _operator("driftline_drift_polls_total", "whom, outcome")},
        ),
        Panel(
            title="Events to the webhook a second, by what became of them",
            ask={"{{outcome}}": _operator("driftline_cloudevents_total", "outcome")},
        ),
    ),
}


def queries(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield title and query of everything that a dashboard asks."""
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    return {
        "uid": "driftline",
        "title": "Driftline",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source(), _variable("namespace"), _variable("model")]},
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for row, panels in ROWS.items():
        number += 1
        place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row, "gridPos": place, "panels": []}
        y += 1
        for at, panel in enumerate(panels):
            number += 1
            across = at * _WIDTH % _COLUMNS
            place = {"x": across, "y": y, "w": _WIDTH, "h": _HEIGHT}
            y += _HEIGHT if across + _WIDTH == _COLUMNS else 0
            yield _panel(panel, number, place)


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "gridPos": dict(place),
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": query, "legendFormat": legend}
            for at, (legend, query) in enumerate(panel.ask.items())
        ],
    }


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus"}


def _variable(label: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "query": f"label_values(driftline_drift_detected, {label})",
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "current": {"text": "All", "value": "$__all"},
    }


def written() -> str:
    """Return the file's text."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(written())

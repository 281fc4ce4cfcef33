"""Every metric is in the reference, under the name that a scrape shows."""

import re

from prometheus_client import generate_latest

from driftline_operator.router.outcomes import LATENCY, OUTCOMES, PREFIX
from driftline_operator.shell.metrics import Metrics
from tests.docs.pages import DOCS

PAGE = (DOCS / "reference" / "metrics.md").read_text()
NAMED = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))


def scraped() -> set[str]:
    metrics = Metrics()
    metrics.reconciled("model", "done", 0.1)
    metrics.wrote("Service", "apply")
    metrics.repaired(1)
    metrics.watch_state(leads=lambda: True, queued=lambda: 0, objects=lambda: {"Model": 1})
    text = generate_latest(metrics.registry).decode()
    families = re.findall(r"^# TYPE (driftline_\w+) \w+$", text, re.MULTILINE)
    return {name for name in families if not name.endswith("_created")}


def test_every_metric_of_the_operator_is_documented_and_no_other() -> None:
    assert {name for name in NAMED if name.startswith("driftline_")} == scraped()


def test_the_routers_series_are_documented() -> None:
    assert {f"envoy_{PREFIX}_{name}" for name in (OUTCOMES, LATENCY)} <= NAMED

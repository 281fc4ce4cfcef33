"""Every metric is in the reference, under the name that a scrape shows."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from driftline_operator.router.outcomes import LATENCY, OUTCOMES, PREFIX
from driftline_operator.shell.drift_metrics import DriftMetrics
from driftline_operator.shell.metrics import Metrics
from driftline_serving.monitor.config import Credentials
from driftline_serving.monitor.exposition import PREFIX as PREFIX_OF_MONITORS
from driftline_serving.monitor.exposition import Exposition as ExpositionOfMonitors
from driftline_serving.monitor.model import Model, Place
from driftline_serving.monitor.monitor import Identity, Monitor
from driftline_serving.server.board import Board
from driftline_serving.server.crew import Crew
from driftline_serving.server.exposition import PREFIX as PREFIX_OF_SERVERS
from driftline_serving.server.exposition import Exposition
from driftline_serving.server.measures import CODES, PLACES
from tests.docs.pages import DOCS
from tests.serving.monitor.frames import loans

PAGE = (DOCS / "reference" / "metrics.md").read_text()
NAMED = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))


def scraped() -> set[str]:
    metrics = Metrics()
    metrics.reconciled("model", "done", 0.1)
    metrics.wrote("Service", "apply")
    metrics.repaired(1)
    metrics.watch_state(leads=lambda: True, queued=lambda: 0, objects=lambda: {"Model": 1})
    drift = DriftMetrics(metrics.registry)
    drift.polled("monitor", "ok")
    drift.kept("done")
    drift.watch(lambda: (), lambda: 0)
    text = generate_latest(metrics.registry).decode()
    families = re.findall(r"^# TYPE (driftline_\w+) \w+$", text, re.MULTILINE)
    return {name for name in families if not name.endswith("_created")}


def test_every_metric_of_the_operator_is_documented_and_no_other() -> None:
    ours = {name for name in NAMED if name.startswith("driftline_")}
    others = (PREFIX_OF_SERVERS, PREFIX_OF_MONITORS)
    assert {name for name in ours if not name.startswith(others)} == scraped()


def test_every_metric_of_the_model_servers_is_documented_and_no_other() -> None:
    crew = Crew(Board.create(1, PLACES), lambda _number, _late: 0)
    registry = CollectorRegistry()
    registry.register(Exposition(crew, {"model": "m"}))
    text = generate_latest(registry).decode()
    families = set(re.findall(r"^# TYPE (\w+) \w+$", text, re.MULTILINE))
    assert {name for name in NAMED if name.startswith(PREFIX_OF_SERVERS)} == families
    codes = {code for every in CODES.values() for code in every.values()}
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_every_metric_of_the_monitors_is_documented_and_no_other(tmp_path: Path) -> None:
    place = Place(name="m", directory=tmp_path, signature=loans().model_dump_json(), server="")
    credentials = Credentials(model_dir=tmp_path, environ={})
    monitor = Monitor(Identity(model="m"), Model(place), credentials)
    registry = CollectorRegistry()
    registry.register(ExpositionOfMonitors(monitor, lambda: 0))
    text = generate_latest(registry).decode()
    families = set(re.findall(r"^# TYPE (\w+) \w+$", text, re.MULTILINE))
    assert {name for name in NAMED if name.startswith(PREFIX_OF_MONITORS)} == families


def test_the_routers_series_are_documented() -> None:
    assert {f"envoy_{PREFIX}_{name}" for name in (OUTCOMES, LATENCY)} <= NAMED

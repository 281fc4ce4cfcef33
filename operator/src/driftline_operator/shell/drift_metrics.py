"""What the operator tells of drift: series of Models that are there, and nobody else's."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from driftline_api.conditions import DRIFTED
from driftline_operator.drift.findings import DriftFindings, RevisionFindings

#: Revisions of one Model that have series: those with the newest names.
MOST_REVISIONS: Final = 4

Known = Callable[[], Iterable[tuple[str, str, DriftFindings]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gauge:
    name: str
    text: str
    read: Callable[[RevisionFindings], float]
    labels: tuple[tuple[str, str], ...] = ()


_LABELS: Final = ("namespace", "model", "revision")


class DriftMetrics:
    """Counters of the loop, and gauges that are read from what it found."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._polls = Counter(
            "driftline_drift_polls",
            "Requests to monitors and to routers for the sake of drift, by how they ended.",
            ["whom", "outcome"],
            registry=registry,
        )
        self._kept = Counter(
            "driftline_drift_writes",
            "Writes of a Model's drift state, by how they ended.",
            ["outcome"],
            registry=registry,
        )
        self._events = Counter(
            "driftline_cloudevents",
            "CloudEvents, by what became of an attempt: `dead` are given up for good.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("delivered", "retried", "dead"):
            self._events.labels(outcome)

    def polled(self, whom: str, outcome: str) -> None:
        """Take note of a request to a `monitor` or a `router`."""
        self._polls.labels(whom, outcome).inc()

    def kept(self, outcome: str) -> None:
        """Take note of a write."""
        self._kept.labels(outcome).inc()

    def event(self, outcome: str) -> None:
        """Take note of an attempt to deliver an event."""
        self._events.labels(outcome).inc()

    def watch(self, known: Known, waiting: Callable[[], int]) -> None:
        """Read the rest at each scrape, from where it is known."""
        text = "CloudEvents that are on their way."
        gauge = Gauge("driftline_cloudevents_waiting", text, registry=self._registry)
        gauge.set_function(lambda: float(waiting()))
        self._registry.register(_Findings(known))


_GAUGES: Final[tuple[_Gauge, ...]] = (
    _Gauge(
        name="driftline_drift_evidence",
        text="The strongest evidence that data differ, in units of the bar: from 1 an alarm.",
        read=lambda found: found.evidence,
    ),
    _Gauge(
        name="driftline_drift_rows",
        text="Rows that the present question has been asked of.",
        read=lambda found: float(found.rows),
    ),
    _Gauge(
        name="driftline_drift_monitors",
        text="Monitors that answered the last time they were asked.",
        read=lambda found: float(found.observation.monitors),
    ),
    _Gauge(
        name="driftline_drift_monitored_pods",
        text="Pods that have a monitor.",
        read=lambda found: float(found.observation.pods),
    ),
    _Gauge(
        name="driftline_drift_inferences",
        text="Inferences since the revision began, by who tells of them.",
        read=lambda found: float(found.observation.seen),
        labels=(("state", "seen"),),
    ),
    _Gauge(
        name="driftline_drift_inferences",
        text="",
        read=lambda found: float(found.observation.dropped),
        labels=(("state", "dropped"),),
    ),
    _Gauge(
        name="driftline_drift_inferences",
        text="",
        read=lambda found: float(found.observation.unobserved),
        labels=(("state", "unobserved"),),
    ),
)


class _Findings(Collector):
    def __init__(self, known: Known) -> None:
        self._known = known

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name no series: there are none before a Model is looked at."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families."""
        known = sorted(self._known(), key=lambda each: each[:2])
        found = [
            ((namespace, model, name), drift.revisions[name])
            for namespace, model, drift in known
            for name in sorted(drift.revisions)[-MOST_REVISIONS:]
        ]
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in _GAUGES:
            family = families.setdefault(gauge.name, _family(gauge))
            for where, revision in found:
                values = (*where, *(value for _, value in gauge.labels))
                family.add_metric(values, gauge.read(revision))
        yield from families.values()
        yield _reasons(found)
        yield _looked(known)


def _family(gauge: _Gauge) -> GaugeMetricFamily:
    names = (*_LABELS, *(name for name, _ in gauge.labels))
    return GaugeMetricFamily(gauge.name, gauge.text, labels=names)


def _reasons(
    found: Sequence[tuple[tuple[str, str, str], RevisionFindings]],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "driftline_drift_detected",
        "1 where the data of a revision differ, by the reason of the condition; else 0.",
        labels=(*_LABELS, "reason"),
    )
    for where, revision in found:
        family.add_metric((*where, revision.reason.value), float(revision.reason in DRIFTED))
    return family


def _looked(known: Sequence[tuple[str, str, DriftFindings]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "driftline_drift_looked_timestamp_seconds",
        "When a Model's monitors were last asked.",
        labels=_LABELS[:2],
    )
    for namespace, model, drift in known:
        family.add_metric((namespace, model), drift.at.timestamp())
    return family

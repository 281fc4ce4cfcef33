"""What the operator tells about itself."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from driftline_operator.core.reconciler import Outcome

_CONTROLLERS: Final = ("model", "router")
_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """All counters and gauges, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._reconciles = Counter(
            "driftline_reconciles",
            "Reconciles, by how they ended.",
            ["controller", "outcome"],
            registry=self.registry,
        )
        for controller in _CONTROLLERS:  # a series that begins with 1 shows no increase
            self._reconciles.labels(controller, "bug")
        self._seconds = Histogram(
            "driftline_reconcile_seconds",
            "How long a reconcile took, its requests included.",
            ["controller"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._writes = Counter(
            "driftline_writes",
            "Requests that changed something at the API server.",
            ["kind", "verb"],
            registry=self.registry,
        )
        self._repairs = Counter(
            "driftline_resync_repairs",
            "Changes that a watch had missed and a resync found.",
            registry=self.registry,
        )

    def reconciled(self, controller: str, outcome: Outcome, seconds: float) -> None:
        """Take note of a reconcile and how long it took."""
        self._reconciles.labels(controller, outcome).inc()
        self._seconds.labels(controller).observe(seconds)

    def wrote(self, kind: str, verb: str) -> None:
        """Take note of a write."""
        self._writes.labels(kind, verb).inc()

    def repaired(self, changes: int) -> None:
        """Take note of what a resync found."""
        self._repairs.inc(changes)

    def watch_state(
        self,
        *,
        leads: Callable[[], bool],
        queued: Callable[[], int],
        objects: Callable[[], Mapping[str, int]],
    ) -> None:
        """Read the rest at each scrape, from where it is known."""
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("driftline_leader", "1 on the replica that leads.", lambda: float(leads())),
            ("driftline_queue_depth", "Keys that wait for a worker.", lambda: float(queued())),
        )
        for name, text, read in gauges:
            Gauge(name, text, registry=self.registry).set_function(read)
        self.registry.register(_Objects(objects))


class _Objects(Collector):
    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("driftline_store_objects", "Objects known.", labels=["kind"])
        for kind, count in sorted(self._counts().items()):
            family.add_metric([kind], count)
        yield family

"""The figures of a monitor, by the names that a scrape shows. None is by feature, arm or client."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from driftline_serving.monitor.monitor import Monitor
from driftline_serving.server.memory import resident_bytes

PREFIX: Final = "driftline_monitor"
_TOTALS: Final = {
    "offered": "Inferences that the servers' workers had.",
    "seen": "Inferences that came.",
    "dropped": "Inferences that the servers gave up, because the monitor was slow or away.",
    "lost": "Inferences that were sent and never came, because a connection broke.",
    "counted": "Inferences whose rows were counted.",
    "rows": "Rows that were counted.",
    "failed": "Inferences with a status of 5xx.",
    "rejected": "Inferences with a status of 4xx.",
}


class Exposition(Collector):
    """Reads the monitor at each scrape.

    Args:
        monitor: whose figures these are.
        connections: tells how many workers are connected.
    """

    def __init__(self, monitor: Monitor, connections: Callable[[], int]) -> None:
        self._monitor = monitor
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        summary = self._monitor.summary()
        about = InfoMetricFamily(PREFIX, "What is watched, and by what configuration.")
        about.add_metric(
            [],
            {
                "model": summary.model,
                "revision": summary.revision,
                "config": summary.config,
                "baseline": summary.baseline.source,
            },
        )
        yield about
        for name, text in _TOTALS.items():
            yield CounterMetricFamily(f"{PREFIX}_{name}", text, getattr(summary.totals, name))
        kinds: Counter[str] = Counter()
        for of_name in summary.faults.counts.values():
            kinds.update(of_name)
        faults = "Faults of inputs and outputs in inferences, by kind."
        yield _labelled("faults", faults, "kind", kinds)
        items = "Labels and rewards that came, by what became of them."
        yield _labelled("feedback", items, "outcome", summary.feedback.outcomes)
        yield from self._now(summary.sampling, summary.baseline.sampled)

    def _now(self, sampling: float, sampled: int) -> Iterator[Metric]:
        share = "Share of inferences whose rows are counted."
        yield GaugeMetricFamily(f"{PREFIX}_sampling", share, sampling)
        rows = "Rows of the sample that is kept until there is a baseline."
        yield GaugeMetricFamily(f"{PREFIX}_sampled_rows", rows, sampled)
        workers = "Workers of the model server that are connected."
        yield GaugeMetricFamily(f"{PREFIX}_connections", workers, self._connections())
        memory = "Bytes of memory that the process takes."
        yield GaugeMetricFamily(f"{PREFIX}_memory_bytes", memory, resident_bytes())


def _labelled(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family

"""The figures of all workers, by the names that a scrape shows."""

from collections.abc import Iterator
from math import inf
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from driftline_serving.server import measures
from driftline_serving.server.crew import Crew
from driftline_serving.server.measures import COUNTERS, Distribution

PREFIX: Final = "driftline_server"


class Exposition(Collector):
    """Adds up, at each scrape.

    Args:
        crew: The workers.
        about: Labels of `driftline_server_info`.
    """

    def __init__(self, crew: Crew, about: dict[str, str]) -> None:
        self._crew = crew
        self._about = about

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        info = InfoMetricFamily(PREFIX, "What is served, and by what.")
        info.add_metric([], self._about)
        yield info
        yield from self._workers()
        yield from self._now()
        yield from self._counted()

    def _workers(self) -> Iterator[Metric]:
        crew = self._crew
        yield _gauge("workers", "Workers that should be there.", len(crew.desks))
        yield _gauge("workers_ready", "Workers that are ready.", crew.ready)
        restarts = _name("worker_restarts")
        yield CounterMetricFamily(restarts, "Workers that were started again.", crew.restarts)

    def _now(self) -> Iterator[Metric]:
        """Yield what each worker says of this moment."""
        held, waiting, loading = (
            [desk.counters[place] for desk in self._crew.desks]
            for place in (measures.IN_FLIGHT, measures.WAITING, measures.LOAD_SECONDS)
        )
        yield _gauge("in_flight", "Requests to infer that are not answered yet.", sum(held))
        yield _gauge("queue_length", "Requests among them that wait for a run.", sum(waiting))
        took = "Seconds from the start of loading until the model could answer, the longest."
        yield _gauge("load_seconds", took, max(loading))

    def _counted(self) -> Iterator[Metric]:
        """Yield what all workers have counted, those that are no more included."""
        desks = [desk.counters[:COUNTERS] for desk in self._crew.desks]
        totals = [sum(counts) for counts in zip(self._crew.retired, *desks, strict=True)]
        requests = CounterMetricFamily(
            _name("requests"), "Requests to infer, by what they were answered.",
            labels=["protocol", "code"],
        )  # fmt: skip
        for label, place in measures.REQUESTS.items():
            requests.add_metric(label, totals[place])
        yield requests
        seconds = HistogramMetricFamily(
            _name("request_seconds"), "From the whole request to its answer.", labels=["protocol"]
        )
        for protocol, lies in measures.SECONDS.items():
            _add(seconds, [protocol], lies, totals)
        yield seconds
        for name, text, lies in (
            ("batch_requests", "Requests in one run of the model.", measures.RUN_REQUESTS),
            ("batch_rows", "Rows in one run of the model.", measures.RUN_ROWS),
        ):
            family = HistogramMetricFamily(_name(name), text)
            _add(family, [], lies, totals)
            yield family
        dropped = "Inferences that the monitor was not told of, because it was slow or dead."
        yield CounterMetricFamily(_name("tap_dropped"), dropped, totals[measures.TAP_DROPPED])


def _add(
    family: HistogramMetricFamily, labels: list[str], lies: Distribution, totals: list[float]
) -> None:
    seen = 0.0
    buckets = []
    for bound, place in zip((*lies.bounds, inf), lies.buckets, strict=True):
        seen += totals[place]
        buckets.append(("+Inf" if bound == inf else repr(bound), seen))
    family.add_metric(labels, buckets, totals[lies.sum])


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(_name(name), text, value)


def _name(name: str) -> str:
    return f"{PREFIX}_{name}"

"""Figures that are told beside a verdict, and decide nothing: latency, estimates, coverage."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from driftline_stats.histogram import LatencyHistogram
from driftline_stats.risk.cbpe import Cbpe, Metric
from driftline_stats.state import State
from driftline_stats.watch.look import Look
from driftline_stats.watch.losses import Mean
from driftline_stats.watch.plan import WatchPlan

#: What is told "now" is of about so many inferences.
RECENT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(State):
    """What is known of latency, estimated accuracy and coverage, at first and of late.

    Attributes:
        latency_first: of the first inferences, as many as the plan's first rows.
        latency: of late.
        accuracy_first: expected right answers of the first rows, where scores are calibrated.
        accuracy: of late.
        counted: inferences of late, and those of them whose rows were counted.
    """

    KIND: ClassVar[str] = "watch-figures"

    latency_first: LatencyHistogram | None = None
    latency: LatencyHistogram | None = None
    accuracy_first: Mean = field(default_factory=Mean)
    accuracy: Mean = field(default_factory=Mean)
    counted: Mean = field(default_factory=Mean)

    def update(self, plan: WatchPlan, look: Look) -> Self:
        """Return them after a look."""
        after = self
        if look.latency is not None and look.latency.total:
            after = after._timed(look.latency, plan.first)
        if look.calibration is not None and look.calibration.rows:
            after = after._estimated(look.calibration, plan.first)  # noqa: SLF001 - its own
        if look.inferences:
            counted = min(look.counted, look.inferences)
            after = replace(after, counted=after.counted.add(look.inferences, counted, RECENT))
        return after

    def _timed(self, latency: LatencyHistogram, first: int) -> Self:
        reference, recent = self.latency_first, self.latency
        if reference is None or reference.total < first:
            reference = latency if reference is None else reference + latency
        recent = latency if recent is None else recent + latency
        if recent.total > RECENT:
            recent = _halved(recent)
        return replace(self, latency_first=reference, latency=recent)

    def _estimated(self, seen: Cbpe, first: int) -> Self:
        right = seen.value(Metric.ACCURACY) * seen.rows
        reference = self.accuracy_first
        if reference.rows < first:
            reference = reference.add(seen.rows, right)
        return replace(
            self,
            accuracy_first=reference,
            accuracy=self.accuracy.add(seen.rows, right, RECENT),
        )


def _halved(histogram: LatencyHistogram) -> LatencyHistogram:
    counts = (histogram.counts + 1) // 2
    return replace(histogram, counts=counts, missing=histogram.missing // 2)

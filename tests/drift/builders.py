"""Small profiles, counts and summaries."""

import json
import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from driftline_api.monitor import (
    BaselineState,
    DriftCounts,
    Feedback,
    LabelCohort,
    MonitorConfig,
    Packed,
    SlotCounts,
    Summary,
    Totals,
)
from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.histogram import LatencyHistogram

NOW = 1_800_000_000.0
USUAL_CONFIG = MonitorConfig().digest
FEATURES = (Feature(name="age"), Feature(name="pay"))


def some_rows(number: int, seed: int = 0, shift: float = 0.0) -> Rows:
    """Return rows of two features, of which the first may have moved."""
    random = np.random.default_rng(seed)
    values = random.normal((shift, 0.0), size=(number, 2))
    return Rows(numeric=values.astype(np.float32))


@cache
def a_profile(rows: int = 10_000) -> Profile:
    return build(FEATURES, some_rows(rows, seed=7))


def counted(number: int, seed: int = 0, shift: float = 0.0) -> Counts:
    return Kernel(a_profile().plan).count(some_rows(number, seed, shift))


def drift_counts(counts: Counts) -> DriftCounts:
    raw = counts.values.astype("<i8").tobytes()
    return DriftCounts(plan=counts.plan, rows=counts.rows, values=Packed.of(raw))


def a_slot(
    slot: int, *, seen: int = 1, epoch: int | None = 1, us: Sequence[int] = ()
) -> SlotCounts:
    latency = json.loads(LatencyHistogram.of(us).to_json()) if us else None
    return SlotCounts(epoch=epoch, arm="stable", slot=slot, seen=seen, latency=latency)


def a_cohort(hour: int, rows: int, labelled: int = 0, wrong: int = 0) -> LabelCohort:
    losses = [(0, labelled - wrong), (100, wrong)] if labelled else []
    return LabelCohort(
        hour=hour,
        epoch=1,
        arm="stable",
        rows=rows,
        labelled=labelled,
        losses=[each for each in losses if each[1]],
        delays=[labelled] if labelled else [],
    )


def a_summary(seen: int = 0, counts: Counts | None = None, **given: Any) -> Summary:
    """Return what a process says that was told of `seen` inferences of one row each."""
    totals = Totals(offered=seen, seen=seen, counted=seen, rows=seen)
    fields: dict[str, Any] = {
        "model": "m",
        "revision": "m-1",
        "pod": "pod-1",
        "process": "p1",
        "started": NOW - 100,
        "now": NOW,
        "config": USUAL_CONFIG,
        "totals": totals,
        "drift": drift_counts(counts) if counts else None,
        "baseline": BaselineState(source="profile"),
    }
    return Summary(**{**fields, **given})


def labels(*cohorts: LabelCohort, **outcomes: int) -> Feedback:
    return Feedback(outcomes=outcomes, cohorts=list(cohorts))


def a_process() -> str:
    return uuid.uuid4().hex

"""Findings in words and figures."""

import math
from typing import TYPE_CHECKING

import numpy as np

from driftline_stats.histogram import LatencyHistogram
from driftline_stats.risk.coverage import AGES
from driftline_stats.watch.figures import Figures
from driftline_stats.watch.findings import Latency, Performance, Question, Reason
from driftline_stats.watch.losses import Losses, Mean

if TYPE_CHECKING:
    from driftline_stats.watch.verdict import Seen

#: Fewer counted inferences than this share are worth a word.
LITTLE_COVERAGE = 0.9
#: So many labels fewer than predictions are worth a word.
LITTLE_LABELLED = 0.5
#: What moved is named in messages, so many.
NAMED = 3


def performance_of(losses: Losses, figures: Figures) -> Performance | None:
    """Return how well the model does; None where nothing tells."""
    if not (losses.labelled or losses.rewards.rows or figures.accuracy.rows):
        return None
    labels = min(losses.labelled, losses.predicted) if losses.predicted else losses.labelled
    coverage = labels / losses.predicted if losses.predicted else None
    delay = _median_delay(losses)
    return Performance(
        loss=_of(losses.recent),
        baseline_loss=_of(losses.reference),
        estimated_loss=_of(figures.accuracy, complement=True),
        estimated_before=_of(figures.accuracy_first, complement=True),
        labels=losses.labelled,
        coverage=coverage,
        delay_seconds=delay,
        reward=_of(losses.rewards),
        baseline_reward=_of(losses.rewards_first),
        risen=losses.since is not None,
        text=_labels_text(losses, coverage, delay),
    )


def latency_of(figures: Figures) -> Latency | None:
    """Return how long answers take; None where none was measured."""
    first, now = figures.latency_first, figures.latency
    if first is None or now is None:
        return None
    ends = [_quantile(each, level) for each in (now, first) for level in (0.5, 0.99)]
    return Latency(median=ends[0], p99=ends[1], median_first=ends[2], p99_first=ends[3])


def message_of(seen: "Seen", reason: Reason) -> str:
    """Return what was found, with the numbers."""
    return _MESSAGES[reason](seen)


def seconds_since(seen: "Seen", reason: Reason) -> float | None:
    """Return seconds since the change began, about; None where there is none."""
    condition = seen.drifting.condition
    if reason is Reason.DATA_INTEGRITY and seen.faults.raised and not seen.faulty:
        return seen.faults.since
    if condition is None:
        return None
    return seen.drifting.seen.seconds - condition.since.seconds


def warnings_of(seen: "Seen") -> tuple[str, ...]:
    """Return what makes the answer less sure than it states."""
    drifting, found = seen.drifting, list[str]()
    dependent = drifting.inflation.dependent(drifting.tables(seen.plan))
    if dependent:
        name, deff = dependent[0]
        found.append(
            f"Rows depend on those before ({name}: variance {deff:.1f} times that of independent "
            f"rows; {len(dependent)} such channels): evidence builds up slowly."
        )
    counted = seen.figures.counted
    if counted.rows and counted.value < LITTLE_COVERAGE:
        found.append(f"Only {counted.value:.0%} of inferences were counted of late.")
    losses = seen.losses
    if (
        losses.labelled
        and losses.predicted
        and losses.labelled < LITTLE_LABELLED * losses.predicted
    ):
        found.append(
            f"Labels came for {losses.labelled / losses.predicted:.0%} of predictions: loss is "
            "that of these, and may be another for the rest."
        )
    return tuple(found)


def _no_drift(seen: "Seen") -> str:
    against = "the first live rows" if seen.drifting.live or not seen.plan.trained else "training"
    if seen.question is Question.SKEW:
        used, first = seen.drifting.first.used, seen.plan.first
        return f"No difference from {against} in {used:,} of the first {first:,} rows."
    return f"No drift from {against} in {seen.drifting.used:,} rows."


def _few(seen: "Seen") -> str:
    drifting = seen.drifting
    if seen.waits_for_accepted:
        rows, first = drifting.first.rows, seen.plan.first
        return f"{rows:,} of the {first:,} first rows that were accepted are counted."
    if drifting.used:
        return f"{drifting.used:,} rows say too little; 1,000 are needed."
    return (
        f"{drifting.seen.rows:,} rows, of which none is evidence: how much rows depend on each "
        "other is found out first, in 20 looks of 32 rows or more."
    )


def _integrity(seen: "Seen") -> str:
    condition = seen.drifting.condition
    said = [seen.faults.message] if seen.faults.raised else []
    said += [
        each.message for each in (condition.moves if condition else ()) if each.name in seen.faulty
    ]
    return f"Inputs are faulty: {_joined(said)}."


def _concept(seen: "Seen") -> str:
    now, before = seen.losses.recent.value, seen.losses.reference.value
    performance = seen.performance
    text = f" ({performance.text})" if performance else ""
    moved = _moved(seen)
    also = f" Inputs moved too: {moved}." if moved else ""
    return f"Labels show more loss: {now:.3g} of late, {before:.3g} at first{text}.{also}"


def _skew(seen: "Seen") -> str:
    return f"Live rows do not look like training data: {_moved(seen)}."


def _covariate(seen: "Seen") -> str:
    return f"Inputs moved: {_moved(seen)}.{_no_loss(seen)}"


def _prediction(seen: "Seen") -> str:
    return f"Predictions moved, and no input did: {_moved(seen)}.{_no_loss(seen)}"


_MESSAGES = {
    Reason.NO_DRIFT: _no_drift,
    Reason.INSUFFICIENT_DATA: _few,
    Reason.DATA_INTEGRITY: _integrity,
    Reason.CONCEPT_DRIFT: _concept,
    Reason.TRAINING_SERVING_SKEW: _skew,
    Reason.COVARIATE_DRIFT: _covariate,
    Reason.PREDICTION_DRIFT: _prediction,
}


def _moved(seen: "Seen") -> str:
    condition = seen.drifting.condition
    return _joined([each.message for each in (condition.moves if condition else ())])


def _joined(messages: list[str]) -> str:
    more = len(messages) - NAMED
    return "; ".join(messages[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def _no_loss(seen: "Seen") -> str:
    performance = seen.performance
    if performance is None:
        return ""
    if performance.loss is not None and performance.baseline_loss is not None:
        word = "no more" if not performance.risen else "more"
        return (
            f" Labels show {word} loss than at first: {performance.loss:.3g} of late, "
            f"{performance.baseline_loss:.3g} then."
        )
    if performance.estimated_loss is not None and performance.estimated_before is not None:
        return (
            f" Estimated loss: {performance.estimated_loss:.3g} of late, "
            f"{performance.estimated_before:.3g} at first."
        )
    return ""


def _of(mean: Mean, *, complement: bool = False) -> float | None:
    if not mean.rows or math.isnan(mean.value):
        return None
    return 1 - mean.value if complement else mean.value


def _median_delay(losses: Losses) -> float | None:
    total = sum(losses.delays)
    if not total:
        return None
    at = int(np.searchsorted(np.cumsum(losses.delays), 0.5 * total))
    return AGES[min(at, len(AGES) - 1)]


def _labels_text(losses: Losses, coverage: float | None, delay: float | None) -> str:
    if not losses.labelled:
        return "no labels came"
    share = "" if coverage is None else f" for {coverage:.0%} of predictions"
    late = "" if delay is None else f", half of them within {_duration(delay)}"
    return f"{losses.labelled:,} labels{share}{late}"


def _duration(seconds: float) -> str:
    for unit, word in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {word}"
    return f"{seconds:.3g} s"


def _quantile(histogram: LatencyHistogram, level: float) -> int:
    return histogram.quantile(level) if histogram.total else 0

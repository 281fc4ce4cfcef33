"""From what was seen to what is found: named rules in order, the first that speaks decides."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from driftline_stats.drift.kind import Action, Change, Kind, Observed, judged_by
from driftline_stats.drift.report import DriftReport
from driftline_stats.watch import told
from driftline_stats.watch.advice import advice_for
from driftline_stats.watch.drifting import Drifting
from driftline_stats.watch.faults import FaultWatch
from driftline_stats.watch.figures import Figures
from driftline_stats.watch.findings import Findings, Performance, Question, Reason, Recommendation
from driftline_stats.watch.losses import Losses
from driftline_stats.watch.plan import WatchPlan

#: Fewer rows of evidence say nothing yet.
FEWEST_ROWS = 1_000
#: By so much the estimated loss must have grown to be called a loss.
LOSS_THAT_COUNTS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that a watch has seen, and its plan."""

    plan: WatchPlan
    drifting: Drifting
    faults: FaultWatch
    losses: Losses
    figures: Figures
    previous: Findings | None = None

    @property
    def performance(self) -> Performance | None:
        """How well the model does."""
        return told.performance_of(self.losses, self.figures)

    @property
    def question(self) -> Question:
        """What is asked."""
        drifting, condition = self.drifting, self.drifting.condition
        if condition is not None:
            return Question.SKEW if condition.skew else Question.DRIFT
        asked = self.plan.trained and not drifting.live and not drifting.first.decided(self.plan)
        return Question.SKEW if asked else Question.DRIFT

    @property
    def faulty(self) -> tuple[str, ...]:
        """Names of channels whose values are faulty."""
        moves = self.drifting.condition.moves if self.drifting.condition else ()
        return tuple(each.name for each in moves if each.change == Kind.INTEGRITY)

    @property
    def waits_for_accepted(self) -> bool:
        """Whether accepted rows are to become the reference, and more of them are to come."""
        return self.plan.accepted and self.plan.trained and not self.drifting.live

    @property
    def loss_rose(self) -> bool:
        """Whether loss is measured or estimated to be larger than it was."""
        return self.losses.since is not None or self.estimate_fell

    @property
    def estimate_fell(self) -> bool:
        """Whether fewer right answers are expected than of the first rows."""
        first, now = self.figures.accuracy_first, self.figures.accuracy
        return first.rows > 0 and first.value - now.value > LOSS_THAT_COUNTS

    @property
    def asks(self) -> Action:
        """What the kinds of change ask for (`drift.kind`)."""
        condition = self.drifting.condition
        changes = tuple(
            Change(kind=Kind(each.change), channel=each.name, message=each.message)
            for each in (condition.moves if condition else ())
        )
        observed = Observed(
            report=DriftReport(rows=self.drifting.seen.rows, channels=(), dependent=()),
            material=condition is not None and condition.material,
            with_release=self._came_with_release,
            loss_rose=self.loss_rose,
        )
        return judged_by(observed, changes).action

    @property
    def _came_with_release(self) -> bool:
        """Whether faults are there from the first rows on, and the revision before had none."""
        condition, before = self.drifting.condition, self.previous
        if condition is None or not condition.skew or before is None:
            return False
        return not any(each.change == Kind.INTEGRITY for each in before.features)


def has_faults(seen: Seen) -> Reason | None:
    """Speak where inputs are faulty: nothing else can be judged of them."""
    return Reason.DATA_INTEGRITY if seen.faults.raised or seen.faulty else None


def labels_got_worse(seen: Seen) -> Reason | None:
    """Speak where labels show more risk than the first ones did."""
    return Reason.CONCEPT_DRIFT if seen.losses.since is not None else None


def accepted_rows_are_to_come(seen: Seen) -> Reason | None:
    """Speak where somebody accepted the first rows before all of them were there."""
    return Reason.INSUFFICIENT_DATA if seen.waits_for_accepted else None


def is_skewed(seen: Seen) -> Reason | None:
    """Speak where live rows never looked like training data."""
    condition = seen.drifting.condition
    return Reason.TRAINING_SERVING_SKEW if condition is not None and condition.skew else None


def inputs_moved(seen: Seen) -> Reason | None:
    """Speak where inputs moved, predictions or not: those follow."""
    condition = seen.drifting.condition
    return Reason.COVARIATE_DRIFT if condition is not None and condition.inputs else None


def predictions_moved(seen: Seen) -> Reason | None:
    """Speak where predictions alone moved."""
    return Reason.PREDICTION_DRIFT if seen.drifting.condition is not None else None


def rows_are_few(seen: Seen) -> Reason | None:
    """Speak where nothing could have been found yet."""
    return Reason.INSUFFICIENT_DATA if seen.drifting.used < FEWEST_ROWS else None


RULES: tuple[Callable[[Seen], Reason | None], ...] = (
    has_faults,
    labels_got_worse,
    accepted_rows_are_to_come,
    is_skewed,
    inputs_moved,
    predictions_moved,
    rows_are_few,
)


def reason_of(seen: Seen) -> Reason:
    """Return what the first rule says that speaks."""
    for rule in RULES:
        if reason := rule(seen):
            return reason
    return Reason.NO_DRIFT


def found(seen: Seen) -> Findings:
    """Return all that is found."""
    drifting, condition, reason = seen.drifting, seen.drifting.condition, reason_of(seen)
    recommendation = recommended(seen, reason)
    budget = drifting.budget(seen.plan)
    return Findings(
        reason=reason,
        question=seen.question,
        message=told.message_of(seen, reason),
        advice=advice_for(reason, recommendation, seen.performance),
        recommendation=recommendation,
        rows=drifting.used,
        seen=drifting.seen.rows,
        since_rows=None if condition is None else drifting.seen.rows - condition.since.rows,
        since_seconds=told.seconds_since(seen, reason),
        evidence=_evidence(seen, reason),
        budget=budget,
        delay=drifting.tables(seen.plan).delay(budget),
        material=condition is not None and condition.material,
        features=() if condition is None else condition.moves,
        faults=seen.faults.message if seen.faults.raised else "",
        performance=seen.performance,
        latency=told.latency_of(seen.figures),
        warnings=told.warnings_of(seen),
    )


def recommended(seen: Seen, reason: Reason) -> Recommendation:
    """Return what the evidence speaks for.

    Labels are compared with the first ones of the same revision, which was fine then: so a rise
    asks for retraining, and for going back only where there is a revision to go back to and its
    inputs have not moved.
    """
    match reason:
        case Reason.NO_DRIFT:
            return Recommendation.NOTHING
        case Reason.INSUFFICIENT_DATA:
            return Recommendation.WAIT
        case Reason.DATA_INTEGRITY:
            came = seen.asks is Action.ROLL_BACK
            return Recommendation.ROLL_BACK if came else Recommendation.FIX_DATA
        case Reason.CONCEPT_DRIFT:
            back = seen.previous is not None and seen.drifting.condition is None
            return Recommendation.ROLL_BACK if back else Recommendation.RETRAIN
    return _of_moved_data(seen, reason)


def _of_moved_data(seen: Seen, reason: Reason) -> Recommendation:
    if seen.asks is Action.RETRAIN:
        return Recommendation.RETRAIN
    if not _is_harmless(seen):
        return Recommendation.INVESTIGATE
    skewed = reason is Reason.TRAINING_SERVING_SKEW
    return Recommendation.ACCEPT if skewed else Recommendation.NOTHING


def _is_harmless(seen: Seen) -> bool:
    """Whether labels or calibrated probabilities speak of this model, and of no loss."""
    known = seen.losses.detector is not None or seen.figures.accuracy_first.rows > 0
    return known and not seen.loss_rose


def _evidence(seen: Seen, reason: Reason) -> float:
    """Return the evidence of what decided, in units of its bar."""
    drifting = seen.drifting
    logs = [drifting.recursion.log_evidence]
    if seen.question is Question.SKEW:
        logs.append(drifting.first.log_evidence + math.log(seen.plan.alpha))
    if drifting.condition is not None:
        logs.append(drifting.condition.log_evidence)
    if reason is Reason.DATA_INTEGRITY and not seen.faulty:
        logs = [seen.faults.detector.log_evidence]
    if reason is Reason.CONCEPT_DRIFT and seen.losses.detector is not None:
        logs = [seen.losses.detector.log_evidence]
    return math.exp(min(max(logs), 700.0))

"""What a watch finds, for programs and for people."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from driftline_stats.state import State
from driftline_stats.watch.moves import Move


class Reason(StrEnum):
    """The answer; part of the API."""

    NO_DRIFT = "NoDrift"
    DATA_INTEGRITY = "DataIntegrity"
    COVARIATE_DRIFT = "CovariateDrift"
    PREDICTION_DRIFT = "PredictionDrift"
    CONCEPT_DRIFT = "ConceptDrift"
    TRAINING_SERVING_SKEW = "TrainingServingSkew"
    INSUFFICIENT_DATA = "InsufficientData"
    BASELINE_MISSING = "BaselineMissing"


class Question(StrEnum):
    """What is asked."""

    SKEW = "TrainingServingSkew"  #: do the first rows look like training data?
    DRIFT = "Drift"  #: does what comes still look like the reference?


class Recommendation(StrEnum):
    """What the evidence speaks for; nothing of it is done here."""

    NOTHING = "Nothing"
    WAIT = "Wait"
    FIX_DATA = "FixData"
    INVESTIGATE = "Investigate"
    ACCEPT = "Accept"
    RETRAIN = "Retrain"
    ROLL_BACK = "RollBack"
    GIVE_BASELINE = "GiveBaseline"


_UNKNOWN = {Reason.INSUFFICIENT_DATA, Reason.BASELINE_MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance(State):
    """How well the model does. Losses lie between 0 and 1; None where nothing tells.

    Attributes:
        loss: mean of late, by labels.
        baseline_loss: that of the first labels.
        estimated_loss: without labels, by calibrated probabilities.
        estimated_before: the same of the first rows.
        labels: that came.
        coverage: share of predictions that have a label.
        delay_seconds: within which half of the labels came.
        reward: mean of late; None without rewards.
        baseline_reward: that of the first ones.
        risen: whether the detector says that the loss rose.
        text: coverage and delay, for people.
    """

    KIND: ClassVar[str] = "watch-performance"

    loss: float | None = None
    baseline_loss: float | None = None
    estimated_loss: float | None = None
    estimated_before: float | None = None
    labels: int = 0
    coverage: float | None = None
    delay_seconds: float | None = None
    reward: float | None = None
    baseline_reward: float | None = None
    risen: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(State):
    """How long answers take, in microseconds: of late, and at first.

    Attributes:
        median, p99: of late.
        median_first, p99_first: of the first inferences.
    """

    KIND: ClassVar[str] = "watch-latency"

    median: int
    p99: int
    median_first: int
    p99_first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings(State):
    """What is found now.

    Attributes:
        reason: the answer.
        question: what is asked; None while nothing is, for want of a reference.
        message: what was found, with the numbers: one or two sentences.
        advice: what to do, for people; also where nobody need do anything.
        recommendation: the same, as a word.
        rows: that the question has been asked of.
        seen: rows in all.
        since_rows: rows since the change began, about; None where there is none.
        since_seconds: seconds since then.
        evidence: the strongest, in units of the bar; that of the last alarm where there was one.
        budget: rows between two false alarms, at the traffic measured so far.
        delay: rows in which a shift of one feature by half a standard deviation is found, about.
        material: whether the change is larger than what asks for action.
        features: what moved, features first, at most 10.
        faults: what is wrong with inputs, for people; empty if nothing is.
        performance: None where nothing tells.
        latency: None where none was measured.
        warnings: what makes the answer less sure than it states.
    """

    KIND: ClassVar[str] = "watch-findings"

    reason: Reason
    question: Question | None
    message: str
    advice: str
    recommendation: Recommendation
    rows: int = 0
    seen: int = 0
    since_rows: int | None = None
    since_seconds: float | None = None
    evidence: float = 0.0
    budget: float = math.inf
    delay: float = 0.0
    material: bool = False
    features: tuple[Move, ...] = ()
    faults: str = ""
    performance: Performance | None = None
    latency: Latency | None = None
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> bool | None:
        """Whether the data is free of drift; None where that is not known."""
        return None if self.reason in _UNKNOWN else self.reason is Reason.NO_DRIFT


def missing(problem: str = "") -> Findings:
    """Return the findings of a revision that has nothing to be compared with.

    >>> found = missing("the profile belongs to another model")
    >>> found.reason.value, found.status, found.message
    ('BaselineMissing', None, 'There is no baseline: the profile belongs to another model.')

    Args:
        problem: why a profile is not used; empty where there is none.
    """
    why = f": {problem}" if problem else " beside the model, nor one that was learned"
    return Findings(
        reason=Reason.BASELINE_MISSING,
        question=None,
        message=f"There is no baseline{why}.",
        advice=(
            "Whoever built the model: run `driftline profile build` on its training data and put "
            "driftline-profile.json beside the model, or name it in monitoring.baseline.uri."
        ),
        recommendation=Recommendation.GIVE_BASELINE,
    )


def learning(rows: int, wanted: int, note: str = "") -> Findings:
    """Return the findings of a revision whose first rows are becoming its baseline.

    >>> learning(412, 10_000).message
    'The baseline is being learned: 412 of 10,000 rows.'

    Args:
        rows: so far.
        wanted: for a baseline.
        note: what else there is to say, as a sentence.
    """
    return Findings(
        reason=Reason.INSUFFICIENT_DATA,
        question=None,
        message=f"The baseline is being learned: {rows:,} of {wanted:,} rows.{_also(note)}",
        advice="Nobody need do anything: drift is watched for as soon as the rows are there.",
        recommendation=Recommendation.WAIT,
        seen=rows,
    )


def _also(note: str) -> str:
    return f" {note}" if note else ""

"""What the operator says of a Model's data: the part of its status that drift has."""

from typing import Annotated, Literal

from pydantic import Field

from driftline_api.base import ApiType
from driftline_api.schema import ATOMIC, Extension
from driftline_api.text import Count, Message, RevisionName, Time, cut

MOST_FEATURES = 5
MOST_WARNINGS = 8

_INT64 = Extension({"format": "int64"})
_NUMBER = Extension({"format": "double"})

Rows = Annotated[int, Field(ge=0), _INT64]
Number = Annotated[float, _NUMBER]
Share = Annotated[float, Field(ge=0, le=1), _NUMBER]
Line = Annotated[str, cut(256), Field(max_length=256)]

#: What is asked: whether a revision is served what it was trained on, and then whether that
#: changes.
Question = Literal["TrainingServingSkew", "Drift"]
#: Where what live rows are compared with comes from. `Learning`: the first rows are on their way
#: to become one. `None`: there is nothing, and nothing is on its way.
BaselineSource = Literal["Profile", "Accepted", "Learned", "Learning", "None"]
#: What the evidence speaks for. Nothing of it is done here.
Recommendation = Literal[
    "Nothing", "Wait", "FixData", "Investigate", "Accept", "Retrain", "RollBack", "GiveBaseline"
]


class DriftedFeature(ApiType):
    """One of the things that differ most from the baseline."""

    name: Line
    """Name of the feature or of the prediction; of a pair, both."""

    kind: Literal["Feature", "Prediction", "Pair", "Label", "Fault"]
    """What it is."""

    effect: Number | None = None
    """How far it has moved, about in standard deviations of the baseline."""

    change: Line = ""
    """How much that is, in its own units, for people."""


class Performance(ApiType):
    """How well the model does, as far as that is known: losses lie between 0 and 1."""

    loss: Number | None = None
    """Mean loss by the labels that came."""

    estimated_loss: Number | None = None
    """Mean loss without labels, by the model's own probabilities, where those are calibrated."""

    baseline_loss: Number | None = None
    """Mean loss that was usual."""

    labels: Rows = 0
    """Labels that came."""

    coverage: Share | None = None
    """Share of the predictions of the hours that are over for which a label came."""

    delay_seconds: Rows | None = None
    """Time after which half of the labels have come."""


class Latency(ApiType):
    """How long answers take, in microseconds: of late, and at first."""

    median_micros: Rows
    """Within which half of the answers were given of late."""

    p99_micros: Rows
    """Within which 99 of 100 answers were given of late."""

    first_median_micros: Rows = 0
    """The same of half of the first inferences of the revision."""

    first_p99_micros: Rows = 0
    """The same of 99 of 100 of the first inferences of the revision."""


class BaselineStatus(ApiType):
    """What live rows are compared with."""

    source: BaselineSource = "None"
    """Where it comes from."""

    rows: Rows = 0
    """Rows that it is made of, so far."""

    wanted_rows: Rows = 0
    """Rows that it shall be made of, while it is being learned."""

    problem: Message = ""
    """Why a profile that was given is not used; empty where nothing is wrong."""


class Observation(ApiType):
    """How much of the traffic the monitors have seen, since the revision began to be watched."""

    monitors: Count = 0
    """Monitors that answered the last time they were asked."""

    pods: Count = 0
    """Pods that have one."""

    seen: Rows = 0
    """Inferences that monitors were told of."""

    dropped: Rows = 0
    """Inferences that were lost on the way to a monitor that was slow or away."""

    unobserved: Rows = 0
    """Inferences that the routers counted, and of which no monitor knows."""


class DriftStatus(ApiType):
    """What is known of the data that a revision is asked about."""

    revision: RevisionName
    """The revision that this speaks of."""

    question: Question | None = None
    """What is asked; absent while nothing is."""

    reason: Annotated[str, Field(max_length=64)]
    """The answer, as in the reason of `DriftFree`."""

    since: Time | None = None
    """When it was first given."""

    rows_since: Rows = 0
    """Rows since then."""

    rows: Rows = 0
    """Rows that the question has been asked of."""

    evidence: Number = 0
    """The strongest evidence there is, in units of the bar: from 1 on it is an alarm."""

    features: Annotated[list[DriftedFeature], Field(max_length=MOST_FEATURES), ATOMIC] = []
    """What differs most, the strongest first."""

    performance: Performance | None = None
    """How well the model does, where labels or calibrated probabilities tell."""

    latency: Latency | None = None
    """How long answers took, as the model servers measure it."""

    baseline: BaselineStatus = BaselineStatus()
    """What live rows are compared with."""

    observation: Observation = Observation()
    """How much of the traffic was seen."""

    recommendation: Recommendation = "Nothing"
    """What the evidence speaks for, as a word for programs."""

    action: Message = ""
    """What to do, and who."""

    warnings: Annotated[list[Line], Field(max_length=MOST_WARNINGS), ATOMIC] = []
    """What makes the answer less sure than it states."""

    updated: Time
    """When these figures were written. They follow an answer that changes at once, and traffic
    every five minutes."""

"""What passes from the loop that watches data to a Model's plan: frozen, and without numpy.

The loop writes it on the `DriftBoard` after each look and enqueues the Model when `edge` differs
from the look before, and at least every `FIGURES_EVERY` where rows came; gathering reads it. How
it becomes status, condition and Events is decided in `driftline_operator.model.drift` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from driftline_api.conditions import Reason
from driftline_api.drift import (
    BaselineStatus,
    DriftedFeature,
    Latency,
    Observation,
    Performance,
    Question,
    Recommendation,
)

#: Figures that move without an answer that changes reach status this often.
FIGURES_EVERY: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionFindings:
    """What the data of one revision say now.

    Attributes:
        revision: its name.
        reason: one of `driftline_api.conditions.DRIFT_REASONS`.
        summary: what was found, for people: one or two sentences with the numbers.
        action: who acts next and what to do, for people; also where nobody need act.
        recommendation: the same as a word for programs.
        question: what is asked; None while nothing is, for want of a baseline.
        since: when `reason` was first given; None: with this look.
        rows_since: rows since then.
        rows: rows that the question has been asked of.
        evidence: the strongest, in units of the bar: from 1 on it is an alarm.
        features: what differs most, the strongest first; five are shown.
        performance: where labels or calibrated probabilities tell.
        latency: of the answers of late, and of the first ones.
        baseline: what live rows are compared with.
        observation: how much of the traffic was seen.
        warnings: what makes the answer less sure than it states; eight are shown.
    """

    revision: str
    reason: Reason
    summary: str
    action: str
    recommendation: Recommendation = "Nothing"
    question: Question | None = None
    since: datetime | None = None
    rows_since: int = 0
    rows: int = 0
    evidence: float = 0.0
    features: tuple[DriftedFeature, ...] = ()
    performance: Performance | None = None
    latency: Latency | None = None
    baseline: BaselineStatus = field(default_factory=BaselineStatus)
    observation: Observation = field(default_factory=Observation)
    warnings: tuple[str, ...] = ()

    @property
    def edge(self) -> tuple[object, ...]:
        """What is worth a write at once when it changes; everything else is a figure."""
        baseline = self.baseline
        return (
            self.revision,
            self.reason,
            self.question,
            self.recommendation,
            baseline.source,
            baseline.problem,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFindings:
    """What is known of a Model's data.

    Attributes:
        uid: of the Model: one that was deleted and made again is another.
        at: when the monitors were last asked.
        revisions: by name; one that is missing is not watched yet.
    """

    uid: str
    at: datetime
    revisions: Mapping[str, RevisionFindings] = field(default_factory=dict)

    @property
    def edge(self) -> tuple[object, ...]:
        """As of its revisions, in the order of their names."""
        return tuple(self.revisions[name].edge for name in sorted(self.revisions))


class DriftBoard:
    """The newest findings of each Model, in memory alone.

    What status says stays there until something newer is known, so an operator that starts anew
    says nothing less than the one before it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], DriftFindings] = {}

    def of(self, namespace: str, model: str, uid: str) -> DriftFindings | None:
        """Return what is known of exactly this Model."""
        found = self._known.get((namespace, model))
        return found if found and found.uid == uid else None

    def note(self, namespace: str, model: str, found: DriftFindings | None) -> None:
        """Remember what was found; None forgets the Model."""
        if found is None:
            self._known.pop((namespace, model), None)
        else:
            self._known[namespace, model] = found

"""The watch of one revision: every look makes the next value, and findings are read off it.

    look -> Drifting (first rows, detector, condition)   the budget's larger part
         -> FaultWatch, Losses                           the rest of it
         -> Figures                                      told, and never decided by

Null hypotheses and guarantees are those of the parts. Together: with independent rows and a
reference that is known, at most `false_alarms_per_year` false alarms are expected in a year, and
beside them one false verdict of skew in a revision with probability at most alpha.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from driftline_stats.errors import StateError
from driftline_stats.state import State
from driftline_stats.watch.drifting import Drifting
from driftline_stats.watch.faults import FaultWatch
from driftline_stats.watch.figures import Figures
from driftline_stats.watch.findings import Findings
from driftline_stats.watch.look import Look
from driftline_stats.watch.losses import Losses
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.verdict import Seen, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(State):
    """What a watch has seen, without what its plan says.

    Attributes:
        reference: tells references apart; a state of another one is of no use.
        drifting, faults, losses, figures: of the parts.
    """

    KIND: ClassVar[str] = "watch"

    reference: str
    drifting: Drifting = field(default_factory=Drifting)
    faults: FaultWatch = field(default_factory=FaultWatch)
    losses: Losses = field(default_factory=Losses)
    figures: Figures = field(default_factory=Figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A watch in progress.

    >>> import numpy as np
    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.kernel import Kernel
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features, rng = (Feature(name="age"),), np.random.default_rng(1)
    >>> profile = build(features, rows_of(features, {"age": rng.normal(40, 10, 10_000)}))
    >>> kernel = Kernel(profile.plan)
    >>> watch = Watch.start(WatchPlan.of(profile))
    >>> for _ in range(40):
    ...     rows = rows_of(features, {"age": rng.normal(47, 10, 100)})
    ...     watch = watch.update(Look(counts=kernel.count(rows), seconds=60))
    >>> found = watch.findings()
    >>> found.reason.value, found.features[0].name, found.status
    ('TrainingServingSkew', 'age', False)
    >>> Watch.restored(watch.plan, watch.stored()).findings() == found
    True

    Attributes:
        plan: what is looked for.
        state: what was seen.
    """

    plan: WatchPlan
    state: Watched

    @classmethod
    def start(cls, plan: WatchPlan) -> Self:
        """Return the watch before the first look."""
        return cls(plan=plan, state=Watched(reference=plan.reference))

    @classmethod
    def restored(cls, plan: WatchPlan, text: str | bytes) -> Self:
        """Return the watch that was stored.

        Raises:
            StateError: the text is damaged, or of a watch with another reference.
        """
        state = Watched.from_json(text)
        if state.reference != plan.reference:
            raise StateError(
                f"the state is of reference {state.reference}, expected {plan.reference}"
            )
        state.drifting.check(plan)
        return cls(plan=plan, state=state)

    def stored(self) -> str:
        """Return what was seen as JSON, without what the plan says."""
        return self.state.to_json()

    def replanned(self, plan: WatchPlan) -> Self:
        """Return the watch with other settings; with another reference it starts anew."""
        if plan.reference != self.plan.reference:
            return self.start(plan)
        return replace(self, plan=plan)

    def update(self, look: Look) -> Self:
        """Return the watch after one more look.

        Raises:
            BatchError: counts are of another plan, or negative.
        """
        plan, was = self.plan, self.state
        seen = max(look.seen, look.counted)
        return replace(
            self,
            state=replace(
                was,
                drifting=was.drifting.update(plan, look),
                faults=was.faults.update(plan, look.faults, inferences=seen, seconds=look.seconds),
                losses=was.losses.update(plan, look.labels, look.seconds),
                figures=was.figures.update(plan, look),
            ),
        )

    def findings(self, previous: Findings | None = None) -> Findings:
        """Return what is found now.

        Args:
            previous: of the revision before, where there was one: a fault that it did not have came
                with this revision.
        """
        state = self.state
        return found(
            Seen(
                plan=self.plan,
                drifting=state.drifting,
                faults=state.faults,
                losses=state.losses,
                figures=state.figures,
                previous=previous,
            )
        )

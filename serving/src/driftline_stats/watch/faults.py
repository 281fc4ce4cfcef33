"""Faults of inputs that never became rows: whether they are more than a few.

Null hypothesis: of inferences at most one in 200 has a fault, whatever came before. The detector is
`risk.detector.RiskDetector`, with a fault for an error.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from driftline_stats.drift.kind import FAULTY_SHARE
from driftline_stats.risk.detector import ErrorWindow, RiskDetector
from driftline_stats.state import State
from driftline_stats.watch.plan import WatchPlan

#: What is kept of the names that have faults.
MOST_NAMES = 16
#: Kinds that are not judged here: what the tap left out says nothing about the data, and what is no
#: number has a bin of its own, whose share in the reference the detector of drift knows.
NOT_JUDGED = ("omitted", "not_a_number")
#: Odds of a fault, as multiples of what is tolerated.
_ODDS = (2.0, 8.0, 64.0)


def _start() -> RiskDetector:
    return RiskDetector.start({"all": FAULTY_SHARE}, budget=math.inf, odds=_ODDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWatch(State):
    """All that is known of faults.

    >>> plan = WatchPlan(profile="", rows_between_alarms=1_000_000)
    >>> watch = FaultWatch()
    >>> for _ in range(3):
    ...     watch = watch.update(plan, {"age": {"wrong_type": 40}}, inferences=100, seconds=60)
    >>> watch.raised, watch.share, watch.message
    (True, 0.4, 'age: wrong type in 40 % of inferences')

    Attributes:
        detector: of the module.
        inferences: since evidence was quiet.
        faulty: of these, with a fault.
        by: of these, by name and kind as `name: kind`, at most 16.
        waited: seconds since the last inference.
        since: seconds, in all, since evidence was quiet.
    """

    KIND: ClassVar[str] = "watch-faults"

    detector: RiskDetector = field(default_factory=_start)
    inferences: int = 0
    faulty: int = 0
    by: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0
    since: float = 0.0

    def update(
        self,
        plan: WatchPlan,
        faults: Mapping[str, Mapping[str, int]],
        *,
        inferences: int,
        seconds: float,
    ) -> Self:
        """Return it after one look.

        An inference may have many faults; at least as many inferences are faulty as the most common
        name has, and no more are taken for it.

        Args:
            plan: its budget.
            faults: inferences by name, then by kind.
            inferences: that a fault could have been seen in.
            seconds: since the last look.
        """
        found = {
            f"{name}: {kind.replace('_', ' ')}": count
            for name, kinds in sorted(faults.items())
            for kind, count in sorted(kinds.items())
            if count and kind not in NOT_JUDGED
        }
        faulty, waited = max(found.values(), default=0), self.waited + seconds
        rows = max(inferences, faulty)
        if not rows:
            return replace(self, waited=waited, since=self.since + seconds if self.by else 0.0)
        share = plan.share("faults", rows, waited)
        budget = rows / share if share else math.inf
        detector = replace(self.detector, budget=budget).update(
            ErrorWindow(rows={"all": rows}, errors={"all": faulty})
        )
        after = replace(self, detector=detector, waited=0.0)
        if not detector.raised and detector.log_evidence < math.log(0.01):
            return replace(after, inferences=0, faulty=0, by={}, since=0.0)
        by = {name: self.by.get(name, 0) + count for name, count in found.items()}
        by = dict(sorted({**self.by, **by}.items(), key=lambda each: -each[1])[:MOST_NAMES])
        return replace(
            after,
            inferences=self.inferences + rows,
            faulty=self.faulty + faulty,
            by=by,
            since=self.since + seconds,
        )

    @property
    def raised(self) -> bool:
        """Whether faults are reported."""
        return self.detector.raised

    @property
    def share(self) -> float:
        """Share of inferences with a fault since evidence began to rise."""
        return self.faulty / self.inferences if self.inferences else 0.0

    @property
    def message(self) -> str:
        """Which faults, for people; the commonest."""
        name = next(iter(self.by), "inputs: fault")
        return f"{name} in {100 * self.share:.3g} % of inferences"

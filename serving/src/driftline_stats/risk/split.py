"""Is the canary's risk above stable's, by labels of traffic that was split between them?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from driftline_stats.errors import StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.rates import RateRatio
from driftline_stats.risk.arms import ArmDependence, LabelLook
from driftline_stats.state import State

DOUBT = 2.0
"""Standard errors of the difference in coverage that a verdict must survive."""
GRID = (1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0)
"""Ratios that coverage may have to explain."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitRisk(State):
    r"""Evidence, by 0/1 loss, that the canary's risk is above stable's.

    A batch is the labels that arrived in one look, a slot for each prediction cohort (weight epoch
    and hour). With n labels and x errors per arm and slot, and rho the canary's share of the
    *labels*, this is `rates.RateRatio` of errors per label at r0 = 1.

    Null hypothesis: in every look and cohort, of the labels that arrive a share is wrong that is at
    most as large in the canary as in stable. That is "equal risk" if coverage and delay of labels
    do not depend on the arm, given the outcome. They may depend on the outcome.

    Nothing in the labels shows whether they do depend on it; what shows is how many come. So a
    verdict is held back

    - when coverage or delay is shown to differ (`arms.ArmDependence` at the same alpha), or
    - when a difference in coverage could be the reason: with X labels more than at stable's
      coverage, all of them errors, the canary's risk is too high by b = x/(x - X); with |X| fewer,
      all of them right, by b = (n + |X|)/n. The evidence must reach the bar against "at most b
      times stable's" as well, for the worst X within `doubt` standard errors of the one seen. This
      is a worst case in the manner of Manski (2003) over what the counts of labels leave open.

    The second is what it takes to hold back in time, for a few percent of coverage can double a
    small risk long before they are significant. It is dear: at a risk p and a coverage k, about
    4(1 - k)/p^2 labels of the canary are needed before anything can be decided at all. With `doubt`
    0 only the difference seen counts, and with -inf none; use these where it is known that labels
    come alike (each prediction gets its label, by the same clock), and `paired.PairedRisk` where
    both models can be asked.

    Under optional stopping: where the null holds, it is rejected with probability at most alpha,
    ever; holding back only makes that rarer. Where the assumption fails, no probability is stated;
    simulation says how often it is caught.

    Attributes:
        doubt: standard errors of the difference in coverage that a verdict must survive.
        risk: the test of errors per label.
        explained: the likelihood of ratios that coverage may have to explain.
        arms: the test of how labels come.

    >>> from driftline_stats.risk.arms import LabelSlot
    >>> slot = LabelSlot(
    ...     stable_waiting=9000, stable_labels=4500, stable_errors=225,
    ...     canary_waiting=1000, canary_labels=500, canary_errors=60,
    ... )
    >>> test = SplitRisk.start(doubt=0).update(LabelLook(slots={"epoch 3, hour 7": slot}))
    >>> test.verdict(0.05).rejected
    True
    >>> test = SplitRisk.start().update(LabelLook(slots={"epoch 3, hour 7": slot}))
    >>> print(test.verdict(0.05).held_back.replace(":", ":\n"))
    coverage may be the reason of a ratio of 2.25:
     the canary has 500 labels, at stable's rates it would have 500
    """

    KIND: ClassVar[str] = "split-risk"

    doubt: float
    risk: RateRatio
    explained: RateRatio
    arms: ArmDependence

    @classmethod
    def start(cls, *, doubt: float = DOUBT) -> Self:
        """Return the test before the first look."""
        return cls(
            doubt=doubt,
            risk=RateRatio.above(1.0),
            explained=RateRatio.above(1.0, GRID),
            arms=ArmDependence.start(),
        )

    def update(self, batch: LabelLook) -> Self:
        """Return the test after one more look."""
        slots = batch.counts("labels", "errors")
        return type(self)(
            doubt=self.doubt,
            risk=self.risk.update_many(slots),
            explained=self.explained.update_many(slots),
            arms=self.arms.update(batch),
        )

    def merge(self, other: Self) -> Self:
        """Return the test after the looks of both, which are different ones.

        Raises:
            StateError: the other doubts otherwise.
        """
        if self.doubt != other.doubt:
            raise StateError(f"{self.KIND}: doubt {self.doubt} is not {other.doubt}")
        return type(self)(
            doubt=self.doubt,
            risk=self.risk.merge(other.risk),
            explained=self.explained.merge(other.explained),
            arms=self.arms.merge(other.arms),
        )

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that errors per label are more in the canary."""
        return self.risk.log_evidence

    @property
    def explicable(self) -> float:
        """b, the ratio of risks that a difference in coverage could be the reason of."""
        labels, errors = self.risk.seen.canary_units, self.risk.seen.canary_events
        return max(
            (explicable_ratio(each, labels, errors) for each in self.arms.excesses(self.doubt)),
            default=1.0,
        )

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the canary's risk is higher, or why that is held back.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        return judged(self.log_evidence, alpha, self._doubt(alpha))

    def _doubt(self, alpha: float) -> str:
        ratio = self.explicable
        beyond = log_evidence_beyond(self.explained, ratio)
        return doubt_of_arrivals(self.arms, alpha, beyond, f"a ratio of {ratio:.3g}")


def explicable_ratio(excess: float, labels: float, errors: float) -> float:
    """Return the largest ratio of risks that such an excess of the canary's labels can explain.

    >>> explicable_ratio(20, 500, 60), explicable_ratio(-25, 500, 60)
    (1.5, 1.05)
    >>> explicable_ratio(60, 500, 60)
    inf
    """
    if excess > 0:
        return errors / (errors - excess) if errors > excess else math.inf
    return (labels - excess) / labels if labels else 1.0


def log_evidence_beyond(test: RateRatio, ratio: float) -> float:
    """Return the log evidence against "at most this ratio", by a test that started at r0 = 1.

    Log likelihood ratios against 1 differ by those against the ratio, which is rounded up to the
    next alternative; -inf beyond the last but one.

    >>> log_evidence_beyond(RateRatio.above(1.0, [2.0, 3.0]), 1.0)
    0.0
    """
    if ratio <= 1:
        return test.log_evidence
    null = next((at for at, each in enumerate(test.ratios) if each >= ratio), len(test.ratios))
    beyond: Sequence[float] = test.logs[null + 1 :]
    return log_mean([each - test.logs[null] for each in beyond]) if beyond else -math.inf


def doubt_of_arrivals(arms: ArmDependence, alpha: float, beyond: float, explicable: str) -> str:
    """Return why the arms' labels cannot be compared; empty if they can.

    >>> arms = ArmDependence.start()
    >>> doubt_of_arrivals(arms, 0.05, math.log(20), "a ratio of 1.2")
    ''
    >>> doubt_of_arrivals(arms, 0.05, math.log(19), "a ratio of 1.2").partition(":")[0]
    'coverage may be the reason of a ratio of 1.2'

    Args:
        arms: how labels came.
        alpha: the verdict's level.
        beyond: log evidence against "no worse than what coverage may be the reason of".
        explicable: what that is.
    """
    told = (
        f"the canary has {arms.labels[1]:,} labels, at stable's rates it would have "
        f"{arms.predicted:,.0f}"
    )
    if arms.verdict(alpha).rejected:
        return f"labels do not come alike: {told}"
    if beyond < -math.log(alpha):
        return f"coverage may be the reason of {explicable}: {told}"
    return ""

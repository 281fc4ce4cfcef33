"""Is the canary's mean loss above stable's, by labels of traffic that was split between them?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged
from driftline_stats.means import MeanBatch, MeanPlan, MeanShift
from driftline_stats.risk.arms import ArmDependence, LabelLook, LabelSlot
from driftline_stats.risk.split import DOUBT, doubt_of_arrivals
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSlot(State):
    """One cohort in one look: how many labels came, and the losses that they showed.

    Attributes:
        arrivals: waiting predictions and labels; its errors are not used.
        losses: of the labels, as sums of the plan.

    Raises:
        BatchError: there are losses of more units than labels.
    """

    KIND: ClassVar[str] = "loss-slot"

    arrivals: LabelSlot
    losses: MeanBatch

    def __post_init__(self) -> None:
        for arm, sums, labels in (
            ("stable", self.losses.stable, self.arrivals.stable_labels),
            ("canary", self.losses.canary, self.arrivals.canary_labels),
        ):
            if sums.units + sums.missing != labels:
                raise BatchError(f"{arm}: {sums.units + sums.missing} losses of {labels} labels")

    def __add__(self, other: "LossSlot") -> "LossSlot":
        return LossSlot(arrivals=self.arrivals + other.arrivals, losses=self.losses + other.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLook(State):
    """All labels that arrived between two looks, by cohort; looks of replicas add."""

    KIND: ClassVar[str] = "loss-look"

    slots: Mapping[str, LossSlot]

    def __add__(self, other: "LossLook") -> "LossLook":
        slots = dict(self.slots)
        for cohort, slot in other.slots.items():
            slots[cohort] = slots[cohort] + slot if cohort in slots else slot
        return LossLook(slots=slots)

    @property
    def arrivals(self) -> LabelLook:
        """How many labels came."""
        return LabelLook(slots={cohort: slot.arrivals for cohort, slot in self.slots.items()})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitLoss(State):
    """Evidence, by a bounded loss, that the canary's mean is above stable's.

    `means.MeanShift` of the losses of the labels that arrived in one look, a batch for each cohort;
    its nulls, and what they assume, are said there. As for 0/1 loss (`split.SplitRisk`), they speak
    of risk only if coverage and delay of labels do not depend on the arm, given the loss, and a
    verdict is held back

    - when coverage or delay is shown to differ, or
    - when a difference in coverage could be the reason: X labels more than at stable's coverage,
      all of the largest loss, or |X| fewer, all of the smallest, for the worst X within `doubt`
      standard errors of the one seen. The evidence about the means (which is asymptotic) must also
      hold with that as a margin.

    Under optional stopping: as `means.MeanShift`; holding back only makes a rejection rarer.

    >>> import numpy as np
    >>> rng = np.random.default_rng(2)
    >>> plan = MeanPlan(low=0.0, high=1.0, center=0.3, sd=0.15)
    >>> losses = MeanBatch.of(rng.beta(3, 7, 4500), rng.beta(4, 6, 500), plan)
    >>> arrivals = LabelSlot(
    ...     stable_waiting=9000, stable_labels=4500, canary_waiting=1000, canary_labels=500
    ... )
    >>> look = LossLook(slots={"epoch 3, hour 7": LossSlot(arrivals=arrivals, losses=losses)})
    >>> SplitLoss.start(plan).update(look).verdict(0.05).rejected
    True

    Attributes:
        doubt: standard errors of the difference in coverage that a verdict must survive.
        means: the test of the means.
        arms: the test of how labels come.
        canary_units: losses of the canary.
        canary_total: their sum, in sd from the plan's center.
    """

    KIND: ClassVar[str] = "split-loss"

    doubt: float
    means: MeanShift
    arms: ArmDependence
    canary_units: int = 0
    canary_total: float = 0.0

    @classmethod
    def start(cls, plan: MeanPlan, *, doubt: float = DOUBT) -> Self:
        """Return the test before the first look; the plan is frozen from stable's losses.

        Raises:
            BatchError: the plan is not one of losses, of which lower is better.
        """
        if plan.direction != "higher":
            raise BatchError("a loss is worse where it is higher")
        return cls(doubt=doubt, means=MeanShift(plan=plan), arms=ArmDependence.start())

    def update(self, batch: LossLook) -> Self:
        """Return the test after one more look.

        Raises:
            BatchError: sums of losses contradict themselves.
        """
        means = self.means
        for slot in batch.slots.values():
            means = means.update(slot.losses)
        sums = [slot.losses.canary for slot in batch.slots.values()]
        return type(self)(
            doubt=self.doubt,
            means=means,
            arms=self.arms.update(batch.arrivals),
            canary_units=self.canary_units + sum(each.units for each in sums),
            canary_total=self.canary_total + math.fsum(each.total for each in sums),
        )

    def merge(self, other: Self) -> Self:
        """Return the test after the looks of both, which are different ones.

        Raises:
            StateError: the other has another plan, or doubts otherwise.
        """
        if self.doubt != other.doubt:
            raise StateError(f"{self.KIND}: doubt {self.doubt} is not {other.doubt}")
        return type(self)(
            doubt=self.doubt,
            means=self.means.merge(other.means),
            arms=self.arms.merge(other.arms),
            canary_units=self.canary_units + other.canary_units,
            canary_total=self.canary_total + other.canary_total,
        )

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that the canary's mean loss is higher."""
        return self.means.log_evidence

    @property
    def explicable(self) -> float:
        """The difference of mean losses that a difference in coverage could be the reason of."""
        return max(map(self._explicable, self.arms.excesses(self.doubt)), default=0.0)

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the canary's mean loss is higher, or why that is held back.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        plain = self.means.verdict(alpha)
        return judged(plain.log_evidence, alpha, plain.held_back or self._doubt(alpha))

    def _explicable(self, excess: float) -> float:
        plan, units, total = self.means.plan, self.canary_units, self.canary_total
        if not units or not plan.sd:
            return 0.0
        if excess >= units:
            return math.inf
        extreme = (plan.high if excess > 0 else plan.low) - plan.center
        without = (total - excess * extreme / plan.sd) / (units - excess)
        return max(0.0, total / units - without) * plan.sd

    def _doubt(self, alpha: float) -> str:
        plan, explicable = self.means.plan, self.explicable
        beyond = 0.0
        if plan.sd and math.isfinite(explicable):
            margin = (plan.tolerance + explicable) / plan.sd
            beyond = self.means.bounds.log_evidence(margin) - math.log(2)
        return doubt_of_arrivals(
            self.arms, alpha, beyond, f"a mean loss higher by {explicable:.3g}"
        )

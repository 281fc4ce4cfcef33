"""Training-serving skew: whether the first rows of a revision look like what it was trained on.

One question, one verdict: training data often differs from serving data on the first day, and that
is no change. Each window adds ln L_i to component i (`mixture`), and

    E = sum_i w_i prod_w L_i

is an e-process for the null hypothesis that every channel's live law stays within a chi-square
distance of tolerance**2 of the training data's. It may be looked at after every window; under the
null it ever reaches 1/alpha with probability at most alpha (Ville), with the same two heuristics as
`detector`: the margin z and the power 1/deff. Training data is mostly shuffled: then the first 20
blocks of live rows tell how they depend on each other, and are no evidence yet.

When it is wrong: as `detector`, where rows depend on each other further than a block, or where the
reference's law is known worse than z allows for. Evidence may fade after it reached the bar; the
guarantee is of ever having reached it, so the first rejection counts.

Source: Ville (1939) for the bar; the components are those of Shin, Ramdas & Rinaldo, "E-detectors"
(New England Journal of Statistics in Data Science, 2024), multiplied up without a restart.

What follows (`reference_for_drift`): without skew, drift is watched for against the training data;
with it, against the first live rows, once a person accepted them.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.detector import DetectorPlan, Window, checked_rows
from driftline_stats.drift.inflation import InflationMeter, standardised
from driftline_stats.evidence import Verdict, judged
from driftline_stats.state import State

Floats = npt.NDArray[np.float64]


class Against(StrEnum):
    """What drift is watched for against."""

    TRAINING = "training"  #: no skew is shown, or not yet: `complete` tells whether it may still be
    LIVE = "live"  #: somebody accepted the first rows, and all of them were seen
    NOTHING = "nothing"  #: skew that nobody accepted; or accepted rows of which more are to come


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingServingSkew(State):
    """The test of the module; see there for the null hypothesis and what is guaranteed.

    Seven in ten rows of the training data have the first level. Windows with 55 in a hundred of it
    are evidence of skew, those with 70 are not:

    >>> from driftline_stats.drift.reference import Reference, ReferenceChannel, unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[7000, 3000]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> plan = DetectorPlan.make(Reference(channels=(channel,), ordered=True), budget=1)
    >>> same = skewed = TrainingServingSkew.start(plan, first=500)
    >>> for _ in range(5):
    ...     same = same.update(Window(counts=np.array([70, 30])))
    ...     skewed = skewed.update(Window(counts=np.array([55, 45])))
    >>> round(same.log_evidence), round(skewed.log_evidence), skewed.complete
    (-15, 8, True)
    >>> same.verdict(0.01).rejected, skewed.verdict(0.01).rejected
    (False, True)

    Windows beyond the first rows change nothing: the verdict is about these. It has no `merge`:
    what adds are the counts in a window.

    Attributes:
        plan: the reference is the training data's; its budget is of no importance.
        log_products: ln prod L_i of every component.
        meter: variance inflation of the rows so far.
        rows: that are evidence so far.
        first: how many rows the question is about.
    """

    KIND: ClassVar[str] = "training-serving-skew"

    plan: DetectorPlan
    log_products: Floats
    meter: InflationMeter
    rows: int
    first: int

    @classmethod
    def start(cls, plan: DetectorPlan, first: int = 10_000) -> Self:
        """Return the test before the first row.

        Args:
            plan: its reference is the training data's.
            first: how many rows the question is about.
        """
        mixture = plan.mixture
        return cls(
            plan=plan,
            log_products=np.zeros(mixture.weight.size),
            meter=InflationMeter.start(len(mixture.scores.names)),
            rows=0,
            first=first,
        )

    def update(self, batch: Window) -> Self:
        """Return the test after one more window.

        Raises:
            BatchError: counts are negative, of other bins, or of a stratum that is not known.
        """
        rows = checked_rows(self.plan, batch)
        if self.complete or not rows:
            return self
        plan, mixture = self.plan, self.plan.mixture
        meter = self.meter.add(standardised(mixture.scores, batch.counts, batch.stratum), rows)
        if not (plan.reference.ordered or self.meter.enough):
            return replace(self, meter=meter)
        live = self.meter.allowed_for(trusted=plan.reference.ordered)
        deff = np.maximum(plan.deff, live)
        constants = mixture.log_constants(plan.tolerance, plan.z, deff, batch.stratum)
        ratios = mixture.log_ratios(batch.counts, constants, deff, batch.stratum)
        return replace(
            self,
            log_products=self.log_products + ratios,
            meter=meter,
            rows=self.rows + rows,
        )

    @property
    def complete(self) -> bool:
        """Whether it has seen the rows that it is about."""
        return self.rows >= self.first

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of E."""
        top = float(self.log_products.max())
        weights = self.plan.mixture.weight
        return top + float(np.log(weights @ np.exp(self.log_products - top)))

    def verdict(self, alpha: float) -> Verdict:
        """Say whether there is skew: E >= 1/alpha now.

        However often it is asked, it is ever said falsely with probability at most alpha.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        return judged(self.log_evidence, alpha)


def reference_for_drift(skew: TrainingServingSkew, alpha: float, *, accepted: bool) -> Against:
    """Return what drift is to be watched for against.

    It may be asked before the test is complete, and says what holds so far: training data as long
    as no skew is shown. That is no finding that there is none; `skew.complete` tells whether the
    first rows have all been seen. Live rows become a reference only when they have.

    >>> from driftline_stats.drift.reference import Reference, ReferenceChannel, unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[7000, 3000]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> plan = DetectorPlan.make(Reference(channels=(channel,), ordered=True), budget=1)
    >>> skew, said = TrainingServingSkew.start(plan, first=500), []
    >>> for _ in range(5):
    ...     skew = skew.update(Window(counts=np.array([55, 45])))
    ...     said.append(reference_for_drift(skew, 0.01, accepted=False).value)
    >>> said
    ['training', 'training', 'training', 'nothing', 'nothing']
    >>> reference_for_drift(skew, 0.01, accepted=True).value
    'live'

    Args:
        skew: the test, on the first rows of the revision.
        alpha: of its verdict.
        accepted: whether a person accepted the first live rows as they are.
    """
    if accepted:
        return Against.LIVE if skew.complete else Against.NOTHING
    if skew.verdict(alpha).rejected:
        return Against.NOTHING
    return Against.TRAINING

"""Is the canary's risk shown not to be much above stable's, by labels of split traffic?"""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

from driftline_stats.certificates import FLOOR, Certificate
from driftline_stats.errors import StateError
from driftline_stats.evidence import Verdict, judged
from driftline_stats.rates import RateBatch
from driftline_stats.risk.arms import ArmDependence, LabelLook
from driftline_stats.risk.split import DOUBT, doubt_of_arrivals
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitCertificate(State):
    """Evidence, by 0/1 loss, that the canary's risk is not r1 times stable's, or below p1.

    `certificates.Certificate` of errors per label, a slot for each prediction cohort of a look, for
    promoting early. It errs the other way than `split.SplitRisk`: when labels of the canary's
    errors do not come, it looks good. So it is held back

    - when coverage or delay is shown to differ between the arms, or
    - when the evidence would not be there if the labels that the canary may have too few had come
      as well, all of them errors. How many those may be: the shortfall against stable's coverage,
      and `doubt` standard errors more.

    Null hypothesis, assumptions and guarantee: those of `Certificate`, of errors per label; of risk
    if coverage and delay of labels do not depend on the arm, given the outcome.

    >>> from driftline_stats.risk.arms import LabelSlot
    >>> slot = LabelSlot(
    ...     stable_waiting=40_000, stable_labels=20_000, stable_errors=2000,
    ...     canary_waiting=20_000, canary_labels=10_000, canary_errors=1000,
    ... )
    >>> look = LabelLook(slots={"epoch 3, hour 7": slot})
    >>> SplitCertificate.start(ratio=1.5).update(look).verdict(0.05).rejected
    True

    Attributes:
        doubt: standard errors of the difference in coverage that a verdict must survive.
        certificate: of errors per label.
        arms: the test of how labels come.
    """

    KIND: ClassVar[str] = "split-certificate"

    doubt: float
    certificate: Certificate
    arms: ArmDependence

    @classmethod
    def start(cls, *, ratio: float, floor: float = FLOOR, doubt: float = DOUBT) -> Self:
        """Return the test before the first look: r1 is the ratio, p1 the floor.

        Raises:
            StateError: the ratio is not positive, or the floor not between 0 and 1.
        """
        return cls(
            doubt=doubt,
            certificate=Certificate.start(ratio=ratio, floor=floor),
            arms=ArmDependence.start(),
        )

    def update(self, batch: LabelLook) -> Self:
        """Return the test after one more look."""
        return type(self)(
            doubt=self.doubt,
            certificate=self.certificate.update_many(batch.counts("labels", "errors")),
            arms=self.arms.update(batch),
        )

    def merge(self, other: Self) -> Self:
        """Return the test after the looks of both, which are different ones.

        Raises:
            StateError: the other certifies something else, or doubts otherwise.
        """
        if self.doubt != other.doubt:
            raise StateError(f"{self.KIND}: doubt {self.doubt} is not {other.doubt}")
        return type(self)(
            doubt=self.doubt,
            certificate=self.certificate.merge(other.certificate),
            arms=self.arms.merge(other.arms),
        )

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that errors per label are not much more."""
        return self.certificate.log_evidence

    @property
    def missing(self) -> float:
        """Labels that the canary may have too few, by its coverage so far."""
        return max([0.0, *(-each for each in self.arms.excesses(self.doubt))])

    def verdict(self, beta: float) -> Verdict:
        """Say whether it is certified, or why that is held back.

        Raises:
            ValueError: beta is not between 0 and 1.
        """
        explicable = f"{math.ceil(self.missing):,} errors that are not seen"
        beyond = self._with_missing_errors.log_evidence
        return judged(
            self.log_evidence, beta, doubt_of_arrivals(self.arms, beta, beyond, explicable)
        )

    @property
    def _with_missing_errors(self) -> Certificate:
        """The certificate after one more slot, of the labels that may be missing as errors."""
        seen, missing = self.certificate.relative.seen, math.ceil(self.missing)
        stable = missing * seen.stable_units / max(1, seen.canary_units)
        return self.certificate.update(
            RateBatch(
                stable_units=max(1, round(stable)), canary_units=missing, canary_events=missing
            )
        )

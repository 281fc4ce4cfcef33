"""A certificate: evidence that the canary is not r1 times worse, or that its rate is harmless.

With almost no events the ratio of two rates cannot be known, and need not be. So the relative
test has a floor beside it, and the two share one null hypothesis.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.guard import RateLevel
from driftline_stats.rates import Counts, RateBatch, RateRatio, log_mean_along
from driftline_stats.state import State

FLOOR = 0.01
"""Default p1: a rate below it needs no comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(State):
    """A test that the canary is both r1 times worse than stable and above a floor.

    Null hypothesis: in every slot p_canary >= r1 * p_stable **and** p_canary >= p1. Each part
    alone is tested by an e-process (`RateRatio.below`, `RateLevel.below`), and the evidence is
    their mean, `(E_rel + E_floor) / 2`. Rejected at 1/beta it reads: not r1 times worse, or below
    p1. It promotes early; that it is missing aborts nothing.

    Assumes what its parts assume: units that are independent given their slot. A canary that turns
    bad after it was certified has its certificate still: the null says *every* slot.

    Under optional stopping: a canary that is r1 times worse and above p1 throughout is ever
    certified with probability at most beta.

    Source: those of its parts; the mean of e-processes is one (Vovk & Wang, "E-values", Annals of
    Statistics 2021).

    Attributes:
        relative: the test of the ratio.
        floor: the test of the canary's rate.

    Where nothing fails, only the floor can move:

    >>> certificate = Certificate.start(ratio=1.5, floor=0.01)
    >>> slot = RateBatch(stable_units=4000, canary_units=600)
    >>> certificate = certificate.update(slot)
    >>> certificate.relative.verdict(0.05).rejected, certificate.verdict(0.05).rejected
    (False, True)
    """

    KIND: ClassVar[str] = "rate-certificate"

    relative: RateRatio
    floor: RateLevel

    @classmethod
    def start(cls, *, ratio: float, floor: float = FLOOR) -> Self:
        """Start to look for what certifies: r1 is the ratio, p1 the floor.

        Raises:
            StateError: the ratio is not positive, or the floor not between 0 and 1.
        """
        return cls(relative=RateRatio.below(ratio), floor=RateLevel.below(floor))

    def update(self, batch: RateBatch) -> Self:
        """Return the test after one more concurrent slot, of any size, even empty."""
        return type(self)(relative=self.relative.update(batch), floor=self.floor.update(batch))

    def update_many(self, slots: Counts) -> Self:
        """Return the test after slots given as an array of shape (slots, 4).

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        return type(self)(
            relative=self.relative.update_many(slots), floor=self.floor.update_many(slots)
        )

    def path(self, slots: Counts) -> npt.NDArray[np.float64]:
        """Return the log evidence after each of further slots: (..., slots, 4) to (..., slots).

        Raises:
            BatchError: a count is negative or no integer, or there are more events than units.
        """
        return log_mean_along(
            np.stack([self.relative.path(slots), self.floor.path(slots)], axis=-1)
        )

    def merge(self, other: Self) -> Self:
        """Return the test after the slots of both, which are different ones.

        Raises:
            StateError: the other certifies something else.
        """
        return type(self)(
            relative=self.relative.merge(other.relative), floor=self.floor.merge(other.floor)
        )

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the mean of both."""
        return log_mean((self.relative.log_evidence, self.floor.log_evidence))

    def verdict(self, beta: float) -> Verdict:
        """Say whether it is certified, falsely with a probability of at most beta.

        Raises:
            ValueError: beta is not between 0 and 1.
        """
        return judged(self.log_evidence, beta)

"""Do two arms predict the same: classes, or scores in bins that were frozen (`class_bins`).

The default action is to warn, since a new model is meant to differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged
from driftline_stats.rates import HIGHER, log_increments, log_mean_along
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBatch(State):
    """How often each arm predicted each class (or score bin) in one concurrent slot.

    >>> one = ClassBatch(stable=(70, 30), canary=(7, 3))
    >>> (one + one).canary
    (14, 6)

    Raises:
        BatchError: a count is negative or no integer, or the arms have different classes.
    """

    KIND: ClassVar[str] = "class-batch"

    stable: tuple[int, ...]
    canary: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.stable) != len(self.canary) or not self.stable:
            raise BatchError(f"stable has {len(self.stable)} classes, canary {len(self.canary)}")
        for count in (*self.stable, *self.canary):
            if not isinstance(count, int | np.integer) or count < 0:
                raise BatchError(f"counts must be integers of at least 0, got {count!r}")

    def __add__(self, other: Self) -> Self:
        if len(self.stable) != len(other.stable):
            raise BatchError(f"{len(self.stable)} classes and {len(other.stable)}")
        return type(self)(
            stable=tuple(a + b for a, b in zip(self.stable, other.stable, strict=True)),
            canary=tuple(a + b for a, b in zip(self.canary, other.canary, strict=True)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassMix(State):
    """A test that both arms predict each class equally often.

    Null hypothesis: in every slot and for each class k, p_canary(k) = p_stable(k); with a
    tolerance t > 1, that the ratio is between 1/t and t. For each class, one against the rest, the
    test of `rates.RateRatio` in both directions, `above(t)` and `below(1/t)`, with alternatives
    that mirror each other; the evidence is the mean over classes and directions, which a mean of
    e-processes is under any dependence between them.

    Assumes that predictions are independent given their slot: one per unit. Rows of one request
    are not; count the first. Wrong for a class that hardly occurs only in that it adds nothing:
    each of K classes costs the others a factor K of evidence, which is ln K of its logarithm.

    Under optional stopping: reaches 1/alpha with probability at most alpha, ever.

    Source: `rates`; averaging: Vovk & Wang, "E-values: calibration, combination and applications"
    (Annals of Statistics 2021).

    Attributes:
        tolerance: t, at least 1.
        factors: alternatives over t, above 1; below 1/t the same as divisors.
        logs: log L, of shape (2, classes, alternatives): more often, then less often.

    >>> test = ClassMix.start(classes=2)
    >>> test = test.update(ClassBatch(stable=(700, 300), canary=(40, 60)))
    >>> str(test.verdict(0.05)), test.most_changed()
    ('rejected: evidence 972 of 20 needed', 1)
    """

    KIND: ClassVar[str] = "class-mix"

    tolerance: float
    factors: tuple[float, ...]
    logs: npt.NDArray[np.float64]

    @classmethod
    def start(
        cls, *, classes: int, tolerance: float = 1.0, factors: Sequence[float] = HIGHER
    ) -> Self:
        """Start with a number of classes, those for unseen and missing values included.

        Raises:
            StateError: no class, a tolerance below 1, or a factor that is not above 1.
        """
        logs = np.zeros((2, classes, len(factors)))
        return cls(tolerance=tolerance, factors=tuple(factors), logs=logs)

    def __post_init__(self) -> None:
        if not (1 <= self.tolerance < math.inf and self.factors and min(self.factors) > 1):
            raise StateError(f"tolerance {self.tolerance}, factors {self.factors}: not above 1")
        shape = self.logs.shape
        if len(shape) != 3 or shape[0] != 2 or not shape[1] or shape[2] != len(self.factors):
            raise StateError(f"expected logs (2, classes, {len(self.factors)}), got {shape}")
        if not np.isfinite(self.logs).all():
            raise StateError("logs are not finite")

    def update(self, batch: ClassBatch) -> Self:
        """Return the test after one more concurrent slot, of any size, even empty.

        Raises:
            BatchError: the batch has another number of classes.
        """
        stable, canary = np.array(batch.stable, float), np.array(batch.canary, float)
        if stable.size != self.logs.shape[1]:
            raise BatchError(f"{stable.size} classes, the test has {self.logs.shape[1]}")
        units = np.full(stable.size, stable.sum()), np.full(stable.size, canary.sum())
        slots = np.stack([units[0], stable, units[1], canary], axis=-1)
        up = np.array(self.factors) * self.tolerance
        added = np.stack(
            [
                log_increments(slots, self.tolerance, up.tolist()),
                log_increments(slots, 1 / self.tolerance, (1 / up).tolist()),
            ]
        )
        return self._with(self.logs + added)

    def merge(self, other: Self) -> Self:
        """Return the test after the slots of both, which are different ones.

        Raises:
            StateError: the other has other classes, tolerance or alternatives.
        """
        mine = (self.tolerance, self.factors, self.logs.shape)
        if mine != (other.tolerance, other.factors, other.logs.shape):
            raise StateError(
                f"{self.logs.shape[1]} classes with tolerance {self.tolerance} are not "
                f"{other.logs.shape[1]} with {other.tolerance}, or alternatives differ"
            )
        return self._with(self.logs + other.logs)

    def _with(self, logs: npt.NDArray[np.float64]) -> Self:
        return type(self)(tolerance=self.tolerance, factors=self.factors, logs=logs)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the mean over classes, directions and alternatives."""
        return float(log_mean_along(self.logs.reshape(-1)))

    def most_changed(self) -> int:
        """Return which class has the most evidence of its own, in either direction."""
        either = np.concatenate([self.logs[0], self.logs[1]], axis=-1)
        return int(log_mean_along(either).argmax())

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the null is rejected, with a false alarm probability of at most alpha.

        Raises:
            ValueError: alpha is not between 0 and 1.
        """
        return judged(self.log_evidence, alpha)

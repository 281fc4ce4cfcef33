"""Do labels come alike for both arms? If not, their labels cannot be compared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.rates import log_increments, log_mean_along
from driftline_stats.risk.coverage import CLASSES
from driftline_stats.state import State

FACTORS = (1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0)
RATIOS = (*(1 / each for each in reversed(FACTORS)), *FACTORS)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSlot(State):
    """What became in one look of the predictions of one cohort that were without a label.

    A cohort is predictions of one weight epoch and hour. Counts of replicas add.

    >>> slot = LabelSlot(stable_waiting=90, stable_labels=9, canary_waiting=10, canary_labels=1)
    >>> (slot + slot).canary_share
    0.1

    Attributes:
        age: class of the cohort's age, of `coverage.AGES`.
        stable_waiting: stable's predictions that were without a label when the look began.
        stable_labels: of these, those that got one in this look.
        stable_errors: of these, those that were wrong.
        canary_waiting: the same of the canary.
        canary_labels: the same.
        canary_errors: the same.

    Raises:
        BatchError: there are more errors than labels, or more labels than waited for one.
    """

    KIND: ClassVar[str] = "label-slot"

    age: int = 0
    stable_waiting: int = 0
    stable_labels: int = 0
    stable_errors: int = 0
    canary_waiting: int = 0
    canary_labels: int = 0
    canary_errors: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.age < CLASSES:
            raise BatchError(f"there are {CLASSES} classes of age, got {self.age}")
        for arm in ("stable", "canary"):
            waiting, labels, errors = (
                getattr(self, f"{arm}_{what}") for what in ("waiting", "labels", "errors")
            )
            if not 0 <= errors <= labels <= waiting:
                raise BatchError(f"{arm}: {errors} errors in {labels} labels of {waiting} waiting")

    def __add__(self, other: "LabelSlot") -> "LabelSlot":
        if self.age != other.age:
            raise BatchError(f"a cohort is of one age in a look, got {self.age} and {other.age}")
        names = (each.name for each in fields(self) if each.name != "age")
        return LabelSlot(
            age=self.age, **{name: getattr(self, name) + getattr(other, name) for name in names}
        )

    @property
    def canary_share(self) -> float:
        """The canary's share of the labels, which is what errors are compared by; nan without."""
        labels = self.stable_labels + self.canary_labels
        return self.canary_labels / labels if labels else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLook(State):
    """All labels that arrived between two looks, by cohort; looks of replicas add.

    >>> slot = LabelSlot(stable_waiting=90, stable_labels=9, canary_waiting=10, canary_labels=1)
    >>> one, two = LabelLook(slots={"hour 7": slot}), LabelLook(slots={"hour 7": slot, "8": slot})
    >>> (one + two).counts("waiting", "labels").tolist()
    [[180, 18, 20, 2], [90, 9, 10, 1]]

    Attributes:
        slots: by the cohort's name, of epoch and hour.
    """

    KIND: ClassVar[str] = "label-look"

    slots: Mapping[str, LabelSlot]

    def __add__(self, other: "LabelLook") -> "LabelLook":
        slots = dict(self.slots)
        for cohort, slot in other.slots.items():
            slots[cohort] = slots[cohort] + slot if cohort in slots else slot
        return LabelLook(slots=slots)

    @property
    def ages(self) -> Counts:
        """The class of age of each slot."""
        return np.array([each.age for each in self.slots.values()], np.int64)

    def counts(self, units: str, events: str) -> Counts:
        """Return slots as `rates.RateRatio.update_many` takes them; shape (slots, 4)."""
        names = (f"stable_{units}", f"stable_{events}", f"canary_{units}", f"canary_{events}")
        rows = [[getattr(slot, name) for name in names] for slot in self.slots.values()]
        return np.array(rows, np.int64).reshape(-1, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmDependence(State):
    """Evidence that coverage or delay of labels differs between the arms.

    In each look and cohort, compare the arms' shares of waiting predictions that got their label
    (hazards), by `rates.RateRatio` at r0 = 1 in both directions, for arrivals and for their absence
    (the sharper where nearly all arrive). A difference in coverage raises the evidence summed over
    all ages; one in delay alone (early labels more, late ones fewer) that of single ages. With L_a
    the likelihood ratio of age class a,

        E = 1/2 mean(prod_a L_a) + 1/2 mean over a of mean(L_a).

    Null hypothesis: given the past, in each look and cohort a waiting prediction gets its label
    with the same probability in both arms.

    Assumes independent predictions. It sees only the sum over outcomes: an arm whose errors are
    labelled more often and whose correct rows are labelled less often, by as many, looks alike.
    When errors are labelled more often in both arms and the canary really has more of them, its
    labels do come more often, and this says so: a true difference is held back rather than decided.

    Under optional stopping: reaches 1/alpha under the null with probability at most alpha, ever.

    Source: discrete hazards of two arms as in the logrank test (Mantel 1966), safe as in ter
    Schure, Perez-Ortiz, Ly & Grünwald (2024).

    Attributes:
        logs: log L by class of age, arrivals or absence, and alternative; shape (11, 2, 14).
        labels: of stable and of the canary.
        predicted: labels of the canary, had its hazards been those seen in stable.
        variance: of the difference between the canary's labels and these, if hazards are equal.
    """

    KIND: ClassVar[str] = "arm-dependence"

    logs: npt.NDArray[np.float64]
    labels: tuple[int, int] = (0, 0)
    predicted: float = 0.0
    variance: float = 0.0

    def __post_init__(self) -> None:
        if self.logs.shape != (CLASSES, 2, len(RATIOS)):
            raise StateError(f"{self.KIND}: shape {self.logs.shape} is not what is kept")

    @classmethod
    def start(cls) -> Self:
        """Return the test before the first look."""
        return cls(logs=np.zeros((CLASSES, 2, len(RATIOS))))

    def update(self, batch: LabelLook) -> Self:
        """Return the test after one more look."""
        arrivals = batch.counts("waiting", "labels")
        absences = arrivals.copy()
        absences[:, 1::2] = arrivals[:, 0::2] - arrivals[:, 1::2]
        logs = self.logs.copy()
        for at, slots in enumerate((arrivals, absences)):
            np.add.at(logs[:, at], batch.ages, log_increments(slots, 1.0, RATIOS))
        stable, canary, predicted, variance = _compared(arrivals)
        return type(self)(
            logs=logs,
            labels=(self.labels[0] + stable, self.labels[1] + canary),
            predicted=self.predicted + predicted,
            variance=self.variance + variance,
        )

    def merge(self, other: Self) -> Self:
        """Return the test after the looks of both, which are different ones."""
        return type(self)(
            logs=self.logs + other.logs,
            labels=(self.labels[0] + other.labels[0], self.labels[1] + other.labels[1]),
            predicted=self.predicted + other.predicted,
            variance=self.variance + other.variance,
        )

    @property
    def excess(self) -> float:
        """Labels that the canary has more than if its predictions were labelled as stable's."""
        return self.labels[1] - self.predicted

    def excesses(self, doubt: float) -> tuple[float, ...]:
        """Return the excess less and plus so many standard errors of it; none for a doubt of -inf.

        >>> ArmDependence.start().excesses(2.0)
        (0.0, 0.0)
        """
        if doubt == -math.inf:
            return ()
        reach = doubt * math.sqrt(self.variance)
        return (self.excess - reach, self.excess + reach)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of E."""
        of_all = log_mean_along(self.logs.sum(axis=0).reshape(1, -1))
        of_each = log_mean_along(self.logs.reshape(CLASSES, -1))
        return log_mean([float(of_all[0]), log_mean(of_each.tolist())])

    def verdict(self, alpha: float) -> Verdict:
        """Say whether labels come differently, wrongly with probability at most alpha."""
        return judged(self.log_evidence, alpha)


def _compared(arrivals: Counts) -> tuple[int, int, float, float]:
    """Return labels of both arms where both waited, the canary's at stable's hazards, its variance.

    Given the past, with hazard h in both, Var(m_c - A_c m_s/A_s) = A_c h (1 - h) (1 + A_c/A_s).
    """
    both = (arrivals[:, 0] > 0) & (arrivals[:, 2] > 0)
    waiting, labels, canary_waiting, canary_labels = arrivals[both].T
    predicted = canary_waiting * (labels / waiting)
    hazard = (labels + canary_labels) / (waiting + canary_waiting)
    variance = canary_waiting * hazard * (1 - hazard) * (1 + canary_waiting / waiting)
    sums = (int(labels.sum()), int(canary_labels.sum()))
    return *sums, float(predicted.sum()), float(variance.sum())

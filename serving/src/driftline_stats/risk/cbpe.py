"""How well the model probably does while labels are not there."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.histogram import as_floats
from driftline_stats.state import State

BINS = 256
_UNIT = 2.0**30

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Metric(StrEnum):
    """What can be estimated; per class, one class against the rest, but for accuracy."""

    ACCURACY = "accuracy"
    PRECISION = "precision"
    RECALL = "recall"
    F1 = "f1"
    AUC = "auc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A metric that was estimated without labels.

    Attributes:
        value: nan where there is nothing to estimate from.
        low: lower end of where the metric of these very rows lies, were their labels known.
        high: upper end.
        rows: that it is estimated from.
    """

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cbpe(State):
    """Confidence-based performance estimation: a histogram of calibrated probabilities.

    If a score p is calibrated, P(y = 1 | p) = p, then among the n_b rows of bin b, of mean p_b, one
    expects n_b p_b positives. The expected confusion matrix is linear in the histogram, so that
    histograms of replicas and of batches add: with rows that the model decided for (D = 1) or
    against (D = 0),

        TP = sum_{D=1} n_b p_b,   FP = sum_{D=1} n_b (1 - p_b),   FN = sum_{D=0} n_b p_b,

    and accuracy, precision, recall, F1 and AUC follow from these.

    Assumes that p is calibrated on the rows at hand: it was calibrated, and since then only the
    inputs' distribution has changed, P(y | x) has not (covariate shift). **It cannot see concept
    drift**: when P(y | x) changes, the estimate stays where it was. It is an estimate, not a test:
    no error rate comes with it, and it never rolls anything back. Use it only where the signature
    says that predictions are calibrated, and beside labels as soon as there are some.

    The sums are exact integers (p in units of 2^-30), so that merging is associative to the bit.

    Source: Garg et al., "Leveraging unlabeled data to predict out-of-distribution performance"
    (ICLR 2022) on average confidence; Bialek et al., "Estimating model performance under covariate
    shift without labels" (2024) on its use in monitoring.

    >>> seen = Cbpe.of([0.9, 0.8, 0.3, 0.2], predicted=[True, True, False, False])
    >>> round(seen.value(Metric.ACCURACY), 6), round(seen.value(Metric.PRECISION), 6)
    (0.8, 0.85)

    Attributes:
        counts: rows by class (one only for a binary model), decision (0: another class, 1: this
            one) and bin of the class's probability; shape (classes, 2, 256).
        sums: sums of the probabilities, in units of 2^-30; same shape.
        unusable: rows with a probability that is none, or a decision for a class that is none.
    """

    KIND: ClassVar[str] = "cbpe"

    counts: Counts
    sums: Counts
    unusable: int = 0

    def __post_init__(self) -> None:
        shape = self.counts.shape
        if len(shape) != 3 or shape[1:] != (2, BINS) or self.sums.shape != shape:
            raise StateError(f"{self.KIND}: shapes {shape} and {self.sums.shape} are no histogram")
        if self.unusable < 0 or (self.counts < 0).any() or (self.sums < 0).any():
            raise StateError(f"{self.KIND}: counts cannot be negative")

    @classmethod
    def start(cls, classes: int = 2) -> Self:
        """Return no rows; a binary model has one probability, that of its positive class.

        Raises:
            StateError: there are fewer than two classes.
        """
        if classes < 2:
            raise StateError(f"{cls.KIND}: a classifier has two classes at least, got {classes}")
        none = np.zeros((1 if classes == 2 else classes, 2, BINS), np.int64)
        return cls(counts=none, sums=none)

    @classmethod
    def of(cls, probabilities: Iterable[object], *, predicted: Iterable[object]) -> Self:
        """Count rows; those where something is no number are unusable.

        >>> seen = Cbpe.of([0.9, 1.5, "high", 0.1], predicted=[True, True, True, None])
        >>> seen.rows, seen.unusable
        (1, 3)

        Args:
            probabilities: calibrated; shape (rows,) of the positive class of a binary model, or
                (rows, classes).
            predicted: whether the positive class was decided for; or the index of the class.

        Raises:
            BatchError: the shapes do not go together.
        """
        p, decided = _numbers(probabilities), _numbers(predicted)
        if p.ndim not in (1, 2) or decided.shape != p.shape[:1]:
            raise BatchError(f"{decided.shape} decisions do not belong to {p.shape} probabilities")
        if p.ndim == 1:
            p, chosen = p[:, None], (decided != 0)[:, None]
            usable = ~np.isnan(decided)
        else:
            chosen = decided[:, None] == np.arange(p.shape[1])
            usable = chosen.any(axis=1)
        usable &= ((p >= 0) & (p <= 1)).all(axis=1)
        counts, sums = _histograms(p[usable], chosen[usable])
        return cls(counts=counts, sums=sums, unusable=int((~usable).sum()))

    def merge(self, other: Self) -> Self:
        """Return the rows of both.

        Raises:
            StateError: the other has other classes.
        """
        if self.counts.shape != other.counts.shape:
            raise StateError(
                f"{self.KIND}: {len(self.counts)} classes cannot merge with {len(other.counts)}"
            )
        return type(self)(
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            unusable=self.unusable + other.unusable,
        )

    update = merge

    def __sub__(self, earlier: Self) -> Self:
        """Return the rows since earlier ones, of which these are the continuation.

        >>> earlier = Cbpe.of([0.9], predicted=[True])
        >>> later = earlier.merge(Cbpe.of([0.2, 0.3], predicted=[False, False]))
        >>> (later - earlier).rows
        2

        Raises:
            StateError: the other has other classes, or is not earlier.
        """
        if self.counts.shape != earlier.counts.shape:
            raise StateError(
                f"{self.KIND}: {len(self.counts)} classes less {len(earlier.counts)} are none"
            )
        return type(self)(
            counts=self.counts - earlier.counts,
            sums=self.sums - earlier.sums,
            unusable=self.unusable - earlier.unusable,
        )

    @property
    def rows(self) -> int:
        """Rows that estimates are made from."""
        return int(self.counts[0].sum())

    def value(self, metric: Metric, class_index: int = 0) -> float:
        """Estimate a metric; nan where there is nothing to estimate it from."""
        return float(_metric(metric, self.sums / _UNIT, self.counts, class_index))

    def estimate(
        self,
        metric: Metric,
        rng: np.random.Generator,
        *,
        class_index: int = 0,
        level: float = 0.95,
        draws: int = 400,
    ) -> Estimate:
        """Estimate a metric, and say between what it would lie if the labels were known.

        Labels are drawn from the histogram; the interval is that of the draws. It holds the chance
        of labels only: none of the doubt whether probabilities are calibrated.

        >>> p = np.full(1000, 0.9)
        >>> found = Cbpe.of(p, predicted=p > 0.5).estimate(
        ...     Metric.ACCURACY, np.random.default_rng(1)
        ... )
        >>> round(found.value, 6), 0.87 < found.low < 0.89, 0.91 < found.high < 0.93
        (0.9, True, True)

        Raises:
            ValueError: the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"a level lies between 0 and 1, got {level}")
        mean = self.sums / _UNIT / np.maximum(self.counts, 1)
        shape = (draws, *self.counts.shape)
        positive = rng.binomial(self.counts, np.minimum(mean, 1), size=shape)
        drawn = _metric(metric, positive.astype(np.float64), self.counts, class_index)
        known = drawn[~np.isnan(drawn)]
        ends = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]) if known.size else (0.0, 1.0)
        low, high = (float(each) for each in ends)
        return Estimate(value=self.value(metric, class_index), low=low, high=high, rows=self.rows)


def _numbers(values: Iterable[object]) -> Floats:
    """Return values in their shape, nan where one is no number."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        array = np.asarray(values, object)
    return as_floats(array.ravel()).reshape(array.shape)


def _histograms(p: Floats, chosen: npt.NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """Return counts and sums of probabilities by class, decision and bin."""
    rows, classes = p.shape
    bins = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    cells = ((np.arange(classes) * 2 + chosen) * BINS + bins).ravel()
    size = classes * 2 * BINS
    sums = np.zeros(size, np.int64)
    np.add.at(sums, cells, np.rint(p * _UNIT).astype(np.int64).ravel())
    counts = np.bincount(cells, minlength=size) if rows else np.zeros(size, np.int64)
    shape = (classes, 2, BINS)
    return counts.astype(np.int64).reshape(shape), sums.reshape(shape)


def _metric(metric: Metric, positive: Floats, counts: Counts, at: int) -> Floats:
    """Return a metric from positives per bin, for any number of draws in front."""
    hits, misses = positive[..., at, :, :], (counts - positive)[..., at, :, :]
    if metric is Metric.AUC:
        return _auc(hits.sum(axis=-2), misses.sum(axis=-2))
    true_positive, false_positive = hits[..., 1, :].sum(axis=-1), misses[..., 1, :].sum(axis=-1)
    false_negative = hits[..., 0, :].sum(axis=-1)
    match metric:
        case Metric.PRECISION:
            return _ratio(true_positive, true_positive + false_positive)
        case Metric.RECALL:
            return _ratio(true_positive, true_positive + false_negative)
        case Metric.F1:
            return _ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative)
        case _:
            return _accuracy(positive, counts)


def _accuracy(positive: Floats, counts: Counts) -> Floats:
    right = positive[..., 1, :].sum(axis=(-1, -2))
    if len(counts) == 1:
        right = right + (counts - positive)[..., 0, :].sum(axis=(-1, -2))
    return _ratio(right, np.asarray(counts[0].sum(), np.float64))


def _auc(hits: Floats, misses: Floats) -> Floats:
    """Return P(a positive scores above a negative), half of those in one bin."""
    below = np.cumsum(misses, axis=-1) - misses / 2
    return _ratio((hits * below).sum(axis=-1), hits.sum(axis=-1) * misses.sum(axis=-1))


def _ratio(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=ratio, where=np.asarray(whole) > 0)
    return ratio

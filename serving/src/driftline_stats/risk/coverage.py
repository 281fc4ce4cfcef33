"""For how many predictions labels have come, and how late: said beside every metric of labels."""

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.histogram import as_floats
from driftline_stats.state import State

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
AGES = (
    *(_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR),
    *(_DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY),
)
"""Upper edges of the classes of age, in seconds; the last class is open."""
CLASSES = len(AGES) + 1

Counts = npt.NDArray[np.int64]


def age_class(seconds: float) -> int:
    """Return the class of an age or a delay; one below 0 (a clock that lags) is in the first.

    >>> age_class(59), age_class(60), age_class(1e9), age_class(-5)
    (0, 1, 10, 0)
    """
    return bisect.bisect_right(AGES, seconds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelCoverage(State):
    r"""Predictions by their age now, how many of each have a label, and how late labels came.

    Descriptive: it tests nothing. A metric of labels speaks for all predictions only where labels
    are missing at random; how many are missing is what this says. Predictions that are too young
    for their label lower the coverage, hence it is also given for those older than an age.

    Counts of replicas add. Of two looks take the later: ages have moved on.

    >>> seen = LabelCoverage.of(ages=[30, 7200, 7200, 9e5], delays=[math.nan, 90, math.nan, 4000])
    >>> print(str(seen).replace("; ", ";\n"))
    labels of 2 of 4 predictions (50 %, of those older than 1 h 66.7 %);
    half within 5 min, 90 % within 6 h

    Attributes:
        predictions: by class of their age now.
        labelled: of these, those with a label, by the same.
        delays: labels by class of their delay.
    """

    KIND: ClassVar[str] = "label-coverage"

    predictions: Counts
    labelled: Counts
    delays: Counts

    def __post_init__(self) -> None:
        if any(each.shape != (CLASSES,) for each in (self.predictions, self.labelled, self.delays)):
            raise StateError(f"{self.KIND}: expected {CLASSES} classes of age")
        if not ((self.labelled >= 0) & (self.labelled <= self.predictions)).all():
            raise BatchError(
                f"labels {self.labelled.tolist()} of predictions {self.predictions.tolist()}"
            )
        if (self.delays < 0).any() or self.delays.sum() != self.labelled.sum():
            raise BatchError(f"{self.delays.sum()} delays of {self.labelled.sum()} labels")

    @classmethod
    def of(cls, *, ages: Iterable[object], delays: Iterable[object]) -> Self:
        """Count predictions.

        Args:
            ages: seconds since each prediction.
            delays: seconds from prediction to label; nan where there is none yet.

        Raises:
            BatchError: they are not of the same length, or an age is not a number.
        """
        age, delay = as_floats(ages), as_floats(delays)
        if age.shape != delay.shape or np.isnan(age).any():
            raise BatchError(f"{age.shape} ages, all numbers, do not go with {delay.shape} delays")
        known = ~np.isnan(delay)
        return cls(
            predictions=_classes(age), labelled=_classes(age[known]), delays=_classes(delay[known])
        )

    def merge(self, other: Self) -> Self:
        """Return the predictions of both, which must be different ones, at the same look."""
        return type(self)(
            predictions=self.predictions + other.predictions,
            labelled=self.labelled + other.labelled,
            delays=self.delays + other.delays,
        )

    def share(self, older_than: float = 0.0) -> float:
        """Return the share of predictions with a label; nan where there are no predictions.

        Args:
            older_than: count only predictions at least as old, in seconds; taken up to the next
                edge of a class.
        """
        first = bisect.bisect_left(AGES, older_than) + 1 if older_than > 0 else 0
        predictions = int(self.predictions[first:].sum())
        return int(self.labelled[first:].sum()) / predictions if predictions else math.nan

    def delay(self, quantile: float) -> float:
        """Return the delay in seconds that this share of labels had at most: the class's edge.

        Only labels that have come are counted, so it is too low while others are awaited.
        """
        total = int(self.delays.sum())
        if not total:
            return math.nan
        at = int(np.searchsorted(np.cumsum(self.delays), quantile * total))
        return AGES[at] if at < len(AGES) else math.inf

    def __str__(self) -> str:
        labels, predictions = int(self.labelled.sum()), int(self.predictions.sum())
        if not labels:
            return f"no label of {predictions:,} predictions"
        shares = _percent(self.share())
        age = _next(self.delay(0.5))
        if not math.isnan(mature := self.share(older_than=age)):
            shares += f", of those older than {_duration(age)} {_percent(mature)}"
        half, most = (_duration(self.delay(quantile)) for quantile in (0.5, 0.9))
        return (
            f"labels of {labels:,} of {predictions:,} predictions ({shares}); "
            f"half within {half}, 90 % within {most}"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledMetric(State):
    """A metric of labels, which is never shown without what it was seen on.

    >>> seen = LabelCoverage.of(ages=[90, 90], delays=[5, math.nan])
    >>> str(LabelledMetric(name="error rate", value=0.1, coverage=seen)).split(";")[0]
    'error rate 0.1, by labels of 1 of 2 predictions (50 %)'
    """

    KIND: ClassVar[str] = "labelled-metric"

    name: str
    value: float
    coverage: LabelCoverage

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g}, by {self.coverage}"


def _classes(seconds: npt.NDArray[np.float64]) -> Counts:
    return np.bincount(np.searchsorted(AGES, seconds, side="right"), minlength=CLASSES)


def _next(seconds: float) -> float:
    at = bisect.bisect_right(AGES, seconds)
    return AGES[min(at + 1, len(AGES) - 1)]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "more"
    for unit, word in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {word}"
    return f"{seconds:.3g} s"

"""What is counted: the bins of all channels, frozen before the first row is counted."""

import hashlib
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import CategoricalBins, NumericBins
from driftline_stats.drift.rows import CATEGORICAL, NUMERIC, Feature
from driftline_stats.state import State

PAIR_CELLS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(State):
    """Two numeric features whose table of terciles is counted.

    Its nine cells are `3 * tercile of first + tercile of second`, low, middle, high. A missing
    value is in the middle: that it is missing is seen in the feature's own channel.

    Attributes:
        first: place of a feature among the numeric ones.
        second: place of the other.
        information: mutual information of their terciles in the reference, in nats.
    """

    KIND: ClassVar[str] = "drift-pair"
    first: int
    second: int
    information: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distance(State):
    """Mahalanobis distance of a row from the reference's centre, in bins.

    With u = round(16 d / scale), cut off at 8 scales, and the centre where d is missing, it is the
    length of `whitening @ (u - centre) / unit`. All but the unit are integers, so that sums are
    exact and a row's distance does not depend on the rows around it.

    Attributes:
        features: places among the numeric features.
        centre: mean of u, rounded; shape [features].
        whitening: shape [features, features]; integers.
        unit: how much of `whitening @ u` is one standard deviation.
        edges: of the bins of the distance, in standard deviations; ascending; shape [bins - 1].
    """

    KIND: ClassVar[str] = "drift-distance"
    features: tuple[int, ...]
    centre: npt.NDArray[np.int64]
    whitening: npt.NDArray[np.int64]
    unit: float
    edges: npt.NDArray[np.float64]

    @property
    def labels(self) -> tuple[str, ...]:
        """Name each bin for people."""
        at = ["0", *(f"{edge:.4g}" for edge in self.edges)]
        between = (f"{lower} to {upper}" for lower, upper in pairwise(at))
        return (*between, f"above {at[-1]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(State):
    """All channels of a model, in the order in which they are counted.

    Counts of plans that differ in anything do not add:

    >>> cities = CategoricalBins(name="city", levels=("Rome", "Oslo"))
    >>> plan = Plan(categorical=(cities, CategoricalBins(name="plan", levels=(1, 2, 3))))
    >>> plan.sizes, plan.starts
    ((4, 5), (0, 4, 9))
    >>> plan.digest == Plan(categorical=(cities,)).digest
    False

    Attributes:
        numeric: in the order of the columns of the matrix.
        categorical: in the order of the columns.
        pairs: of numeric features.
        distance: Mahalanobis; None where there are not two numeric features.
    """

    KIND: ClassVar[str] = "drift-plan"
    numeric: tuple[NumericBins, ...] = ()
    categorical: tuple[CategoricalBins, ...] = ()
    pairs: tuple[Pair, ...] = ()
    distance: Distance | None = None

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features that rows must have, in order."""
        return (
            *(Feature(name=each.name, role=each.role, kind=NUMERIC) for each in self.numeric),
            *(
                Feature(name=each.name, role=each.role, kind=CATEGORICAL)
                for each in self.categorical
            ),
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of bins of each channel: numeric, categorical, pairs, distance."""
        return (
            *(len(each.kinds) for each in self.numeric),
            *(len(each.kinds) for each in self.categorical),
            *(PAIR_CELLS,) * len(self.pairs),
            *((len(self.distance.edges) + 1,) if self.distance is not None else ()),
        )

    @property
    def starts(self) -> tuple[int, ...]:
        """Where the bins of each channel begin in the counts, and where the last ends."""
        return tuple(accumulate(self.sizes, initial=0))

    @property
    def digest(self) -> str:
        """What tells plans apart; counts of different plans are never added."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

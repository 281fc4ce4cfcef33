"""Channels: the multinomials that are watched, each with its law in the reference."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.plan import PAIR_CELLS, Plan
from driftline_stats.drift.rows import CATEGORICAL, FEATURE, NUMERIC

PAIR, DISTANCE = "pair", "distance"
TERCILES = ("low", "middle", "high")
#: Half a row is added to each bin of the reference, so that none is impossible.
PADDING = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channel:
    """One multinomial that is watched: the bins of a feature, of a pair, or of the distance.

    Attributes:
        name: of the feature; `a * b` of a pair; `distance`.
        kind: `numeric`, `categorical`, `pair` or `distance`.
        role: `feature` or `prediction`; of a pair and the distance `feature`.
        features: the names of what it is about.
        bins: what lands in each; those below, interval, value and above stand in order.
        labels: each bin, for people.
        edges: of the bins between below and above, in the feature's unit; empty where there are
            none.
        reference: how many rows of the reference were in each bin; int64.
        start: where its bins begin in `Counts.values`.
    """

    name: str
    kind: str
    role: str = FEATURE
    features: tuple[str, ...]
    bins: tuple[BinKind, ...]
    labels: tuple[str, ...]
    edges: npt.NDArray[np.float64]
    reference: npt.NDArray[np.int64]
    start: int

    @property
    def n_ref(self) -> int:
        """Rows of the reference."""
        return int(self.reference.sum())

    @property
    def q(self) -> npt.NDArray[np.float64]:
        """The reference law, shape [bins]: (rows + 1/2) / (all rows + bins/2)."""
        padded = self.reference + PADDING
        law: npt.NDArray[np.float64] = padded / padded.sum()
        return law

    @property
    def place(self) -> slice:
        """Where its bins are in `Counts.values`."""
        return slice(self.start, self.start + len(self.bins))


def channels_of(plan: Plan, reference: npt.NDArray[np.int64]) -> tuple[Channel, ...]:
    """Return all channels of a plan, in the order in which they are counted.

    Args:
        plan: what is counted.
        reference: counts of the reference by that plan, all channels behind each other.
    """
    channels = []
    start = 0
    for described in _described(plan):
        end = start + len(described.bins)
        channels.append(
            Channel(
                name=described.name,
                kind=described.kind,
                role=described.role,
                features=described.features,
                bins=described.bins,
                labels=described.labels,
                edges=described.edges,
                reference=reference[start:end],
                start=start,
            )
        )
        start = end
    return tuple(channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    name: str
    kind: str
    role: str
    features: tuple[str, ...]
    bins: tuple[BinKind, ...]
    labels: tuple[str, ...]
    edges: npt.NDArray[np.float64]


def _described(plan: Plan) -> Iterator[_Described]:
    none = np.empty(0)
    for numeric in plan.numeric:
        yield _Described(
            name=numeric.name,
            kind=NUMERIC,
            role=numeric.role,
            features=(numeric.name,),
            bins=numeric.kinds,
            labels=numeric.labels,
            edges=numeric.values,
        )
    for categorical in plan.categorical:
        yield _Described(
            name=categorical.name,
            kind=CATEGORICAL,
            role=categorical.role,
            features=(categorical.name,),
            bins=categorical.kinds,
            labels=categorical.labels,
            edges=none,
        )
    for pair in plan.pairs:
        names = plan.numeric[pair.first].name, plan.numeric[pair.second].name
        yield _Described(
            name=" * ".join(names),
            kind=PAIR,
            role=FEATURE,
            features=names,
            bins=(BinKind.CELL,) * PAIR_CELLS,
            labels=tuple(f"{first}, {second}" for first in TERCILES for second in TERCILES),
            edges=none,
        )
    if plan.distance is not None:
        distance = plan.distance
        yield _Described(
            name=DISTANCE,
            kind=DISTANCE,
            role=FEATURE,
            features=tuple(plan.numeric[at].name for at in distance.features),
            bins=(BinKind.INTERVAL,) * len(distance.labels),
            labels=distance.labels,
            edges=distance.edges,
        )

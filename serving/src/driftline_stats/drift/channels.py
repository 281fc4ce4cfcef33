"""Channels: the multinomials that are watched, each with its law in the reference."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.bins import BinKind, CategoricalBins, NumericBins
from driftline_stats.drift.plan import PAIR_CELLS, Distance, Pair, Plan
from driftline_stats.drift.rows import CATEGORICAL, FEATURE, NUMERIC

Ints = npt.NDArray[np.int64]

PAIR, DISTANCE = "pair", "distance"
TERCILES = ("low", "middle", "high")
NO_EDGES = np.empty(0)
#: Half a row is added to each bin of the reference, so that none is impossible.
PADDING = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channel:
    """One multinomial that is watched: the bins of a feature, of a pair, or of the distance.

    What the reference has never shown is rare in its law, but not impossible:

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="city", kind="categorical"),)
    >>> rows = rows_of(features, {"city": ["Rome"] * 6 + ["Oslo"] * 2})
    >>> channel = build(features, rows).channels[0]
    >>> dict(zip(channel.labels, channel.q.tolist(), strict=True))
    {'= Rome': 0.65, '= Oslo': 0.25, 'other': 0.05, 'missing': 0.05}

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
    reference: Ints
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


def channels_of(plan: Plan, reference: Ints) -> tuple[Channel, ...]:
    """Return all channels of a plan, in the order in which they are counted.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, Rows
    >>> numbers = np.random.default_rng(1).normal(size=(500, 2)).astype(np.float32)
    >>> profile = build((Feature(name="age"), Feature(name="debts")), Rows(numeric=numbers))
    >>> [each.name for each in channels_of(profile.plan, profile.reference.values)]
    ['age', 'debts', 'age * debts', 'distance']

    Args:
        plan: what is counted.
        reference: counts of the reference by that plan, all channels behind each other.
    """
    parts = zip(plan.starts, np.split(reference, plan.starts[1:-1]), strict=False)
    return (
        *(_numeric(bins, *part) for bins, part in zip(plan.numeric, parts, strict=False)),
        *(_categorical(bins, *part) for bins, part in zip(plan.categorical, parts, strict=False)),
        *(_pair(plan, pair, *part) for pair, part in zip(plan.pairs, parts, strict=False)),
        *(_distance(plan, plan.distance, *part) for part in parts if plan.distance is not None),
    )


def _numeric(bins: NumericBins, start: int, reference: Ints) -> Channel:
    return Channel(
        name=bins.name,
        kind=NUMERIC,
        role=bins.role,
        features=(bins.name,),
        bins=bins.kinds,
        labels=bins.labels,
        edges=bins.values,
        reference=reference,
        start=start,
    )


def _categorical(bins: CategoricalBins, start: int, reference: Ints) -> Channel:
    return Channel(
        name=bins.name,
        kind=CATEGORICAL,
        role=bins.role,
        features=(bins.name,),
        bins=bins.kinds,
        labels=bins.labels,
        edges=NO_EDGES,
        reference=reference,
        start=start,
    )


def _pair(plan: Plan, pair: Pair, start: int, reference: Ints) -> Channel:
    names = plan.numeric[pair.first].name, plan.numeric[pair.second].name
    return Channel(
        name=" * ".join(names),
        kind=PAIR,
        features=names,
        bins=(BinKind.CELL,) * PAIR_CELLS,
        labels=tuple(f"{first}, {second}" for first in TERCILES for second in TERCILES),
        edges=NO_EDGES,
        reference=reference,
        start=start,
    )


def _distance(plan: Plan, distance: Distance, start: int, reference: Ints) -> Channel:
    return Channel(
        name=DISTANCE,
        kind=DISTANCE,
        features=tuple(plan.numeric[at].name for at in distance.features),
        bins=(BinKind.INTERVAL,) * len(distance.labels),
        labels=distance.labels,
        edges=distance.edges,
        reference=reference,
        start=start,
    )

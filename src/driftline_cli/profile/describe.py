"""What a profile says of each feature, in numbers people know; and how two profiles differ."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.channels import DISTANCE, PAIR, Channel
from driftline_stats.drift.distances import Binned, shares_of
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import CATEGORICAL, FEATURE

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Steps of the area between two distributions.
_STEPS: Final = 200
_LEVEL = "= "


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One feature or prediction.

    Attributes:
        name: of it.
        kind: `numeric` or `categorical`.
        role: `feature` or `prediction`.
        rows: of the profile.
        missing: share of rows without a value.
        odd: share of rows with an infinite number, or with a level that is not among those kept.
        quantiles: of QUANTILES; empty where values have no order, or there are none.
        ends: lower end of the lowest bin, upper end of the highest.
        heavy: values and levels with their shares, the heaviest first.
        channel: that it is told from.
    """

    name: str
    kind: str
    role: str
    rows: int
    missing: float
    odd: float
    quantiles: tuple[float, ...]
    ends: tuple[float, float] | None
    heavy: tuple[tuple[str, float], ...]
    channel: Channel

    @property
    def spread(self) -> float:
        """About a standard deviation: half the distance of the 5 % and 95 % quantiles, / 1.645."""
        return (self.quantiles[-1] - self.quantiles[0]) / 3.29 if self.quantiles else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How one feature differs between two profiles.

    Attributes:
        before: in the first.
        after: in the second.
        moved: by how much values moved on average, in the feature's unit; of levels, the share of
            rows that have another one.
        size: the same in standard deviations of the first; of levels as `moved`.
    """

    before: Described
    after: Described
    moved: float
    size: float


def described(profile: Profile) -> list[Described]:
    """Return what a profile says of each feature and prediction.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"), Feature(name="city", kind="categorical"))
    >>> rows = rows_of(features, {"age": range(100), "city": ["Rome"] * 60 + ["Oslo"] * 40})
    >>> age, city = described(build(features, rows))
    >>> [round(each) for each in age.quantiles], city.heavy
    ([5, 25, 50, 75, 95], (('Rome', 0.6), ('Oslo', 0.4)))
    """
    return [_described(each) for each in profile.channels if each.kind not in (PAIR, DISTANCE)]


def _described(channel: Channel) -> Described:
    values = binned(channel)
    heavy = [
        (channel.labels[at].removeprefix(_LEVEL), shares_of(channel.reference, [at]))
        for at, kind in enumerate(channel.bins)
        if kind in (BinKind.VALUE, BinKind.LEVEL) and channel.reference[at]
    ]
    return Described(
        name=channel.name,
        kind=channel.kind,
        role=channel.role,
        rows=channel.n_ref,
        missing=_share(channel, BinKind.MISSING),
        odd=_share(channel, BinKind.INFINITE, BinKind.OTHER),
        quantiles=tuple(values.quantile(level) for level in QUANTILES) if values else (),
        ends=(float(channel.edges[0]), float(channel.edges[-1])) if values else None,
        heavy=tuple(sorted(heavy, key=lambda each: -each[1])),
        channel=channel,
    )


def binned(channel: Channel) -> Binned | None:
    """Return the values of a channel; None where it has none, or they have no order."""
    places = [at for at, kind in enumerate(channel.bins) if kind in _VALUES]
    counts = channel.reference[places]
    if not channel.edges.size or not counts.any():
        return None
    return Binned(edges=channel.edges, counts=counts)


_VALUES: Final = (BinKind.BELOW, BinKind.INTERVAL, BinKind.VALUE, BinKind.ABOVE)


def _share(channel: Channel, *kinds: BinKind) -> float:
    return shares_of(
        channel.reference, [at for at, kind in enumerate(channel.bins) if kind in kinds]
    )


def differences(before: Profile, after: Profile) -> list[Difference]:
    """Return how the features that both have differ, those that differ most first.

    Predictions come after all features, as they follow from these.

    The profiles need not be counted in the same bins. No verdict follows: two samples of the same
    rows differ a little, too.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> one, other = (rows_of(features, {"age": np.arange(100) + by}) for by in (0, 7))
    >>> (age,) = differences(build(features, one), build(features, other))
    >>> round(age.moved)
    7
    """
    others = {(each.name, each.kind, each.role): each for each in described(after)}
    pairs = [
        (each, others[each.name, each.kind, each.role])
        for each in described(before)
        if (each.name, each.kind, each.role) in others
    ]
    found = [_difference(*pair) for pair in pairs]
    return sorted(
        found, key=lambda each: (each.before.role != FEATURE, -each.size, each.before.name)
    )


def alone(before: Profile, after: Profile) -> tuple[list[str], list[str]]:
    """Return the features that only the first has, and those that only the second has."""
    first, second = (
        {f"{each.name} ({each.kind})" for each in described(side)} for side in (before, after)
    )
    return sorted(first - second), sorted(second - first)


def _difference(before: Described, after: Described) -> Difference:
    if before.kind == CATEGORICAL:
        moved = _levels_moved(before, after)
        return Difference(before=before, after=after, moved=moved, size=moved)
    moved = _values_moved(before, after)
    size = moved / before.spread if before.spread else (math.inf if moved else 0.0)
    return Difference(
        before=before, after=after, moved=moved, size=size + abs(after.missing - before.missing)
    )


def _values_moved(before: Described, after: Described) -> float:
    """Return the area between two distributions, as that between their quantiles."""
    one, other = binned(before.channel), binned(after.channel)
    if one is None or other is None:
        return 0.0
    levels = (np.arange(_STEPS) + 0.5) / _STEPS
    return float(np.mean([abs(other.quantile(at) - one.quantile(at)) for at in levels.tolist()]))


def _levels_moved(before: Described, after: Described) -> float:
    """Return the total variation distance of levels, with what is missing or other as two more."""
    one, other = (
        {f"= {name}": part for name, part in each.heavy}
        | {"missing": each.missing, "other": each.odd}
        for each in (before, after)
    )
    return sum(abs(other.get(name, 0.0) - one.get(name, 0.0)) for name in {**one, **other}) / 2

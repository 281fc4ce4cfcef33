"""A profile without some of its features: theirs are neither counted nor kept."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from driftline_stats.drift.plan import Distance, Pair, Plan
from driftline_stats.drift.profile import Counts, Order, Profile


def without(profile: Profile, names: Collection[str]) -> Profile:
    """Return the profile of the other features; itself where it has none of these.

    Pairs with one of them go too, and so does the distance, of which no part is known alone.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, Rows
    >>> numbers = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    >>> features = tuple(Feature(name=name) for name in ("age", "debts", "income"))
    >>> profile = without(build(features, Rows(numeric=numbers)), {"age"})
    >>> [each.name for each in profile.channels], profile.n_ref
    (['debts', 'income', 'debts * income'], 500)
    """
    plan = profile.plan
    if not any(each.name in names for each in plan.features):
        return profile
    narrowed, kept = _plan(plan, names), _bins(plan, names)
    reference = Counts(
        plan=narrowed.digest,
        rows=profile.reference.rows,
        values=profile.reference.values[kept],
    )
    order = profile.order and Order.of(profile.order.rows, profile.order.counts[:, kept])
    return Profile(plan=narrowed, reference=reference, order=order)


def _plan(plan: Plan, names: Collection[str]) -> Plan:
    places = [at for at, bins in enumerate(plan.numeric) if bins.name not in names]
    new = {at: place for place, at in enumerate(places)}
    return Plan(
        numeric=tuple(plan.numeric[at] for at in places),
        categorical=tuple(bins for bins in plan.categorical if bins.name not in names),
        pairs=tuple(
            replace(pair, first=new[pair.first], second=new[pair.second])
            for pair in plan.pairs
            if _has_pair(new, pair)
        ),
        distance=_moved(plan.distance, new) if _has_distance(new, plan.distance) else None,
    )


def _bins(plan: Plan, names: Collection[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say of each bin whether its channel is kept."""
    new = {at for at, bins in enumerate(plan.numeric) if bins.name not in names}
    kept = (
        *(feature.name not in names for feature in plan.features),
        *(_has_pair(new, pair) for pair in plan.pairs),
        *((_has_distance(new, plan.distance),) if plan.distance else ()),
    )
    return np.repeat(np.array(kept, bool), plan.sizes)


def _has_pair(kept: Collection[int], pair: Pair) -> bool:
    return pair.first in kept and pair.second in kept


def _has_distance(kept: Collection[int], distance: Distance | None) -> bool:
    return distance is not None and all(at in kept for at in distance.features)


def _moved(distance: Distance | None, new: dict[int, int]) -> Distance | None:
    """Return the distance with its features where they now stand."""
    if distance is None:
        return None
    return replace(distance, features=tuple(new[at] for at in distance.features))

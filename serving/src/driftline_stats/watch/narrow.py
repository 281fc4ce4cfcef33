"""A profile without some of its features: what `monitoring.exclude` leaves to be counted."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.plan import Pair, Plan
from driftline_stats.drift.profile import Counts, Order, Profile
from driftline_stats.errors import StateError

Ints = npt.NDArray[np.int64]


def narrowed_plan(plan: Plan, exclude: Collection[str]) -> Plan:
    """Return a plan without some features.

    Pairs that they are part of go with them. So does the distance, if it is over one of them: of
    other columns it would be another distance, which the reference has not counted.

    Args:
        plan: of all features.
        exclude: names; those that it has not change nothing.
    """
    if not _excluded(plan, exclude):
        return plan
    kept = [at for at, each in enumerate(plan.numeric) if each.name not in exclude]
    place = {old: new for new, old in enumerate(kept)}
    pairs = (each for each in plan.pairs if each.first in place and each.second in place)
    distance = plan.distance
    whole = distance is not None and all(at in place for at in distance.features)
    return Plan(
        numeric=tuple(plan.numeric[at] for at in kept),
        categorical=tuple(each for each in plan.categorical if each.name not in exclude),
        pairs=tuple(_moved(each, place) for each in pairs),
        distance=replace(distance, features=tuple(place[at] for at in distance.features))
        if distance is not None and whole
        else None,
    )


def narrowed(profile: Profile, exclude: Collection[str]) -> Profile:
    """Return a profile without some features: the same plan and counts as `narrowed_counts` gives.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"), Feature(name="city", kind="categorical"))
    >>> rows = rows_of(features, {"age": [31, 54, None], "city": ["Rome", "Oslo", "Rome"]})
    >>> without = narrowed(build(features, rows), {"age"})
    >>> [each.name for each in without.channels], without.n_ref
    (['city'], 3)

    Raises:
        StateError: nothing is left.
    """
    if not _excluded(profile.plan, exclude):
        return profile
    plan = narrowed_plan(profile.plan, exclude)
    if not plan.sizes:
        raise StateError("every feature is excluded: nothing is left to be watched")
    kept = kept_bins(profile.plan, exclude)
    order = profile.order
    if order is not None:
        order = Order.of(order.rows, order.counts[:, kept])
    counts = Counts(
        plan=plan.digest, rows=profile.reference.rows, values=profile.reference.values[kept]
    )
    return Profile(plan=plan, reference=counts, order=order)


def kept_bins(plan: Plan, exclude: Collection[str]) -> Ints:
    """Return the places of the bins, among those of the whole plan, that a narrowed one has.

    Args:
        plan: of all features.
        exclude: names of features.
    """
    numeric = [each.name in exclude for each in plan.numeric]
    gone = [
        *numeric,
        *(each.name in exclude for each in plan.categorical),
        *(numeric[each.first] or numeric[each.second] for each in plan.pairs),
    ]
    if plan.distance is not None:
        gone.append(any(numeric[at] for at in plan.distance.features))
    return np.flatnonzero(~np.repeat(gone, plan.sizes))


def _excluded(plan: Plan, exclude: Collection[str]) -> bool:
    return any(each.name in exclude for each in plan.features)


def _moved(pair: Pair, place: dict[int, int]) -> Pair:
    return replace(pair, first=place[pair.first], second=place[pair.second])

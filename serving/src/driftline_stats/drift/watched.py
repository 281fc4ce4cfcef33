"""A profile as a detector's reference: its channels, with what their bins are.

Nothing is decided here; `tilts` says what the kinds of bins are looked at for, and `mixture` which
null hypothesis their counts are held against. Live rows must be counted by the profile's own plan.
"""

from collections.abc import Mapping

import numpy as np

from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.channels import DISTANCE, PAIR, Channel
from driftline_stats.drift.detector import Window
from driftline_stats.drift.inflation import reference_inflation
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.reference import Reference, ReferenceChannel, unknown_inflation
from driftline_stats.drift.tilts import Layout
from driftline_stats.errors import StateError

_ORDERED = {BinKind.BELOW, BinKind.INTERVAL, BinKind.VALUE, BinKind.ABOVE}
_OUT_OF_RANGE = {BinKind.BELOW, BinKind.ABOVE, BinKind.INFINITE, BinKind.OTHER}


def reference_of(profile: Profile, strata: Mapping[str, Counts] | None = None) -> Reference:
    """Return the reference that a detector of this profile needs.

    Where the profile's rows came in the order of time, their variance inflation comes with it. Not
    so with strata: blocks of rows in the order of time are of several, and `reference_inflation`
    needs some that are not.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> reference = reference_of(build(features, rows_of(features, {"age": range(100)})))
    >>> [(each.name, each.role, each.counts.shape) for each in reference.channels], reference.rows
    ([('age', 'feature', (1, 24))], 100)

    Args:
        profile: of the reference.
        strata: its rows apart by stratum, counted by its plan; all together where not given.

    Raises:
        StateError: the strata are not the profile's rows.
    """
    laws = strata if strata is not None else {"all": profile.reference}
    together = sum(laws.values(), start=Counts.none(profile.plan))
    if together.rows != profile.n_ref:
        raise StateError(f"strata of {together.rows} rows, expected the profile's {profile.n_ref}")
    reference = Reference(
        channels=tuple(
            ReferenceChannel(
                name=each.name,
                role=_role(each),
                layout=layout_of(each),
                counts=np.array([law.of(each) for law in laws.values()]),
                inflation=unknown_inflation(),
            )
            for each in profile.channels
        ),
        strata=tuple(laws),
    )
    if profile.order is None or len(laws) > 1:
        return reference
    return reference_inflation(reference, profile.order.counts)


def window_of(counts: Counts, stratum: int = 0) -> Window:
    """Return counts of live rows as a detector's window.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.kernel import Kernel
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> profile = build(features, rows_of(features, {"age": range(100)}))
    >>> live = Kernel(profile.plan).count(rows_of(features, {"age": [50.0, 1e9, float("nan")]}))
    >>> counts, bins = window_of(live).counts, layout_of(profile.channels[0])
    >>> counts.sum(), counts[list(bins.range)].sum(), counts[list(bins.missing)].sum()
    (np.int64(3), np.int64(1), np.int64(1))

    Args:
        counts: by the plan of the profile that the reference was made of.
        stratum: number of the reference's stratum that all of these rows are of.
    """
    return Window(counts=counts.values, stratum=stratum)


def layout_of(channel: Channel) -> Layout:
    """Return what the bins of a profile's channel are.

    Bins below and above the reference's range have a place in the order, and are watched by
    themselves too; infinite values have no such place.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> profile = build(features, rows_of(features, {"age": range(100)}))
    >>> bins = layout_of(profile.channels[0])
    >>> bins.ordered == tuple(range(22)), bins.missing, bins.range
    (True, (22,), (0, 21, 23))
    """
    if channel.kind == PAIR:
        return Layout(grid=tuple(range(len(channel.bins))))
    return Layout(
        ordered=_places(channel, _ORDERED),
        levels=_places(channel, {BinKind.LEVEL}),
        missing=_places(channel, {BinKind.MISSING}),
        range=_places(channel, _OUT_OF_RANGE),
    )


def _role(channel: Channel) -> str:
    return channel.kind if channel.kind in (PAIR, DISTANCE) else channel.role


def _places(channel: Channel, kinds: set[BinKind]) -> tuple[int, ...]:
    return tuple(at for at, kind in enumerate(channel.bins) if kind in kinds)

"""What is computed from a reference once, and shared by all watches of it."""

import pickle
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.delay import expected_delay
from driftline_stats.drift.detector import DetectorPlan
from driftline_stats.drift.mixture import Mixture
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.watched import reference_of
from driftline_stats.errors import BatchError
from driftline_stats.watch.narrow import kept_bins, narrowed
from driftline_stats.watch.packing import counts_of, unpacked
from driftline_stats.watch.plan import ACTING, LEAST_ACTING, WatchPlan
from driftline_stats.watch.slim import mixture_of, slim_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Tables of so many references are kept as they are used, a quarter of a megabyte each.
HOT = 16
#: And of so many more, packed: some 20 KiB each.
PACKED = 2_048
#: Half a standard deviation is what the stated delay is about.
STATED_SHIFT = 0.5
#: Rows between false alarms for which delays are computed; they grow with the logarithm.
_BUDGETS = (1e6, 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What live rows are compared with, before anything is computed from it.

    Attributes:
        profile: packed, as in a `WatchPlan`.
        exclude: features that are not watched.
        live: packed counts of live rows that are the reference instead of the profile's own.
    """

    profile: str
    exclude: tuple[str, ...] = ()
    live: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """What is known of a reference beside its mixture.

    Attributes:
        plan: digest of the plan without the excluded features.
        whole: digest of the one that has them too.
        kept: bins of the whole plan that are left; None where all are.
        deff: variance inflation by direction, 1 where the reference knows none.
        z: the margin for the reference's size.
        ordered: whether the reference's inflation can be trusted.
        about: the features that each channel is about.
        delays: rows in which half a standard deviation of one feature is found, about, at budgets
            of 1e6 and 1e9 rows; 0 where no feature's values have an order.
    """

    plan: str
    whole: str
    kept: Ints | None
    deff: Floats
    z: float
    ordered: bool
    about: tuple[tuple[str, ...], ...]
    delays: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """A reference, ready to be compared with."""

    facts: Facts
    mixture: Mixture

    @property
    def bins(self) -> int:
        """How many bins there are in all."""
        return self.mixture.scores.bins

    @property
    def directions(self) -> int:
        """How many directions all channels have together."""
        return len(self.mixture.scores.names)

    @property
    def components(self) -> int:
        """How many components all directions have together."""
        return self.mixture.weight.size

    def delay(self, budget: float) -> float:
        """Return the rows in which half a standard deviation of one feature is found, about."""
        return float(np.interp(np.log(budget), np.log(_BUDGETS), self.facts.delays))

    def window(self, counts: Counts) -> Ints:
        """Return the counts of the bins that are watched.

        Raises:
            BatchError: they were counted by another plan.
        """
        facts = self.facts
        if counts.plan == facts.plan:
            return counts.values
        if counts.plan == facts.whole and facts.kept is not None:
            return counts.values[facts.kept]
        raise BatchError(
            f"counts are by plan {counts.plan}, expected {facts.plan} or {facts.whole}"
        )

    def rows(self, counts: Ints) -> int:
        """Return the rows of counts: every channel has all of them."""
        starts = self.mixture.scores.starts
        return int(counts[: starts[1] if starts.size > 1 else None].sum())

    def tolerated(self, plan: WatchPlan, *, acting: bool = False) -> float | Floats:
        """Return the tolerance of each component, or one of all.

        Args:
            plan: its tolerances.
            acting: those that ask for action, not only for a warning.
        """
        if plan.tolerances:
            own = np.array([plan.tolerance_of(each) for each in self.facts.about])
        else:
            own = np.array([plan.tolerance])
        if acting:
            own = np.maximum(own * ACTING, LEAST_ACTING)
        if own.size == 1:
            return float(own[0])
        by_component: Floats = own[self.mixture.scores.channel[self.mixture.direction]]
        return by_component


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Whole:
    """A reference with all that there is to tell of it; made where something is told.

    Attributes:
        profile: without the excluded features; of live rows, where they are the reference.
        detector: its budget and tolerance are of no importance.
    """

    profile: Profile
    detector: DetectorPlan


def whole_of(basis: Basis) -> Whole:
    """Return a reference as it is told.

    Raises:
        StateError: the profile is damaged, or every feature is excluded.
    """
    given = Profile.from_json(unpacked(basis.profile))
    return _whole_of(given, basis)


def _whole_of(given: Profile, basis: Basis) -> Whole:
    profile = narrowed(given, basis.exclude)
    if basis.live:
        values = counts_of(basis.live, profile.plan.starts[-1])
        rows = int(values[: profile.plan.sizes[0]].sum())
        counts = Counts(plan=profile.reference.plan, rows=rows, values=values)
        profile = Profile(plan=profile.plan, reference=counts)
    detector = DetectorPlan.make(reference_of(profile), budget=_BUDGETS[0])
    return Whole(profile=profile, detector=detector)


@lru_cache(maxsize=HOT)
def tables_of(basis: Basis) -> Tables:
    """Return the tables of a reference; those that were used last are kept.

    Raises:
        StateError: the profile is damaged, or every feature is excluded.
    """
    facts, kept = pickle.loads(zlib.decompress(_packed(basis)))  # noqa: S301 - made below
    return Tables(facts=facts, mixture=mixture_of(kept))


@lru_cache(maxsize=PACKED)
def _packed(basis: Basis) -> bytes:
    given = Profile.from_json(unpacked(basis.profile))
    whole = _whole_of(given, basis)
    detector, profile = whole.detector, whole.profile
    facts = Facts(
        plan=profile.reference.plan,
        whole=given.reference.plan,
        kept=kept_bins(given.plan, basis.exclude) if basis.exclude else None,
        deff=detector.deff,
        z=detector.z,
        ordered=detector.reference.ordered,
        about=tuple(each.features for each in profile.channels),
        delays=_delays(detector),
    )
    kept = slim_of(detector.mixture, profile.reference.values)
    return zlib.compress(pickle.dumps((facts, kept)), 6)


def _delays(detector: DetectorPlan) -> tuple[float, float]:
    channels = detector.reference.channels
    ordered = [each.name for each in channels if len(each.layout.ordered) > 1]
    if not ordered:
        return 0.0, 0.0
    found = [expected_delay(detector, ordered[0], STATED_SHIFT, each) for each in _BUDGETS]
    lower, upper = (each if np.isfinite(each) else 0.0 for each in found)
    return lower, upper

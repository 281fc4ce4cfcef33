"""What is computed from a profile once, and shared by all watches of it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.delay import expected_delay
from driftline_stats.drift.detector import DetectorPlan, Window
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.watched import reference_of
from driftline_stats.errors import BatchError
from driftline_stats.watch.narrow import kept_bins, narrowed
from driftline_stats.watch.packing import unpacked
from driftline_stats.watch.plan import ACTING, LEAST_ACTING, WatchPlan

Floats = npt.NDArray[np.float64]

#: Tables of so many profiles are kept; those of 20 features and 190 pairs take half a megabyte.
KEPT = 32
#: Half a standard deviation is what the stated delay is about.
STATED_SHIFT = 0.5
#: Rows between false alarms for which the delay is stated; it grows with their logarithm alone.
_STATED_BUDGET = 1e6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """A reference, ready to be compared with.

    Attributes:
        profile: without the excluded features.
        whole: digest of the plan that has the excluded ones too.
        kept: bins of the whole plan that this profile has.
        detector: mixture, inflation and margin of the reference; its budget and tolerance are of no
            importance.
        about: the features that each channel is about.
        delay: rows in which half a standard deviation of one feature is found, about.
    """

    profile: Profile
    whole: str
    kept: npt.NDArray[np.int64]
    detector: DetectorPlan
    about: tuple[tuple[str, ...], ...]
    delay: float

    @classmethod
    def of(cls, profile: Profile, exclude: tuple[str, ...]) -> "Tables":
        """Compute the tables of a profile.

        Raises:
            StateError: every feature is excluded.
        """
        left = narrowed(profile, exclude)
        reference = reference_of(left)
        detector = DetectorPlan.make(reference, budget=_STATED_BUDGET)
        ordered = [each.name for each in reference.channels if len(each.layout.ordered) > 1]
        delay = expected_delay(detector, ordered[0], STATED_SHIFT) if ordered else 0.0
        return cls(
            profile=left,
            whole=profile.plan.digest,
            kept=kept_bins(profile.plan, exclude),
            detector=detector,
            about=tuple(each.features for each in left.channels),
            delay=delay if np.isfinite(delay) else 0.0,
        )

    @property
    def bins(self) -> int:
        """How many bins there are in all."""
        return self.detector.mixture.scores.bins

    @property
    def directions(self) -> int:
        """How many directions all channels have together."""
        return len(self.detector.mixture.scores.names)

    @property
    def components(self) -> int:
        """How many components all directions have together."""
        return self.detector.mixture.weight.size

    def window(self, counts: Counts) -> Window:
        """Return counts as a window of the detector.

        Raises:
            BatchError: they were counted by another plan.
        """
        if counts.plan == self.profile.plan.digest:
            return Window(counts=counts.values)
        if counts.plan == self.whole:
            return Window(counts=counts.values[self.kept])
        raise BatchError(
            f"counts are by plan {counts.plan}, expected {self.profile.plan.digest} or {self.whole}"
        )

    def tolerated(self, plan: WatchPlan, *, acting: bool = False) -> float | Floats:
        """Return the tolerance of each component, or one of all.

        Args:
            plan: its tolerances.
            acting: those that ask for action, not only for a warning.
        """
        if plan.tolerances:
            own = np.array([plan.tolerance_of(each) for each in self.about])
        else:
            own = np.array([plan.tolerance])
        if acting:
            own = np.maximum(own * ACTING, LEAST_ACTING)
        if own.size == 1:
            return float(own[0])
        mixture = self.detector.mixture
        by_component: Floats = own[mixture.scores.channel[mixture.direction]]
        return by_component


@lru_cache(maxsize=KEPT)
def tables_of(profile: str, exclude: tuple[str, ...]) -> Tables:
    """Return the tables of a packed profile; those that were used last are kept.

    Raises:
        StateError: the profile is damaged, or every feature is excluded.
    """
    return Tables.of(Profile.from_json(unpacked(profile)), exclude)

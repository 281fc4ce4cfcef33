"""What is watched for: settings of a Model, and what its live rows are compared with."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from driftline_stats.drift.budget import DAYS_PER_YEAR, row_budget
from driftline_stats.drift.profile import Profile
from driftline_stats.errors import StateError
from driftline_stats.state import State
from driftline_stats.watch.packing import packed_text, unpacked

YEAR_SECONDS = DAYS_PER_YEAR * 86400
#: How the false alarms of a year are dealt among what may raise one.
SHARES = {"drift": 0.7, "labels": 0.2, "faults": 0.1}
#: No look uses up more than so many seconds of the budget, however long ago the last one was.
LONGEST_LOOK = 3600.0
#: What is asked of an effect before anybody acts on it, as a multiple of the tolerance; at least.
ACTING, LEAST_ACTING = 2.5, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPlan(State):
    """What a watch looks for. Two watches of one plan share what is computed from it.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features = (Feature(name="age"),)
    >>> profile = build(features, rows_of(features, {"age": range(100)}))
    >>> plan = WatchPlan(profile=WatchPlan.packed(profile), false_alarms_per_year=2)
    >>> plan.unpacked() == profile, round(plan.budget(rows_per_day=1_000))
    (True, 182625)

    Attributes:
        profile: what live rows are compared with, as `packed` returns it.
        trained: whether the profile is of training data; else of live rows that were learned, and
            a difference from training is never claimed.
        tolerance: the effect that does not matter, as the square root of a chi-square distance:
            about the shift of a mean in standard deviations.
        tolerances: the same for features with one of their own. A pair has the larger of its two,
            the distance the largest of all.
        exclude: features that are not watched.
        false_alarms_per_year: how often a false alarm is acceptable; drift, labels and faults share
            it.
        rows_between_alarms: the same in rows, where there is no clock, as in a file. None: looks
            use it up by the seconds that they cover.
        alpha: of a false verdict of training-serving skew, once for a revision.
        first: rows that this verdict is about, and that become the reference if they are accepted.
        accepted: whether somebody accepted the first rows, so that they are the reference.
        units: of features, for people.
    """

    KIND: ClassVar[str] = "watch-plan"

    profile: str
    trained: bool = True
    tolerance: float = 0.1
    tolerances: Mapping[str, float] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    false_alarms_per_year: float = 1.0
    rows_between_alarms: float | None = None
    alpha: float = 0.01
    first: int = 10_000
    accepted: bool = False
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(each >= 0 for each in (self.tolerance, *self.tolerances.values())):
            raise StateError(f"{self.KIND}: a tolerance is 0 or more")
        if not (self.false_alarms_per_year > 0 and 0 < self.alpha < 1 and self.first > 0):
            raise StateError(
                f"{self.KIND}: false alarms a year and first rows must be more than 0, and alpha "
                f"between 0 and 1, got {self.false_alarms_per_year}, {self.first}, {self.alpha}"
            )
        if self.rows_between_alarms is not None and not self.rows_between_alarms >= 1:
            raise StateError(f"{self.KIND}: between two false alarms are 1 or more rows")

    @staticmethod
    def packed(profile: Profile) -> str:
        """Return a profile as it is kept."""
        return packed_text(profile.to_json())

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """Return the plan for training data, with all that is usual."""
        return cls(profile=cls.packed(profile))

    @property
    def reference(self) -> str:
        """What tells references apart: evidence against one says nothing about another."""
        told = "\n".join((self.profile, str(self.trained), *sorted(self.exclude)))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def unpacked(self) -> Profile:
        """Return the profile.

        Raises:
            StateError: it is damaged.
        """
        return Profile.from_json(unpacked(self.profile))

    def budget(self, rows_per_day: float) -> float:
        """Return the rows that pass on average until anything raises a false alarm."""
        if self.rows_between_alarms is not None:
            return self.rows_between_alarms
        return row_budget(self.false_alarms_per_year, rows_per_day)

    def share(self, kind: str, rows: int, seconds: float) -> float:
        """Return g_w: the share of the budget of one of `SHARES` that a look uses up.

        By seconds it is that of its rows, at the traffic that it measured. So the expected number
        of false alarms in a year is what was asked for, however traffic changes.

        Args:
            kind: a key of `SHARES`.
            rows: of the look; one without rows uses up nothing.
            seconds: since the last look that had any; no more than an hour counts.
        """
        if not rows:
            return 0.0
        if self.rows_between_alarms is not None:
            return SHARES[kind] * rows / self.rows_between_alarms
        passed = min(max(seconds, 0.0), LONGEST_LOOK)
        return SHARES[kind] * passed * self.false_alarms_per_year / YEAR_SECONDS

    def tolerance_of(self, features: tuple[str, ...]) -> float:
        """Return the tolerance of a channel that is about these features."""
        return max((self.tolerances.get(each, self.tolerance) for each in features), default=0.0)

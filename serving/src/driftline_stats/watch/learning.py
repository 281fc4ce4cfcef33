"""A baseline where there is no profile: the first rows, counted by bins that a monitor proposed.

Rows become a reference only once they are stable: the later half of them is held against the
earlier one, by the evidence of `drift.report` with the tolerance that asks for action. Where it
differs, the earlier half is given up, the later one becomes the earlier, and more rows are waited
for; after five times the last rows are taken all the same, and that is said.

When it is wrong: slow drift looks stable, and rows that depend on each other may look as if they
were not, which costs time. What was wrong from the first row on is the reference: such a baseline
never says anything about training.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.detector import DetectorPlan, Window
from driftline_stats.drift.plan import Plan
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.report import Seen
from driftline_stats.drift.watched import reference_of
from driftline_stats.errors import BatchError
from driftline_stats.state import State
from driftline_stats.watch.findings import Findings, learning
from driftline_stats.watch.packing import counts_of, packed_counts, packed_text, unpacked
from driftline_stats.watch.plan import LEAST_ACTING, WatchPlan

Ints = npt.NDArray[np.int64]

#: How often rows that are not stable are given up.
MOST_ROUNDS = 5
#: Evidence, as a natural logarithm, that the halves differ.
_UNSTABLE = math.log(1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning(State):
    """A baseline that is being learned, or is frozen.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.kernel import Kernel
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> features, rng = (Feature(name="age"),), np.random.default_rng(1)
    >>> def ages(number: int):
    ...     return rows_of(features, {"age": rng.normal(40, 10, number)})
    >>> plan = build(features, ages(1_000)).plan
    >>> kernel, state = Kernel(plan), Learning.start(plan, 1_000)
    >>> while state.profile is None:
    ...     state = state.update(kernel.count(ages(150)))
    >>> state.profile.n_ref, state.findings().message
    (1050, 'The baseline is frozen: 1,050 rows.')

    Attributes:
        plan: JSON of the bins, packed.
        bins: how many there are.
        wanted: rows.
        earlier: packed counts of the first half; empty before there are any.
        later: the same of the second.
        rows_earlier, rows_later: their rows.
        rounds: how often rows were given up.
        frozen: whether no more are taken.
        stable: whether they were stable when they were frozen.
    """

    KIND: ClassVar[str] = "watch-learning"

    plan: str
    bins: int
    wanted: int
    earlier: str = ""
    later: str = ""
    rows_earlier: int = 0
    rows_later: int = 0
    rounds: int = 0
    frozen: bool = False
    stable: bool = True

    @classmethod
    def start(cls, plan: Plan, rows: int) -> Self:
        """Return it before the first row.

        Args:
            plan: what is counted, by all monitors.
            rows: that become the baseline, over all replicas.
        """
        return cls(plan=packed_text(plan.to_json()), bins=plan.starts[-1], wanted=rows)

    def update(self, counts: Counts) -> Self:
        """Return it after the rows of one look; once it is frozen nothing changes.

        Raises:
            BatchError: they are counted by another plan.
        """
        if self.frozen or not counts.rows:
            return self
        if counts.values.shape != (self.bins,) or counts.plan != self.unpacked().digest:
            raise BatchError(f"counts are by plan {counts.plan}, not by the one that is learned")
        if 2 * self.rows_earlier < self.wanted:
            return replace(
                self,
                earlier=_added(self.earlier, counts),
                rows_earlier=self.rows_earlier + counts.rows,
            )
        after = replace(
            self, later=_added(self.later, counts), rows_later=self.rows_later + counts.rows
        )
        return after._closed() if after.rows >= self.wanted else after  # noqa: SLF001 - its own

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self.rows_earlier + self.rows_later

    @property
    def profile(self) -> Profile | None:
        """The baseline; None before it is frozen."""
        if not self.frozen:
            return None
        plan = self.unpacked()
        values = self._counts(self.earlier) + self._counts(self.later)
        return Profile(plan=plan, reference=Counts(plan=plan.digest, rows=self.rows, values=values))

    def unpacked(self) -> Plan:
        """Return the bins.

        Raises:
            StateError: they are damaged.
        """
        return Plan.from_json(unpacked(self.plan))

    def findings(self) -> Findings:
        """Return what is to be said of a revision meanwhile."""
        note = ""
        if self.rounds:
            note = (
                f"{self.rounds} times rows were given up, since the later half of them differed "
                "from the earlier one."
            )
        if not self.frozen:
            return learning(self.rows, self.wanted, note)
        frozen = f"The baseline is frozen: {self.rows:,} rows."
        unstable = "" if self.stable else " They were still changing; better give a profile."
        return replace(learning(self.rows, self.wanted), message=frozen + unstable)

    def _closed(self) -> Self:
        """Return it frozen, or with the earlier half given up."""
        stable = self._halves_differ_by() < _UNSTABLE
        if stable or self.rounds >= MOST_ROUNDS:
            return replace(self, frozen=True, stable=stable)
        return replace(
            self,
            earlier=self.later,
            rows_earlier=self.rows_later,
            later="",
            rows_later=0,
            rounds=self.rounds + 1,
        )

    def _halves_differ_by(self) -> float:
        """Return ln E of the later half against the earlier one."""
        plan = self.unpacked()
        earlier = Counts(
            plan=plan.digest, rows=self.rows_earlier, values=self._counts(self.earlier)
        )
        reference = reference_of(Profile(plan=plan, reference=earlier))
        detector = DetectorPlan.make(reference, budget=1.0, tolerance=LEAST_ACTING)
        window = Window(counts=self._counts(self.later))
        seen = Seen(plan=detector, windows=(window,), deff=detector.deff)
        terms = seen.log_products + np.log(detector.mixture.weight)
        return float(np.logaddexp.reduce(terms))

    def _counts(self, text: str) -> Ints:
        return counts_of(text, self.bins) if text else np.zeros(self.bins, np.int64)


def plan_learned(profile: Profile, like: WatchPlan) -> WatchPlan:
    """Return the plan of a watch against learned rows, with the settings of another plan.

    Args:
        profile: that was learned.
        like: whose settings are taken.
    """
    return replace(like, profile=WatchPlan.packed(profile), trained=False, accepted=False)


def _added(text: str, counts: Counts) -> str:
    before = counts_of(text, counts.values.size) if text else 0
    return packed_counts(counts.values + before)

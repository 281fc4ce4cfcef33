"""Drift of live traffic against a reference: a mixture e-detector over all channels.

A window with n_w rows gives each component i its likelihood ratio L_i (`mixture`), and

    R_i <- (g_w + R_i) L_i,    g_w = n_w / budget,    M = sum_i w_i R_i,    alarm when M >= 1

(`shiryaev_roberts`). Null hypothesis: every channel's live law stays within a chi-square distance
of tolerance**2 of the reference's.

Guarantee: expected rows until a false alarm are at least the budget, however the windows are cut
and however channels depend on each other, and an idle model never alarms. It is exact with
independent rows and a law that is known; the margin z for a law that was estimated and the power
1/deff for rows that depend on each other are heuristics that simulations check.

Where the reference does not know how its rows depend on each other (it was shuffled, or its order
is not known), live rows must tell: the first 20 blocks of them, each a look of at least 32 rows,
are no evidence yet.

Under optional stopping: looks may come at any time and go on for ever, and within n rows a false
alarm has a probability of at most n/budget. But a look must not come because of what the rows of
its window say. `alarmed` speaks of the last window alone, which is what the budget is about.

Source: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change
detection" (New England Journal of Statistics in Data Science, 2024).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.budget import condition_rows
from driftline_stats.drift.inflation import WARN_ABOVE, InflationMeter, standardised
from driftline_stats.drift.margin import margin_for
from driftline_stats.drift.mixture import Mixture
from driftline_stats.drift.reference import Reference
from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict
from driftline_stats.shiryaev_roberts import ShiryaevRoberts, share_of_budget
from driftline_stats.state import State

Floats = npt.NDArray[np.float64]


class _Tabled(State):
    """A state that carries what is computed from it once."""

    __slots__ = ("deff", "mixture")
    mixture: Mixture
    deff: Floats  #: the reference's variance inflation by direction; 1 where it is not known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectorPlan(_Tabled):
    """What a detector looks for, frozen at its start.

    >>> from driftline_stats.drift.reference import ReferenceChannel, unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[700, 300]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> plan = DetectorPlan.make(Reference(channels=(channel,)), budget=100_000, delay=2_400)
    >>> plan.tolerance, plan.z, plan.clear_after
    (0.1, 1.5, 12000)

    Attributes:
        reference: what is compared with.
        tolerance: the chi-square distance that does not matter, as its square root: about the shift
            of a mean in standard deviations. 0.1 to warn, 0.22 to 0.32 to act.
        budget: expected rows between two false alarms.
        z: the margin for a reference of finite size; `margin` says for which budgets its values
            were simulated.
        clear_after: rows without another alarm after which drift is no longer reported.
    """

    KIND: ClassVar[str] = "drift-detector-plan"

    reference: Reference
    tolerance: float
    budget: float
    z: float
    clear_after: int

    def __post_init__(self) -> None:
        if not (self.tolerance >= 0 and self.budget >= 1 and self.z >= 0):
            raise StateError(
                f"a tolerance and a margin of 0 or more and a budget of 1 or more rows are needed, "
                f"got {self.tolerance}, {self.z} and {self.budget}"
            )
        object.__setattr__(self, "mixture", Mixture.of(self.reference))
        object.__setattr__(self, "deff", _known_inflation(self.reference))

    @classmethod
    def make(
        cls,
        reference: Reference,
        *,
        budget: float,
        tolerance: float = 0.1,
        delay: float = 0.0,
    ) -> Self:
        """Return a plan, with the margin that the reference's size asks for.

        Args:
            reference: what is compared with.
            budget: expected rows between two false alarms.
            tolerance: see the class.
            delay: rows in which a drift that matters is found.

        Raises:
            StateError: the tolerance is negative, or the budget less than a row.
        """
        return cls(
            reference=reference,
            tolerance=tolerance,
            budget=budget,
            z=margin_for(reference.rows),
            clear_after=condition_rows(delay),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window(State):
    """Live counts of one look, all of one stratum; those of replicas add.

    >>> (Window(counts=np.array([3, 1])) + Window(counts=np.array([2, 2]))).counts
    array([5, 3])

    Attributes:
        counts: of the bins of all channels of the reference, one channel after another.
        stratum: number of the reference's stratum.
    """

    KIND: ClassVar[str] = "drift-window"

    counts: npt.NDArray[np.int64]
    stratum: int = 0

    def __add__(self, other: "Window") -> "Window":
        """Return the counts of both.

        Raises:
            BatchError: they are of different strata or bins.
        """
        if self.stratum != other.stratum or self.counts.shape != other.counts.shape:
            raise BatchError("only windows of the same stratum and bins add")
        return Window(counts=self.counts + other.counts, stratum=self.stratum)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftDetector(State):
    """The detector of the module; see there for the null hypothesis and what is guaranteed.

    It has no `merge`: windows follow one another, and what adds are the counts in them.

    >>> from driftline_stats.drift.build import build
    >>> from driftline_stats.drift.kernel import Kernel
    >>> from driftline_stats.drift.rows import Feature, rows_of
    >>> from driftline_stats.drift.watched import reference_of, window_of
    >>> features, rng = (Feature(name="age"),), np.random.default_rng(1)
    >>> rows = rows_of(features, {"age": rng.normal(40, 10, 10_000)})
    >>> profile = build(features, rows, in_order=True)
    >>> detector = DriftDetector.start(DetectorPlan.make(reference_of(profile), budget=100_000))
    >>> older = rows_of(features, {"age": rng.normal(55, 10, 64)})
    >>> detector = detector.update(window_of(Kernel(profile.plan).count(older)))
    >>> detector.alarmed, detector.drifting, detector.verdict().rejected
    (True, True, True)

    Attributes:
        plan: frozen.
        recursion: R of every component.
        meter: variance inflation of the first live rows.
        rows: seen so far.
        alarmed_at: rows seen at the last alarm, None if there was none.
    """

    KIND: ClassVar[str] = "drift-detector"

    plan: DetectorPlan
    recursion: ShiryaevRoberts
    meter: InflationMeter
    rows: int = 0
    alarmed_at: int | None = None

    @classmethod
    def start(cls, plan: DetectorPlan) -> Self:
        """Return the detector before the first window."""
        mixture = plan.mixture
        return cls(
            plan=plan,
            recursion=ShiryaevRoberts.start(mixture.weight / mixture.weight.sum()),
            meter=InflationMeter.start(len(mixture.scores.names)),
        )

    def update(self, batch: Window) -> Self:
        """Return the detector after one more window; one without rows changes nothing.

        Raises:
            BatchError: counts are negative, of other bins, or of a stratum that is not known.
        """
        rows = checked_rows(self.plan, batch)
        if not rows:
            return self
        mixture, plan = self.plan.mixture, self.plan
        if not (plan.reference.ordered or self.meter.enough):
            return replace(self, meter=self._metered(batch, rows), rows=self.rows + rows)
        deff = self.deff
        constants = mixture.log_constants(plan.tolerance, plan.z, deff, batch.stratum)
        ratios = mixture.log_ratios(batch.counts, constants, deff, batch.stratum)
        recursion = self.recursion.update(ratios, share=share_of_budget(rows, plan.budget))
        seen = self.rows + rows
        return replace(
            self,
            recursion=recursion,
            meter=self._metered(batch, rows),
            rows=seen,
            alarmed_at=seen if recursion.alarmed else self.alarmed_at,
        )

    def _metered(self, batch: Window, rows: int) -> InflationMeter:
        if self.meter.complete:
            return self.meter
        scores = self.plan.mixture.scores
        return self.meter.add(standardised(scores, batch.counts, batch.stratum), rows)

    @property
    def deff(self) -> Floats:
        """Variance inflation by direction, the larger of the reference's and the live rows'."""
        live = self.meter.allowed_for(trusted=self.plan.reference.ordered)
        return np.maximum(self.plan.deff, live)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of M; 0 is the bar."""
        return self.recursion.log_evidence

    @property
    def alarmed(self) -> bool:
        """Whether the last window that had rows raised an alarm."""
        return self.recursion.alarmed

    def verdict(self) -> Verdict:
        """Say whether the last window raised an alarm; the bar of 1 has the budget in it."""
        return Verdict(rejected=self.alarmed, log_evidence=self.log_evidence, log_bar=0.0)

    @property
    def drifting(self) -> bool:
        """Whether there was an alarm, and not yet enough rows without another."""
        return self.alarmed_at is not None and self.rows - self.alarmed_at < self.plan.clear_after

    @property
    def dependent(self) -> tuple[tuple[str, str, float], ...]:
        """Channel, direction and inflation wherever it is above 5, the largest first."""
        deff, names = self.deff, self.plan.mixture.scores.names
        found = [(*names[at], float(deff[at])) for at in np.flatnonzero(deff > WARN_ABOVE)]
        return tuple(sorted(found, key=lambda each: -each[2]))

    def log_evidence_by(self) -> dict[tuple[str, str], float]:
        """Return the share of ln M that each direction of each channel has: ln sum w_i R_i."""
        mixture, log_r = self.plan.mixture, self.recursion.log_r
        with np.errstate(divide="ignore"):
            terms = np.log(mixture.weight) + log_r
        names = mixture.scores.names
        return {
            name: float(np.logaddexp.reduce(terms[mixture.direction == at]))
            for at, name in enumerate(names)
        }


def checked_rows(plan: DetectorPlan, batch: Window) -> int:
    """Return the rows of a window: those of the channel that has most of them.

    >>> from driftline_stats.drift.reference import ReferenceChannel, unknown_inflation
    >>> from driftline_stats.drift.tilts import Layout
    >>> channel = ReferenceChannel(
    ...     name="plan",
    ...     role="feature",
    ...     layout=Layout(levels=(0, 1)),
    ...     counts=np.array([[700, 300]]),
    ...     inflation=unknown_inflation(),
    ... )
    >>> plan = DetectorPlan.make(Reference(channels=(channel,)), budget=100_000)
    >>> checked_rows(plan, Window(counts=np.array([60, 40])))
    100
    >>> checked_rows(plan, Window(counts=np.array([60, 40, 0])))
    Traceback (most recent call last):
    ...
    driftline_stats.errors.BatchError: expected counts of 2 bins, got (3,)

    Raises:
        BatchError: counts are negative, of other bins, or of a stratum that is not known.
    """
    scores, strata = plan.mixture.scores, len(plan.reference.strata)
    if batch.counts.shape != (scores.bins,):
        raise BatchError(f"expected counts of {scores.bins} bins, got {batch.counts.shape}")
    if not 0 <= batch.stratum < strata:
        raise BatchError(f"stratum {batch.stratum} is none of {strata}")
    if (batch.counts < 0).any():
        raise BatchError("counts cannot be negative")
    return int(np.add.reduceat(batch.counts, scores.starts).max())


def _known_inflation(reference: Reference) -> Floats:
    parts = [
        np.maximum(each.inflation, 1.0) if each.inflation.size else np.ones(len(each.pooled))
        for each in reference.channels
    ]
    return np.concatenate(parts)

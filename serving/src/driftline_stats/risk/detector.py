"""Has the risk of a deployed model risen above what it may be?"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict
from driftline_stats.histogram import as_floats
from driftline_stats.shiryaev_roberts import ShiryaevRoberts, share_of_budget
from driftline_stats.state import State

ODDS = (1.25, 1.5, 2.0, 4.0)
ODDS_OF_LOSSES = (*ODDS, 10.0, 100.0)
CLEAR_AFTER = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWindow(State):
    """Labels that arrived in one look: right or wrong, by stratum (a cohort, an hour of the week).

    >>> (ErrorWindow(rows={"a": 9}, errors={"a": 1}) + ErrorWindow(rows={"b": 3}, errors={})).total
    12
    """

    KIND: ClassVar[str] = "error-window"

    rows: Mapping[str, int]
    errors: Mapping[str, int]

    def __post_init__(self) -> None:
        for stratum in self.rows.keys() | self.errors.keys():
            rows, errors = self.rows.get(stratum, 0), self.errors.get(stratum, 0)
            if not 0 <= errors <= rows:
                raise BatchError(f"stratum {stratum!r}: {errors} errors of {rows} rows")

    def __add__(self, other: "ErrorWindow") -> "ErrorWindow":
        return ErrorWindow(
            rows=_added(self.rows, other.rows), errors=_added(self.errors, other.errors)
        )

    @property
    def total(self) -> int:
        """Rows of all strata."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossWindow(State):
    """Labels that arrived in one look, with losses in [0, 1], as sums of one detector's bets.

    Attributes:
        total: rows whose loss is a number.
        missing: rows whose loss is not; no evidence, but to be shown.
        loss: sum of losses.
        log_sums: sum of ln(1 + (odds - 1) y) - ln(1 + (odds - 1) p0), one per odds ratio.
    """

    KIND: ClassVar[str] = "loss-window"

    total: int
    missing: int
    loss: float
    log_sums: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.total < 0 or self.missing < 0 or not -1e-9 <= self.loss <= self.total * (1 + 1e-9):
            raise BatchError(f"a loss of {self.loss} in {self.total} rows, {self.missing} missing")

    def __add__(self, other: "LossWindow") -> "LossWindow":
        if self.log_sums.shape != other.log_sums.shape:
            raise BatchError("these windows are of detectors with other odds")
        return LossWindow(
            total=self.total + other.total,
            missing=self.missing + other.missing,
            loss=self.loss + other.loss,
            log_sums=self.log_sums + other.log_sums,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskDetector(State):
    """An alarm when the risk has risen, with a budget of rows between two false ones.

    A window w of labels that arrived in one look multiplies, for each odds ratio theta, over strata
    s with reference risk p_s, n_s rows and x_s errors,

        L(theta) = prod_s theta^x_s / (1 + (theta - 1) p_s)^n_s,

    and for losses y in [0, 1] prod (1 + (theta - 1) y) / (1 + (theta - 1) p_s), the same bet.
    These gather by Shiryaev-Roberts, R <- (n_w/budget + R) L, alarm when the mean R reaches 1.

    Null hypothesis: given the past, each label's loss has mean at most the p_s of its stratum.

    Guarantee: while that holds, at least `budget` labels pass on average until an alarm (and from
    one alarm to the next), whatever the windows' sizes. Exact for a p_s that is known. For one that
    was estimated, give `upper_risk`; then it holds except with that bound's own error probability.

    Assumes that the labels that arrive are a fair sample of their stratum. When errors are labelled
    sooner than the rest, a look sees too many of them while traffic grows: then name strata by the
    age of the prediction too, each with its own reference. When errors come in bursts, rows are not
    independent, the null is not true in the burst, and alarms come sooner than the budget says.

    Source: Podkopaev & Ramdas, "Tracking the risk of a deployed model and detecting harmful
    distribution shifts" (ICLR 2022); as an e-detector, Shin, Ramdas & Rinaldo (2023).

    >>> detector = RiskDetector.start({"all": 0.10}, budget=100_000)
    >>> for _ in range(6):
    ...     detector = detector.update(ErrorWindow(rows={"all": 100}, errors={"all": 20}))
    >>> detector.alarmed, detector.raised
    (True, True)

    Attributes:
        reference: p_s by stratum.
        otherwise: the reference risk of rows in strata that are not named.
        odds: theta, the alternatives as odds ratios.
        budget: labels between two false alarms.
        clear_after: labels without a further alarm after which the condition clears.
        recursion: R of each alternative.
        since_alarm: labels since the last alarm.
    """

    KIND: ClassVar[str] = "risk-detector"

    reference: Mapping[str, float]
    otherwise: float
    odds: tuple[float, ...]
    budget: float
    clear_after: int
    recursion: ShiryaevRoberts
    since_alarm: int = 0

    def __post_init__(self) -> None:
        risks = (*self.reference.values(), self.otherwise)
        if not all(0 <= risk <= 1 for risk in risks):
            raise StateError(f"{self.KIND}: a risk lies between 0 and 1, got {sorted(risks)}")
        if not self.odds or not all(1 < odds < math.inf for odds in self.odds):
            raise StateError(f"{self.KIND}: odds ratios must be above 1, got {self.odds}")
        if len(self.odds) != self.recursion.log_r.size:
            raise StateError(f"{self.KIND}: {len(self.odds)} odds ratios for another recursion")
        share_of_budget(0, self.budget)

    @classmethod
    def start(
        cls,
        reference: Mapping[str, float],
        *,
        budget: float,
        odds: tuple[float, ...] = ODDS,
        clear_after: int = CLEAR_AFTER,
    ) -> Self:
        """Return the detector before the first label.

        Args:
            reference: the risk that is still fine, by stratum; strata without one have the highest.
            budget: labels that shall pass between two false alarms.
            odds: alternatives; for losses of small variance take `ODDS_OF_LOSSES`.
            clear_after: labels without a further alarm after which the condition clears.

        Raises:
            StateError: a risk does not lie between 0 and 1, or an odds ratio is not above 1.
            ValueError: the budget is not a positive number.
        """
        return cls(
            reference=dict(reference),
            otherwise=max(reference.values(), default=1.0),
            odds=odds,
            budget=float(budget),
            clear_after=clear_after,
            recursion=ShiryaevRoberts.start([1 / len(odds)] * len(odds)),
        )

    def losses(self, losses: Iterable[object], stratum: str = "") -> LossWindow:
        """Return losses of one stratum as the sums that this detector takes; clipped to [0, 1].

        >>> window = RiskDetector.start({"a": 0.1}, budget=1000).losses([0.2, 7, None, "lost"], "a")
        >>> window.total, window.missing, window.loss
        (2, 2, 1.2)
        """
        values = as_floats(losses)
        known = np.clip(values[~np.isnan(values)], 0, 1)
        tilts = np.array(self.odds)[:, None] - 1
        logs = np.log1p(tilts * known).sum(axis=1)
        return LossWindow(
            total=known.size,
            missing=values.size - known.size,
            loss=float(known.sum()),
            log_sums=logs - known.size * np.log1p(tilts[:, 0] * self._risk(stratum)),
        )

    def update(self, window: ErrorWindow | LossWindow) -> Self:
        """Return the detector after the labels of one look, those of all replicas added.

        A look without labels changes nothing: it neither raises an alarm nor ends one.

        Raises:
            BatchError: the window's sums are those of a detector with other odds.
        """
        logs = window.log_sums if isinstance(window, LossWindow) else self._log_ratios(window)
        recursion = self.recursion.update(logs, share=share_of_budget(window.total, self.budget))
        if not window.total:
            return self
        since = 0 if recursion.alarmed else self.since_alarm + window.total
        return replace(self, recursion=recursion, since_alarm=since)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the mean R; the alarm is at 0."""
        return self.recursion.log_evidence

    @property
    def alarmed(self) -> bool:
        """Whether the last look with labels raised an alarm."""
        return self.recursion.alarmed

    @property
    def raised(self) -> bool:
        """Whether there was an alarm and not yet `clear_after` labels without another."""
        return self.recursion.alarms > 0 and self.since_alarm < self.clear_after

    def verdict(self) -> Verdict:
        """Say whether the last look with labels raised an alarm; the bar has the budget in it."""
        return Verdict(rejected=self.alarmed, log_evidence=self.log_evidence, log_bar=0.0)

    def _risk(self, stratum: str) -> float:
        return self.reference.get(stratum, self.otherwise)

    def _log_ratios(self, window: ErrorWindow) -> npt.NDArray[np.float64]:
        odds, logs = np.array(self.odds), np.zeros(len(self.odds))
        for stratum, rows in window.rows.items():
            logs += window.errors.get(stratum, 0) * np.log(odds)
            logs -= rows * np.log1p((odds - 1) * self._risk(stratum))
        return logs


def upper_risk(*, errors: int, rows: int, level: float = 0.95, tolerance: float = 0.0) -> float:
    """Return a risk that the true one does not exceed, with confidence `level`, plus a tolerance.

    The upper Clopper & Pearson (1934) bound, exact for independent rows; for `RiskDetector.start`
    when the reference risk is an estimate. The tolerance is what does not matter.

    >>> round(upper_risk(errors=500, rows=5000), 4)
    0.1073
    >>> upper_risk(errors=0, rows=0)
    1.0

    Raises:
        BatchError: there are more errors than rows, or fewer than 0.
    """
    if not 0 <= errors <= rows:
        raise BatchError(f"{errors} errors of {rows} rows")
    from scipy.stats import beta  # noqa: PLC0415 - detectors run where there is no scipy

    bound = 1.0 if errors == rows else float(beta.ppf(level, errors + 1, rows - errors))
    return min(1.0, bound + tolerance)


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted(one.keys() | other.keys())}

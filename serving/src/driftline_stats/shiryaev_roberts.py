"""Evidence for a change whose time is unknown: the Shiryaev-Roberts recursion in logarithms.

Component i of a mixture follows

    R_i <- (g_w + R_i) * L_i,    g_w = n_w / budget,    M = sum_i w_i R_i,    alarm when M >= 1,

where L_i is the window's likelihood ratio of component i, n_w its rows, and budget the rows that
must pass between two false alarms on average.

Null hypothesis: given the past and the number of rows in the window, E[L_i] <= 1 for each i.

Guarantee: M less the sum of g_w is then a supermartingale. So at any stopping time M is on average
at most the share of the budget that was used up, and at an alarm, where M >= 1, that is at least
all of it: the expected number of rows until a false alarm is at least the budget, whatever the
sizes of windows and the dependence between components. A window without rows adds nothing: an idle
model never alarms.

When it is wrong: how many rows a window has may depend on the past, never on what its rows say (a
window closed because of its errors has no such guarantee). After an alarm all starts from zero.

Source: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change
detection" (2023). Theirs adds 1 per step; g_w spends by rows, hence the same for any windows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.state import State

_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShiryaevRoberts(State):
    """The recursion of the module, for any number of components.

    It has no `merge`: windows follow one another, and what adds are the counts that a window's
    likelihood ratios are made of.

    >>> quiet = ShiryaevRoberts.start([0.5, 0.5])
    >>> quiet.update(np.zeros(2), share=0.25).evidence
    0.25
    >>> loud = quiet.update(np.array([0.0, math.log(9)]), share=0.25)
    >>> round(loud.evidence, 6), loud.alarmed, loud.alarms
    (1.25, True, 1)
    >>> loud.update(np.zeros(2), share=0.25).evidence  # starts again
    0.25

    Attributes:
        weights: of the components; they sum to 1.
        log_r: natural logarithm of each R_i.
        alarms: how many there have been.
    """

    KIND: ClassVar[str] = "shiryaev-roberts"

    weights: npt.NDArray[np.float64]
    log_r: npt.NDArray[np.float64]
    alarms: int = 0

    def __post_init__(self) -> None:
        if self.weights.ndim != 1 or self.weights.shape != self.log_r.shape:
            raise StateError(
                f"{self.KIND}: expected as many weights as components, found shapes "
                f"{self.weights.shape} and {self.log_r.shape}"
            )
        total = float(self.weights.sum())
        if not (self.weights >= 0).all() or abs(total - 1) > _SUM_TOLERANCE:
            raise StateError(f"{self.KIND}: weights must be positive and sum to 1, got {total}")
        if np.isnan(self.log_r).any():
            raise StateError(f"{self.KIND}: the logarithm of R is not a number")

    @classmethod
    def start(cls, weights: Sequence[float] | npt.NDArray[np.float64]) -> Self:
        """Return the recursion before the first window.

        Args:
            weights: one per component; they must sum to 1.

        Raises:
            StateError: they do not, or some are negative.
        """
        own = np.array(weights, np.float64)
        own.setflags(write=False)
        return cls(weights=own, log_r=_nothing_yet(own.size))

    def update(self, log_ratios: npt.NDArray[np.float64], *, share: float) -> Self:
        """Return the recursion after one more window.

        After an alarm the next window starts from zero by itself, so that the state in which the
        alarm was raised can be read, and a reset cannot be forgotten.

        Args:
            log_ratios: natural logarithm of the window's L_i, one per component.
            share: g_w, the window's share of the budget; 0 for a window without rows.

        Raises:
            BatchError: the shape is another, a ratio is not a number or infinite, or the share is
                negative or not finite.
        """
        self._check(log_ratios, share)
        before = self.reset().log_r if self.alarmed else self.log_r
        log_share = math.log(share) if share else -math.inf
        log_r = np.logaddexp(log_share, before) + log_ratios
        log_r.setflags(write=False)
        after = replace(self, log_r=log_r)
        return replace(after, alarms=self.alarms + 1) if after.alarmed else after

    def reset(self) -> Self:
        """Return the recursion with all R at zero, alarms still counted."""
        return replace(self, log_r=_nothing_yet(self.log_r.size))

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of M; the alarm is at 0."""
        top = float(self.log_r.max(initial=-math.inf))
        if top == -math.inf:
            return top
        total = float(self.weights @ np.exp(self.log_r - top))
        return top + math.log(total) if total else -math.inf

    @property
    def evidence(self) -> float:
        """M itself; infinite beyond what a double holds."""
        log = self.log_evidence
        return math.exp(log) if log < 709 else math.inf

    @property
    def alarmed(self) -> bool:
        """Whether the last window raised an alarm."""
        return self.log_evidence >= 0

    def _check(self, log_ratios: npt.NDArray[np.float64], share: float) -> None:
        if log_ratios.shape != self.log_r.shape:
            raise BatchError(
                f"expected {self.log_r.size} likelihood ratios, found shape {log_ratios.shape}"
            )
        if not (log_ratios < math.inf).all():
            raise BatchError("the logarithm of a likelihood ratio is infinite or not a number")
        if not 0 <= share < math.inf:
            raise BatchError(f"the share of the budget must be 0 or more and finite, got {share}")


def share_of_budget(rows: float, budget: float) -> float:
    """Return g_w, the share of the budget that a window of so many rows uses up.

    >>> share_of_budget(500, 100_000)
    0.005

    Raises:
        BatchError: there are fewer than 0 rows.
        ValueError: the budget is not a positive number.
    """
    if not budget > 0:
        raise ValueError(f"rows between false alarms must be more than 0, got {budget}")
    if not 0 <= rows < math.inf:
        raise BatchError(f"a window cannot have {rows} rows")
    return rows / budget


def _nothing_yet(components: int) -> npt.NDArray[np.float64]:
    log_r = np.full(components, -math.inf)
    log_r.setflags(write=False)
    return log_r

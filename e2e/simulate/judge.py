"""Whether what was measured meets what is stated, with the bound that decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from e2e.simulate.claims import Claim, Outcome

MEDIANS: Final = frozenset({"delay", "shown_delay"})
DELAYS: Final = MEDIANS | {"drift_delay"}
SHOWN: Final = frozenset({"shown", "shown_delay"})
FACTOR_OF_DRIFT: Final = 1.25
THREE_SIGMA: Final = 3.0
#: One-sided levels of the bounds, by kind; else 99 %.
LEVELS: Final = {"at_least": 0.95, "at_most": 0.95}
#: Normal quantiles that go with them.
SIGMAS: Final = {0.95: 1.6449, 0.99: 2.3263}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure with an interval.

    Attributes:
        value: a share, a mean or a median; infinite where it was never reached.
        low: lower bound, of the level that the claim's kind asks for.
        high: upper bound of the same.
        runs: that it comes from.
    """

    value: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A claim beside what was measured.

    Attributes:
        claim: what is stated.
        measured: what was found.
        seconds: of processor time that the runs took.
        short: too few runs to show that a claim is met: it is missed only when the runs refute it.
    """

    claim: Claim
    measured: Measured
    seconds: float = 0.0
    short: bool = False

    @property
    def missed(self) -> bool:
        """Whether the claim does not hold."""
        if self.claim.kind in SHOWN or self.claim.stated is None:
            return False
        return self._refuted if self.short else not self._met

    @property
    def _met(self) -> bool:
        stated, found = self.claim.stated or 0.0, self.measured
        match self.claim.kind:
            case "rate" | "at_most":
                return found.high <= stated
            case "at_least":
                return found.low >= stated
            case "delay":
                return found.low <= stated
            case _:
                return found.value <= self.bar

    @property
    def _refuted(self) -> bool:
        if self.claim.kind == "at_least":
            return self.measured.high < (self.claim.stated or 0.0)
        return self.measured.low > self.bar

    @property
    def bar(self) -> float:
        """What the measured figure is held against."""
        stated = self.claim.stated or 0.0
        if self.claim.kind == "drift_delay":
            return max(FACTOR_OF_DRIFT * stated, self.claim.look)
        return stated

    @property
    def verdict(self) -> str:
        """One word."""
        if self.claim.kind in SHOWN or self.claim.stated is None:
            return ""
        if self.missed:
            return "MISSED"
        return "not refuted" if self.short else "met"


def measure(claim: Claim, outcomes: Sequence[Outcome]) -> Measured:
    """Sum up the outcomes of runs.

    Raises:
        ValueError: there is none that says anything.
    """
    if claim.kind in DELAYS:
        never = [math.inf if each is None else float(each) for each in outcomes]
        values = np.sort(np.array(never))
        return _median(claim, values) if claim.kind in MEDIANS else _mean(values, THREE_SIGMA)
    told = [each for each in outcomes if each is not None]
    if not told:
        raise ValueError(f"{claim.key}: no run says anything")
    level = LEVELS.get(claim.kind, 0.99)
    if all(isinstance(each, bool) for each in told):
        return share(sum(told), len(told), level)
    return _mean(np.array(told, float), SIGMAS[level])


def share(count: float, runs: int, level: float) -> Measured:
    """Return a share with its Clopper-Pearson bounds, each of which holds at the level.

    >>> found = share(23, 1000, 0.99)
    >>> found.value, round(found.low, 4), round(found.high, 4)
    (0.023, 0.0134, 0.0366)
    """
    low = float(beta.ppf(1 - level, count, runs - count + 1)) if count else 0.0
    high = float(beta.ppf(level, count + 1, runs - count)) if count < runs else 1.0
    return Measured(value=count / runs, low=low, high=high, runs=runs)


def _median(claim: Claim, values: npt.NDArray[np.float64]) -> Measured:
    """Return the median, and the order statistics three standard errors from it.

    They need no distribution: the number of runs below the true median is binomial. What the
    stated figure's own runs add to the difference counts too.
    """
    runs = len(values)
    spread = THREE_SIGMA * math.sqrt(runs / 4)
    if claim.stated_runs:
        spread *= math.sqrt(1 + runs / claim.stated_runs)
    low, high = math.floor(runs / 2 - spread), math.ceil(runs / 2 + spread)
    return Measured(
        value=float(values[(runs - 1) // 2]),
        low=float(values[low]) if low >= 0 else 0.0,
        high=float(values[high]) if high < runs else math.inf,
        runs=runs,
    )


def _mean(values: npt.NDArray[np.float64], sigmas: float) -> Measured:
    runs = len(values)
    value = float(values.mean())
    if not math.isfinite(value):
        return Measured(value=value, low=float(values.min()), high=value, runs=runs)
    spread = sigmas * float(values.std(ddof=1)) / math.sqrt(runs) if runs > 1 else math.inf
    return Measured(value=value, low=value - spread, high=value + spread, runs=runs)

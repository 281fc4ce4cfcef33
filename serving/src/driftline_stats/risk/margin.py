"""Is the canary better than stable by more than a margin, on the very same requests?

Superiority by a smallest effect of interest is a positive margin delta; non-inferiority is a
negative one: "not worse by more than".
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.histogram import as_floats
from driftline_stats.rates import log_mean_along
from driftline_stats.risk.pairs import NO_PAIRS, Pairs
from driftline_stats.state import State

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def _bets(delta: float) -> tuple[float, ...]:
    """Return the lambdas, between 0 and what the worst row can lose without ruin."""
    if not -1 < delta < 1:
        raise StateError(f"a margin must lie between -1 and 1, got {delta}")
    return tuple(fraction / (1 + delta) for fraction in FRACTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMargin(State):
    """Evidence that the canary's error rate is lower than stable's by more than delta.

    With n+ rows that only stable got wrong, n- that only the canary did and n0 others,

        L(lambda) = (1 + lambda(1-delta))^n+ * (1 - lambda delta)^n0 * (1 - lambda(1+delta))^n-,

    E = mean of L(lambda) over fixed fractions of 1/(1+delta), the most that may be bet.

    Null hypothesis: given the past, a row's difference d = (stable wrong) - (canary wrong) has mean
    at most delta; "the canary's risk is not lower by more than delta".

    Assumes what `paired.PairedRisk` assumes; nothing about the share of ties.

    Under optional stopping: under the null E is a nonnegative supermartingale from 1, so it ever
    reaches 1/alpha with probability at most alpha; exact.

    Source: testing by betting, Waudby-Smith & Ramdas, "Estimating means of bounded random variables
    by betting" (JRSS B 2024).

    >>> pairs = Pairs(better=90, worse=30, ties=1880)
    >>> PairedMargin.superiority(0.01).update(pairs).verdict(0.05).rejected
    True
    >>> PairedMargin.superiority(0.03).update(pairs).verdict(0.05).rejected
    False
    >>> PairedMargin.non_inferiority(0.01).update(Pairs(better=10, worse=10, ties=980)).pairs.rows
    1000

    Attributes:
        delta: the margin, of the difference of two error rates.
        pairs: the rows so far.
    """

    KIND: ClassVar[str] = "paired-margin"

    delta: float
    pairs: Pairs = NO_PAIRS

    def __post_init__(self) -> None:
        _bets(self.delta)

    @classmethod
    def superiority(cls, min_effect: float) -> Self:
        """Return the test whose rejection says: better by more than the smallest effect.

        Raises:
            ValueError: the smallest effect is negative, or 1 and more.
        """
        return cls(delta=_share("smallest effect", min_effect))

    @classmethod
    def non_inferiority(cls, margin: float) -> Self:
        """Return the test whose rejection says: not worse by as much as the margin.

        Raises:
            ValueError: the margin is negative, or 1 and more.
        """
        return cls(delta=-_share("margin", margin))

    def update(self, batch: Pairs) -> Self:
        """Return the test after more rows."""
        return replace(self, pairs=self.pairs + batch)

    def merge(self, other: Self) -> Self:
        """Return the test after the rows of both, which must be different rows.

        Raises:
            StateError: the other has another margin.
        """
        if self.delta != other.delta:
            raise StateError(f"{self.KIND}: margin {self.delta} is not {other.delta}")
        return self.update(other.pairs)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that the canary is better by more than delta."""
        return float(self._log_evidence(self.pairs.counts))

    def path(self, batches: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the log evidence after each of further batches.

        Args:
            batches: better, worse and ties of each, in this order; shape (..., batches, 3).
        """
        return self._log_evidence(self.pairs.counts + np.cumsum(batches, axis=-2))

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the canary is better by more than delta, wrongly with at most alpha."""
        return judged(self.log_evidence, alpha)

    def _log_evidence(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        bets = np.array(_bets(self.delta))
        better, worse, ties = (counts[..., at, None].astype(np.float64) for at in range(3))
        return log_mean_along(
            better * np.log1p(bets * (1 - self.delta))
            + ties * np.log1p(-bets * self.delta)
            + worse * np.log1p(-bets * (1 + self.delta))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossDifferences(State):
    """Rows of bounded losses that both models have scored, as sums for one margin.

    Attributes:
        delta: the margin that the sums belong to.
        rows: rows whose two losses are numbers.
        missing: rows where one is not; they are no evidence, and are to be shown.
        total: sum of the differences, stable's loss less the canary's.
        log_sums: sum of ln(1 + lambda(d - delta)), one per lambda.
    """

    KIND: ClassVar[str] = "loss-differences"

    delta: float
    rows: int
    missing: int
    total: float
    log_sums: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.log_sums.shape != (len(FRACTIONS),) or not np.isfinite(self.log_sums).all():
            raise BatchError(f"expected {len(FRACTIONS)} finite sums, found {self.log_sums}")
        if self.rows < 0 or self.missing < 0 or not abs(self.total) <= self.rows * (1 + 1e-9):
            raise BatchError(
                f"{self.rows} rows and {self.missing} missing cannot differ by {self.total}"
            )

    @classmethod
    def none(cls, delta: float) -> Self:
        """Return no rows at all."""
        return cls(delta=delta, rows=0, missing=0, total=0.0, log_sums=np.zeros(len(FRACTIONS)))

    @classmethod
    def of(
        cls,
        delta: float,
        *,
        stable: Iterable[object],
        canary: Iterable[object],
        bound: float = 1.0,
    ) -> Self:
        """Sum rows; one where a loss is no number is missing.

        >>> LossDifferences.of(0.0, stable=[0.5, 0.5, 1], canary=[0.25, None, "none"]).missing
        2

        Args:
            delta: the margin, as a share of the bound.
            stable: stable's loss per row, between 0 and the bound; clipped to that.
            canary: the same of the canary, in the same order.
            bound: the largest loss; differences are taken as shares of it.

        Raises:
            BatchError: they are not of the same length.
            ValueError: the bound is not a positive number.
        """
        theirs, ours = (_losses(each, bound) for each in (stable, canary))
        if theirs.shape != ours.shape:
            raise BatchError(f"{theirs.size} rows of stable cannot pair {ours.size} of canary")
        difference = theirs - ours
        known = difference[~np.isnan(difference)]
        sums = [float(np.log1p(bet * (known - delta)).sum()) for bet in _bets(delta)]
        return cls(
            delta=delta,
            rows=known.size,
            missing=difference.size - known.size,
            total=float(known.sum()),
            log_sums=np.array(sums),
        )

    def __add__(self, other: "LossDifferences") -> "LossDifferences":
        if self.delta != other.delta:
            raise BatchError(f"sums for margin {self.delta} cannot add to those for {other.delta}")
        return LossDifferences(
            delta=self.delta,
            rows=self.rows + other.rows,
            missing=self.missing + other.missing,
            total=self.total + other.total,
            log_sums=self.log_sums + other.log_sums,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoundedMargin(State):
    """Evidence that the canary's mean loss is lower than stable's by more than delta.

    For losses in [0, bound], with d = (stable's loss - the canary's)/bound in [-1, 1],

        L(lambda) = prod over rows (1 + lambda(d - delta)),    E = mean of L(lambda).

    Null hypothesis: given the past, d has mean at most delta. All else as for `PairedMargin`,
    which is the same for losses of 0 and 1.

    >>> rng = np.random.default_rng(5)
    >>> stable = rng.uniform(0, 1, 500)
    >>> test = BoundedMargin.start(0.05)
    >>> test.update(test.batch(stable=stable, canary=0.8 * stable)).verdict(0.05).rejected
    True
    """

    KIND: ClassVar[str] = "bounded-margin"

    seen: LossDifferences

    @classmethod
    def start(cls, delta: float) -> Self:
        """Return the test before the first row.

        Raises:
            StateError: the margin is not between -1 and 1.
        """
        _bets(delta)
        return cls(seen=LossDifferences.none(delta))

    @property
    def delta(self) -> float:
        """The margin, as a share of the bound."""
        return self.seen.delta

    def batch(
        self, *, stable: Iterable[object], canary: Iterable[object], bound: float = 1.0
    ) -> LossDifferences:
        """Return rows as the sums of this test's margin; see `LossDifferences.of`."""
        return LossDifferences.of(self.delta, stable=stable, canary=canary, bound=bound)

    def update(self, batch: LossDifferences) -> Self:
        """Return the test after more rows.

        Raises:
            BatchError: the sums are those of another margin.
        """
        return replace(self, seen=self.seen + batch)

    def merge(self, other: Self) -> Self:
        """Return the test after the rows of both, which must be different rows.

        Raises:
            StateError: the other has another margin.
        """
        if self.delta != other.delta:
            raise StateError(f"{self.KIND}: margin {self.delta} is not {other.delta}")
        return self.update(other.seen)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that the canary is better by more than delta."""
        return log_mean(self.seen.log_sums.tolist())

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the canary is better by more than delta, wrongly with at most alpha."""
        return judged(self.log_evidence, alpha)


def _share(what: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"a {what} must be 0 or more and below 1, got {value}")
    return float(value)


def _losses(values: Iterable[object], bound: float) -> npt.NDArray[np.float64]:
    if not 0 < bound < math.inf:
        raise ValueError(f"the largest loss must be a positive number, got {bound}")
    return np.clip(as_floats(values), 0, bound) / bound

"""Is the canary wrong more often than stable on the very same requests?"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import StateError
from driftline_stats.evidence import Verdict, judged
from driftline_stats.rates import log_mean_along
from driftline_stats.risk.pairs import NO_PAIRS, Pairs
from driftline_stats.state import State

SHARES = (0.525, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRisk(State):
    """Evidence that the canary's risk is above stable's, by 0/1 loss on requests both scored.

    With b10 rows that only the canary got wrong and b01 that only stable did,

        L(q) = (2q)^b10 * (2(1 - q))^b01,    E = mean of L(q) over q in `SHARES`.

    Null hypothesis: given the past, a row that only one model got wrong is the canary's with
    probability at most 1/2; hence also "the canary's risk is at most stable's" when rows are alike.

    Assumes that whether a row got its label and entered here does not depend on which of the models
    was wrong. Both models' answers must be known: replays by a shadow, or both on a holdout. When
    the answer served changes the label (a loan refused is never repaid), the pair says nothing.

    Under optional stopping: E starts at 1 and under the null reaches 1/alpha with probability at
    most alpha, looked at after every row; exact, and free of base rates and of their drift. Rows
    that both got right or both wrong carry no evidence.

    Source: McNemar (1947) conditions on the same rows; the mixture over q is the method of mixtures
    of Robbins (1970) for the binomial.

    For evidence that the canary is *better*, give it `Pairs.swapped`; by more than a margin, see
    `margin.PairedMargin`.

    >>> test = PairedRisk().update(Pairs(better=5, worse=25, ties=970))
    >>> str(test.verdict(0.05))
    'rejected: evidence 368 of 20 needed'
    """

    KIND: ClassVar[str] = "paired-risk"

    shares: tuple[float, ...] = SHARES
    pairs: Pairs = NO_PAIRS

    def __post_init__(self) -> None:
        if not self.shares or not all(0.5 < q < 1 for q in self.shares):
            raise StateError(f"{self.KIND}: shares must lie between 1/2 and 1, got {self.shares}")

    def update(self, batch: Pairs) -> Self:
        """Return the test after more rows."""
        return replace(self, pairs=self.pairs + batch)

    def merge(self, other: Self) -> Self:
        """Return the test after the rows of both, which must be different rows.

        Raises:
            StateError: the other mixes over other shares.
        """
        if self.shares != other.shares:
            raise StateError(f"{self.KIND}: shares {self.shares} are not {other.shares}")
        return self.update(other.pairs)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that the canary's risk is above stable's."""
        return float(self._log_evidence(self.pairs.counts))

    def path(self, batches: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the log evidence after each of further batches.

        >>> PairedRisk().path(np.array([[0, 4, 96], [0, 4, 96]])).round(2).tolist()
        [1.4, 3.27]

        Args:
            batches: better, worse and ties of each, in this order; shape (..., batches, 3).
        """
        return self._log_evidence(self.pairs.counts + np.cumsum(batches, axis=-2))

    def _log_evidence(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        q = np.array(self.shares)
        better, worse = counts[..., 0, None], counts[..., 1, None]
        return log_mean_along(worse * np.log(2 * q) + better * np.log(2 * (1 - q)))

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the canary is worse, with a false alarm probability of at most alpha."""
        return judged(self.log_evidence, alpha)


def pairs_needed(alpha: float) -> int:
    """Return the fewest discordant rows that can decide: those when all say the same.

    With fewer, the comparison cannot come to an end, whatever the labels were.

    >>> pairs_needed(0.05), pairs_needed(0.01)
    (8, 11)

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    rows = 1
    while not PairedRisk(pairs=Pairs(worse=rows)).verdict(alpha).rejected:
        rows += 1
    return rows

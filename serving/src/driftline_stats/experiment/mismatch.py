"""Did the arms get the units that they were promised? If not, nothing else can be believed."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import Verdict, judged, log_mean
from driftline_stats.state import State

ODDS = (1.01, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0, 10.0)
"""By what factor an arm's odds may be wrong; the inverses too."""
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposures:
    """First exposures in one slot of one weight epoch.

    Attributes:
        counts: for each arm, units that were seen for the first time ever.
        shares: for each arm, the share of units that routing was told to give it; they sum to 1.

    >>> one = Exposures(counts=(10, 12), shares=(0.5, 0.5))
    >>> (one + one).counts
    (20, 24)

    Raises:
        BatchError: a count or a share is negative, there are not as many of both, shares do not sum
            to 1, or those of two that are added differ.
    """

    counts: tuple[int, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.shares):
            raise BatchError(f"{len(self.counts)} counts for {len(self.shares)} shares")
        if min(self.counts, default=0) < 0:
            raise BatchError(f"counts must not be negative: {self.counts}")
        if not (min(self.shares, default=-1.0) >= 0 and abs(sum(self.shares) - 1) < TOLERANCE):
            raise BatchError(f"shares must be at least 0 and sum to 1: {self.shares}")

    def __add__(self, other: Self) -> Self:
        if other.shares != self.shares:
            raise BatchError(f"other shares, other epoch: {self.shares} and {other.shares}")
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return replace(self, counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleRatio(State):
    r"""A multinomial test that may be looked at after every batch: sample-ratio mismatch.

    *H0*: each unit, when it is first seen, is in arm k with the stated share theta_k of its epoch,
    independently of the other units.

    For arm k and a factor w on its odds, the alternative law is proportional to theta with theta_k
    multiplied by w, hence with n_k of N first exposures in a batch

        log L(k, w) += n_k * ln w - N * ln(1 + theta_k * (w - 1))

    and E is the mean over all k and w in `odds`. Each term is a likelihood ratio, so each L is a
    martingale under H0, under any change of shares between batches that looks at the past alone.
    A Dirichlet mixture (Lindon & Malek, "Anytime-valid inference for multinomial count data",
    NeurIPS 2022) is the same idea for shares that never change; its increments do not add across
    epochs.

    *Assumes* that a unit counts at its **first** exposure only. Requests are not units: of A/A
    experiments with users of Pareto activity, most are called mismatched by a test of requests.

    *Optional stopping*: rejecting when E reaches 1/alpha is wrong with probability at most alpha.
    It then stops the experiment: whatever lost the units may have chosen which.

    Attributes:
        odds: the factors, frozen at the start.
        logs: (arms, factors) log likelihood ratios.
        counts: (arms,) first exposures so far; for display.
        expected: (arms,) what they were expected to be.

    >>> test = sample_ratio(arms=2)
    >>> test = test.update(Exposures(counts=(5300, 4700), shares=(0.5, 0.5)))
    >>> print(test.verdict(0.01))
    rejected: evidence 1.72e+06 of 100 needed
    >>> [round(ratio, 2) for ratio in test.ratios]
    [1.06, 0.94]
    """

    KIND: ClassVar[str] = "sample-ratio"

    odds: tuple[float, ...]
    logs: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    expected: npt.NDArray[np.float64]

    def update(self, batch: Exposures) -> Self:
        """Return the test after one more batch.

        Raises:
            BatchError: it is of another number of arms.
        """
        if len(batch.counts) != len(self.counts):
            raise BatchError(f"{len(batch.counts)} arms in a test of {len(self.counts)}")
        counts, shares = np.array(batch.counts), np.array(batch.shares)
        odds, total = np.array(self.odds), counts.sum()
        gains = counts[:, None] * np.log(odds) - total * np.log1p(shares[:, None] * (odds - 1))
        return replace(
            self,
            logs=self.logs + gains,
            counts=self.counts + counts,
            expected=self.expected + total * shares,
        )

    def merge(self, other: Self) -> Self:
        """Return the test after the batches of both.

        Raises:
            StateError: the other has other arms or odds.
        """
        if self.odds != other.odds or len(self.counts) != len(other.counts):
            raise StateError("sample-ratio: tests of other arms or odds do not merge")
        return replace(
            self,
            logs=self.logs + other.logs,
            counts=self.counts + other.counts,
            expected=self.expected + other.expected,
        )

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence against the stated shares."""
        return log_mean(self.logs.ravel().tolist())

    @property
    def ratios(self) -> tuple[float, ...]:
        """For each arm, units seen to units expected; nan where none were."""
        return tuple(
            seen / meant if meant else math.nan
            for seen, meant in zip(self.counts.tolist(), self.expected.tolist(), strict=True)
        )

    def verdict(self, alpha: float) -> Verdict:
        """Say whether there is a mismatch, falsely with probability at most alpha."""
        return judged(self.log_evidence, alpha)


def sample_ratio(*, arms: int, odds: tuple[float, ...] = ODDS) -> SampleRatio:
    """Return a test that has seen nobody.

    Three units of three in the first arm, against odds of 2 and 1/2, by either arm:

    >>> test = sample_ratio(arms=2, odds=(2.0,))
    >>> test = test.update(Exposures(counts=(3, 0), shares=(0.5, 0.5)))
    >>> round(math.exp(test.log_evidence), 6), round(((4 / 3) ** 3 + (2 / 3) ** 3) / 2, 6)
    (1.333333, 1.333333)

    Args:
        arms: at least 2.
        odds: factors above 1; their inverses are added.

    Raises:
        ValueError: fewer than two arms, or factors that are not above 1.
    """
    if arms < 2:
        raise ValueError(f"needs at least two arms, got {arms}")
    if not odds or min(odds) <= 1:
        raise ValueError(f"odds must be above 1, got {odds}")
    both = (*(1 / each for each in reversed(odds)), *odds)
    return SampleRatio(
        odds=both,
        logs=np.zeros((arms, len(both))),
        counts=np.zeros(arms, np.int64),
        expected=np.zeros(arms),
    )

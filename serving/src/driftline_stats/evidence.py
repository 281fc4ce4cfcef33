"""Evidence against a null hypothesis that may be looked at after every batch.

Everything here is an e-process: it starts at 1, and under the null its expectation is at most 1 at
every stopping time. By Ville's inequality it then ever reaches 1/alpha with probability at most
alpha, however long and however often one looks (Ramdas, Grünwald, Vovk & Shafer, "Game-theoretic
statistics and safe anytime-valid inference", Statistical Science 2023).

Evidence is kept as a natural logarithm: 10**300 and 10**-300 are ordinary values of it.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

BatchT_contra = TypeVar("BatchT_contra", contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What evidence amounts to at a level alpha.

    Attributes:
        rejected: whether the null hypothesis is rejected.
        log_evidence: natural logarithm.
        log_bar: natural logarithm of the evidence that is needed, 1/alpha.
        held_back: why the null is not rejected although the evidence is there; empty otherwise.
    """

    rejected: bool
    log_evidence: float
    log_bar: float
    held_back: str = ""

    def __str__(self) -> str:
        """Say it for people.

        >>> str(judged(math.log(31), 0.05))
        'rejected: evidence 31 of 20 needed'
        """
        word = "rejected" if self.rejected else "undecided"
        seen, needed = (_shown(each) for each in (self.log_evidence, self.log_bar))
        held_back = f", but {self.held_back}" if self.held_back else ""
        return f"{word}: evidence {seen} of {needed} needed{held_back}"


class SequentialTest(Protocol[BatchT_contra]):
    """A test in progress: a frozen value, of which `update` makes the next.

    The classes that are tests also derive from `state.State`, and so are stored as JSON.
    """

    def update(self, batch: BatchT_contra) -> Self:
        """Return the test after one more batch, all of which was concurrent.

        Raises:
            BatchError: the batch contradicts itself or the test.
        """

    def merge(self, other: Self) -> Self:
        """Return the test after the batches of both, which are different ones.

        Raises:
            StateError: the other tests something else.
        """

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence against the null."""

    def verdict(self, alpha: float) -> Verdict:
        """Say whether the null is rejected, with a false alarm probability of at most alpha."""


def judged(log_evidence: float, alpha: float, held_back: str = "") -> Verdict:
    """Compare evidence with the bar 1/alpha.

    >>> judged(2.0, 0.05).rejected, judged(3.0, 0.05).rejected
    (False, True)

    Raises:
        ValueError: alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    log_bar = -math.log(alpha)
    reached = log_evidence >= log_bar
    return Verdict(
        rejected=reached and not held_back,
        log_evidence=log_evidence,
        log_bar=log_bar,
        held_back=held_back if reached else "",
    )


def log_mean(logs: Sequence[float], weights: Sequence[float] = ()) -> float:
    """Return the logarithm of the (weighted) mean of what these are logarithms of.

    The mean of e-processes is one, whatever their dependence; weights must sum to 1.

    >>> round(math.exp(log_mean([math.log(1), math.log(3)])), 12)
    2.0
    >>> log_mean([-math.inf, -math.inf])
    -inf
    """
    top = max(logs)
    if not math.isfinite(top):
        return top
    shares = weights or (1 / len(logs),) * len(logs)
    total = math.fsum(w * math.exp(log - top) for w, log in zip(shares, logs, strict=True))
    return top + math.log(total) if total else -math.inf


def evidence_of(log_evidence: float) -> float:
    """Return the evidence itself; beyond what a double holds, the largest double.

    >>> evidence_of(0.0), evidence_of(1e6) == sys.float_info.max
    (1.0, True)
    """
    if log_evidence > math.log(sys.float_info.max):
        return sys.float_info.max
    return math.exp(log_evidence)


def _shown(log_value: float) -> str:
    """Return the exponential of a number, in three digits, however large.

    >>> _shown(math.log(20)), _shown(2000.0)
    ('20', '3.88e+868')
    """
    if abs(log_value) < 600 or not math.isfinite(log_value):
        return f"{evidence_of(log_value) if log_value < 600 else math.inf:.3g}"
    exponent, rest = divmod(log_value / math.log(10), 1)
    return f"{10**rest:.3g}e{int(exponent):+d}"

"""A certificate of latency: evidence that no threshold is exceeded much more often."""

from dataclasses import dataclass
from typing import ClassVar, Self

from driftline_stats.certificates import FLOOR, Certificate
from driftline_stats.evidence import Verdict, judged
from driftline_stats.latency import PerThreshold, Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCertificate(PerThreshold):
    """A test that the canary exceeds some threshold r1 times as often as stable.

    Null hypothesis: at one threshold at least, in every slot, the canary exceeds it at least r1
    times as often as stable exceeds its own, **and** with at least the rate p1. Each threshold is
    tested by a `Certificate`; the evidence is the smallest of them, since one that is exceeded
    makes the null true. Rejected at 1/beta it reads: each threshold is exceeded less than r1 times
    as often, or less often than p1. It promotes early; that it is missing aborts nothing.

    With p1 at 1 % the thresholds at p99 and p99.9 are certified as soon as the canary is known to
    exceed them in less than 1 % of requests. A tail rarer than p1 is certified whatever it holds.

    Assumes what `Certificate` does: units independent given their slot, concurrent, counted once.

    Under optional stopping: a canary for which the null holds is ever certified with probability
    at most beta, however many thresholds there are. Source: the intersection-union principle,
    Berger, "Multiparameter hypothesis testing and acceptance sampling" (Technometrics 1982).

    >>> from driftline_stats.histogram import LatencyHistogram
    >>> from driftline_stats.latency import LatencyBatch
    >>> stable = LatencyHistogram.of(range(1, 10_001))
    >>> thresholds = Thresholds.of(stable)
    >>> test = LatencyCertificate.start(thresholds, ratio=1.5)
    >>> test.update(LatencyBatch.of(stable, stable, thresholds)).verdict(0.05).rejected
    True

    Attributes:
        thresholds: what was frozen.
        tests: one for each threshold.
    """

    KIND: ClassVar[str] = "latency-certificate"
    tests: tuple[Certificate, ...]

    @classmethod
    def start(cls, thresholds: Thresholds, *, ratio: float, floor: float = FLOOR) -> Self:
        """Start to look for what certifies: r1 is the ratio, p1 the floor.

        Raises:
            StateError: the ratio is not positive, or the floor not between 0 and 1.
        """
        test = Certificate.start(ratio=ratio, floor=floor)
        return cls(thresholds=thresholds, tests=(test,) * len(thresholds.stable))

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the smallest."""
        return min(self.log_evidences)

    def verdict(self, beta: float) -> Verdict:
        """Say whether it is certified, falsely with a probability of at most beta.

        Raises:
            ValueError: beta is not between 0 and 1.
        """
        return judged(self.log_evidence, beta)

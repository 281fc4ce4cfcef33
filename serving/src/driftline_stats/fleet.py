"""Many rollouts over time: which of those that looked bad are discoveries, for reports.

One rollout's alpha says how often a good canary is aborted. Of a fleet's aborts, how many were
good canaries? e-LOND controls that share. It is for reports: the abort bar stays 1/alpha.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from driftline_stats.errors import StateError
from driftline_stats.evidence import judged
from driftline_stats.state import State

_TOTAL = 2.10975  # at least the sum of 1/(n ln(n)^2) from n = 2 on


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport(State):
    """e-LOND: the false discovery rate of a stream of tests is at most alpha at any time.

    The t-th test is a discovery if `E_t >= 1/alpha_t`, with `alpha_t = alpha * gamma_t * (D + 1)`,
    D discoveries so far and gamma_t proportional to `1/((t+1) ln(t+1)^2)`, which sums to 1. Null
    hypotheses: those of the single tests. E_t is an e-process at any stopping time, such as the
    end of its rollout.

    Holds under any dependence between tests; their order must not depend on their evidence, and
    the t-th must be finished before it is counted. Source: Xu & Ramdas, "Online multiple testing
    with e-values" (AISTATS 2024).

    Weak where tests end as soon as they reach 1/alpha, as aborts do: their evidence is then hardly
    more than that, while 1/alpha_t grows. What goes on gathering evidence becomes a discovery.

    Attributes:
        alpha: the false discovery rate.
        tests: how many were counted, discoveries: how many of them count as discoveries.

    >>> report = FleetReport.start(0.1)
    >>> for log_evidence in (5.0, 0.3, 7.0):
    ...     report = report.update(log_evidence)
    >>> report.tests, report.discoveries
    (3, 2)
    """

    KIND: ClassVar[str] = "fleet-report"

    alpha: float
    tests: int = 0
    discoveries: int = 0

    @classmethod
    def start(cls, alpha: float) -> Self:
        """Start a report with no tests.

        Raises:
            StateError: alpha is not between 0 and 1.
        """
        return cls(alpha=alpha)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise StateError(f"alpha must be between 0 and 1, got {self.alpha}")
        if not 0 <= self.discoveries <= self.tests:
            raise StateError(f"{self.discoveries} discoveries of {self.tests} tests")

    @property
    def level(self) -> float:
        """The alpha_t of the next test."""
        gamma = 1 / (_TOTAL * (self.tests + 2) * math.log(self.tests + 2) ** 2)
        return self.alpha * gamma * (self.discoveries + 1)

    def is_discovery(self, log_evidence: float) -> bool:
        """Whether the next test would be one with this evidence."""
        return judged(log_evidence, self.level).rejected

    def update(self, log_evidence: float) -> Self:
        """Return the report after one more finished test.

        Raises:
            ValueError: the evidence is not a number.
        """
        if math.isnan(log_evidence):
            raise ValueError("evidence is not a number")
        found = self.discoveries + self.is_discovery(log_evidence)
        return replace(self, tests=self.tests + 1, discoveries=found)

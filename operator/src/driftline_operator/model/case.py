"""A decision together with what it was made from: all that is told to people."""

from dataclasses import dataclass
from datetime import datetime

from driftline_operator.model.decision import Decision, deadline_of
from driftline_operator.model.observed import Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is judged."""

    observed: Observed
    decision: Decision
    now: datetime

    @property
    def stable(self) -> str | None:
        """The revision that serves from now on."""
        return self.decision.rollout.stable

    @property
    def target(self) -> str | None:
        """The revision that the spec asks for."""
        return self.decision.rollout.target

    @property
    def deadline(self) -> datetime | None:
        """Until when the target must be ready."""
        return deadline_of(self.decision, self.observed.model.spec)

    def ready(self, revision: str | None) -> int:
        """Return how many pods of a revision are ready."""
        workload = self.observed.workloads.get(revision or "")
        return workload.ready if workload else 0

    def has_all(self, revision: str) -> bool:
        """Tell whether a revision has all the pods that it should have."""
        workload = self.observed.workloads.get(revision)
        return workload is not None and workload.is_ready(self.wanted(revision))

    def wanted(self, revision: str) -> int:
        """Return how many pods of a revision should be ready."""
        return self.decision.wanted.get(revision, 1)

    def counted(self, revision: str) -> str:
        """Return a revision's pods in words."""
        return f"{self.ready(revision)} of {self.wanted(revision)} pods ready"

"""How many pods each revision shall have, and who says so."""

from dataclasses import dataclass

from driftline_api.model import ModelSpec
from driftline_operator.model.observed import Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which revision serves, and which is wanted."""

    stable: str | None
    target: str | None

    def is_candidate(self, revision: str) -> bool:
        """Tell whether a revision is to take over."""
        return revision == self.target != self.stable


def replicas_of(observed: Observed, spec: ModelSpec, revision: str, roles: Roles) -> int | None:
    """Return the number to ask for; None where an autoscaler has taken that over.

    A field that is applied once and then left out is reset to its default by server-side apply,
    here to one pod, unless somebody else has set it meanwhile. So the number is handed over
    only when the live one is no longer the one that we asked for.

    A candidate is never smaller than stable, whose requests it is to take.
    """
    if spec.autoscaling is None:
        return spec.replicas
    least = spec.autoscaling.min_replicas
    if roles.is_candidate(revision):
        stable = observed.workloads.get(roles.stable or "")
        return max(least, stable.replicas if stable else 0)
    mine = observed.workloads.get(revision)
    if mine is None:
        return least
    return mine.ours if mine.ours == mine.replicas else None


def wanted_pods(observed: Observed, spec: ModelSpec, revision: str, roles: Roles) -> int:
    """Return how many pods must be ready for the revision to count as ready."""
    asked = replicas_of(observed, spec, revision, roles)
    if asked is not None:
        return asked
    workload = observed.workloads.get(revision)
    return workload.replicas if workload else 1

"""How many pods each revision shall have, and who says so."""

from driftline_api.model import Autoscaling, ModelSpec
from driftline_operator.model.observed import Observed, Workload


def replicas_of(
    observed: Observed, spec: ModelSpec, revision: str, stable: str | None
) -> int | None:
    """Return the number to ask for; None where an autoscaler has taken that over.

    A field that is applied once and then left out is reset to its default by server-side apply,
    here to one pod, unless somebody else has set it meanwhile. So the number is handed over
    only when the live one is no longer the one that we asked for.
    """
    if spec.autoscaling is None:
        return spec.replicas
    mine = observed.workloads.get(revision)
    if revision != stable:
        return _beside(spec.autoscaling, observed.workloads.get(stable or ""))
    if mine is None:
        return spec.autoscaling.min_replicas
    return mine.ours if mine.ours == mine.replicas else None


def _beside(autoscaling: Autoscaling, stable: Workload | None) -> int:
    """Return the size of a revision that is to take over from stable: not less than stable's."""
    return max(autoscaling.min_replicas, stable.replicas if stable else 0)


def wanted_pods(observed: Observed, spec: ModelSpec, revision: str, stable: str | None) -> int:
    """Return how many pods must be ready for the revision to count as ready."""
    asked = replicas_of(observed, spec, revision, stable)
    if asked is not None:
        return asked
    workload = observed.workloads.get(revision)
    return workload.replicas if workload else 1

"""What a decision means to people: which conditions hold, why, and who acts next.

| state                        | Ready         | Reconciling | Stalled | RolloutSucceeded |
|------------------------------|---------------|-------------|---------|------------------|
| first deployment coming up   | Unknown       | True        | absent  | Unknown          |
| stable serves, nothing to do | True          | False       | absent  | True             |
| rollout in progress          | True          | True        | absent  | Unknown          |
| rollout failed               | True          | False       | True    | False            |
| cannot serve at all          | False         | False       | True    | False            |
| stable broke after promotion | False         | either      | either  | True             |

The last row keeps `RolloutSucceeded`: a pipeline that waited for it was told the truth then.
"""

from dataclasses import dataclass

from driftline_api.conditions import ConditionStatus, Reason
from driftline_operator.model.case import Case
from driftline_operator.model.stalls import Stall
from driftline_operator.model.works import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One condition's content."""

    status: ConditionStatus
    reason: Reason
    message: str


def judge_ready(case: Case, stall: Stall | None) -> Verdict:
    """Return whether clients are answered."""
    router = case.observed.router
    if case.stable is None:
        return _not_yet(stall)
    if case.observed.is_refused("Service", case.observed.model.name):
        return _no(Reason.NAME_CONFLICT, "the Service of the Model's name is not the Model's")
    if router.port is None:
        return _no(Reason.ROUTER_NOT_READY, "the router has no port for this Model")
    if not router.ready_replicas:
        return _no(Reason.ROUTER_NOT_READY, "no router pod of the namespace is ready")
    if not case.ready(case.stable):
        problem = case.decision.outage
        why = f": {problem.message}" if problem else ""
        return _no(Reason.STABLE_UNAVAILABLE, f"no pod of revision {case.stable} is ready{why}")
    said = f"revision {case.stable} serves: {case.counted(case.stable)}"
    return Verdict(status="True", reason=Reason.SERVING, message=said)


def _not_yet(stall: Stall | None) -> Verdict:
    if stall:
        return _no(stall.reason, f"nothing has served yet: {stall.message}")
    return Verdict(
        status="Unknown", reason=Reason.STARTING, message="the first revision is on its way"
    )


def _no(reason: Reason, message: str) -> Verdict:
    return Verdict(status="False", reason=reason, message=message)


def judge_reconciling(stall: Stall | None, work: Work | None) -> Verdict:
    """Return whether anything goes on without anybody's help."""
    if stall:
        return _no(stall.reason, "waits for you, see Stalled")
    if work:
        return Verdict(status="True", reason=work.reason, message=work.message)
    return _no(Reason.UP_TO_DATE, "nothing to do")


def judge_rollout(case: Case, stall: Stall | None) -> Verdict:
    """Return whether what the spec asks for serves."""
    if stall and stall.fails_rollout:
        return _no(stall.reason, stall.message)
    if case.target is not None and case.target == case.stable and case.decision.rollout.settled:
        said = f"revision {case.target} has all requests"
        return Verdict(status="True", reason=Reason.PROMOTED, message=said)
    what = f"revision {case.target}" if case.target else "what the spec asks for"
    return Verdict(
        status="Unknown", reason=Reason.IN_PROGRESS, message=f"{what} does not have all requests"
    )

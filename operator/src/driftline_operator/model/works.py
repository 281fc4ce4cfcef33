"""What goes on by itself, in the order in which it does, and what it waits for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from driftline_api.conditions import Reason
from driftline_operator.model.case import Case
from driftline_operator.model.clock import written
from driftline_operator.model.health import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is going on."""

    phase: str
    reason: Reason
    message: str


def names_awaited(case: Case) -> Work | None:
    """A Model of this name was deleted a moment ago, and what it owned is still there."""
    if not case.observed.refusals:
        return None
    return Work(
        phase="Preparing",
        reason=Reason.REVISION_STARTING,
        message=f"{len(case.observed.leftovers)} objects of an earlier Model of this name are "
        "being removed",
    )


def artifact_resolving(case: Case) -> Work | None:
    """A Job finds out what the artifact contains."""
    if case.target is not None:
        return None
    problem = case.decision.resolution.problem
    if problem:
        return Work(phase="Resolving", reason=problem.reason, message=_passing(problem))
    return Work(
        phase="Resolving",
        reason=Reason.RESOLVING_ARTIFACT,
        message="a Job finds out the digest of spec.artifact",
    )


def target_waiting(case: Case) -> Work | None:
    """Earlier revisions cannot be removed while routers do not confirm that."""
    if not case.decision.rollout.waits:
        return None
    count = len(case.decision.rollout.running)
    return Work(
        phase="Preparing",
        reason=Reason.AWAITING_ROUTERS,
        message=f"{count} revisions run already: {case.target} starts when the routers have "
        "confirmed that one of them can go",
    )


def target_starting(case: Case) -> Work | None:
    """The target's pods are not ready yet."""
    if case.target is None or case.target == case.stable or case.has_all(case.target):
        return None
    problem = case.decision.hindered
    until = f", until {written(case.deadline)} at the latest" if case.deadline else ""
    context = f"revision {case.target} is starting: {case.counted(case.target)}{until}"
    if problem:
        said = f"{context}; {_passing(problem)}"
        return Work(phase="Preparing", reason=problem.reason, message=said)
    return Work(phase="Preparing", reason=Reason.REVISION_STARTING, message=context)


def port_awaited(case: Case) -> Work | None:
    """The router's controller has not given the Model its port yet."""
    if case.observed.router.port is not None:
        return None
    return Work(
        phase="Preparing",
        reason=Reason.AWAITING_ROUTERS,
        message="the router of the namespace has no port for this Model yet",
    )


def routers_awaited(case: Case) -> Work | None:
    """The target is ready, and its endpoints are on their way to the routers."""
    rollout = case.decision.rollout
    named = {share.revision for share in rollout.traffic.shares}
    if case.target is None or case.target == case.stable or case.target in named:
        return None
    return Work(
        phase="Preparing",
        reason=Reason.AWAITING_ROUTERS,
        message=f"revision {case.target} is ready; its endpoints are being published to every "
        "router",
    )


def traffic_switching(case: Case) -> Work | None:
    """New weights are on their way to the routers."""
    if case.target == case.stable and case.decision.rollout.settled:
        return None
    return Work(
        phase="Switching",
        reason=Reason.SWITCHING_TRAFFIC,
        message=f"all requests go to revision {case.target} as soon as every router has "
        "confirmed it",
    )


def pods_scaling(case: Case) -> Work | None:
    """Stable has fewer pods than it should."""
    if case.stable is None or case.ready(case.stable) >= case.wanted(case.stable):
        return None
    problem = case.decision.outage
    context = f"revision {case.stable}: {case.counted(case.stable)}"
    if problem:
        said = f"{context}; {_passing(problem)}"
        return Work(phase="Scaling", reason=problem.reason, message=said)
    return Work(phase="Scaling", reason=Reason.SCALING, message=context)


#: In the order in which they follow each other.
WORKS: Final[tuple[Callable[[Case], Work | None], ...]] = (
    names_awaited,
    artifact_resolving,
    target_waiting,
    target_starting,
    port_awaited,
    routers_awaited,
    traffic_switching,
    pods_scaling,
)


def _passing(problem: Problem) -> str:
    return f"{problem.message}. It is tried again; if it stays, {problem.remedy}"


def find_work(case: Case) -> Work | None:
    """Return what is going on, None where nothing is."""
    return next((work for rule in WORKS if (work := rule(case))), None)

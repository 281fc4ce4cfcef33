"""Why nothing goes on until a person acts: named rules, and what each asks that person to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from driftline_api.conditions import Reason
from driftline_operator.model.case import Case
from driftline_operator.model.health import Problem

_AFTER_REFUSAL: Final = (
    "You: correct the Model, or what refuses it: a quota, a policy, or what an object that you "
    "handed over had before."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Why a person must act.

    Attributes:
        fails_rollout: what the spec asks for cannot be had; False where it was had, and broke.
    """

    reason: Reason
    message: str
    fails_rollout: bool = True


def _stall(problem: Problem, context: str = "") -> Stall:
    told = f"{context}{problem.message}. You: {problem.remedy}. Driftline then goes on by itself."
    return Stall(reason=problem.reason, message=told)


def spec_unreadable(case: Case) -> Stall | None:
    """The spec is of another shape than this operator knows."""
    model = case.observed.model
    if model.spec is not None:
        return None
    return Stall(
        reason=Reason.INVALID_SPEC,
        message=f"{model.unreadable}. You: correct the field; until then nothing is changed.",
    )


def spec_impossible(case: Case) -> Stall | None:
    """The spec asks for what cannot be."""
    return _stall(case.decision.invalid) if case.decision.invalid else None


def child_refused(case: Case) -> Stall | None:
    """An object that the Model needs cannot be written."""
    refusals = case.observed.lasting_refusals()
    if not refusals:
        return None
    first = refusals[0]
    more = f" ({len(refusals) - 1} more are refused)" if len(refusals) > 1 else ""
    remedy = "" if first.reason == "NameConflict" else f" {_AFTER_REFUSAL}"
    said = first.message if str(first.ref) in first.message else f"{first.ref}: {first.message}"
    return Stall(reason=Reason(first.reason), message=f"{said}{more}.{remedy}")


def no_port_left(case: Case) -> Stall | None:
    """The namespace has as many Models as routers can listen for."""
    if case.observed.router.problem != Reason.PORTS_EXHAUSTED:
        return None
    return Stall(
        reason=Reason.PORTS_EXHAUSTED,
        message="all router ports of the namespace are taken or rest for an hour. You: delete "
        "Models that are not needed, or use another namespace.",
    )


def artifact_unresolved(case: Case) -> Stall | None:
    """Nobody can find out what the artifact contains."""
    problem = case.decision.resolution.problem
    return _stall(problem) if problem and problem.is_certain(case.now) else None


def target_cannot_start(case: Case) -> Stall | None:
    """The target is not ready, for sure or for too long."""
    if case.target is None or case.target == case.stable or case.has_all(case.target):
        return None
    late = case.deadline is not None and case.now >= case.deadline
    problem = case.decision.hindered
    context = f"revision {case.target} ({case.counted(case.target)}): "
    if problem and (late or problem.is_certain(case.now)):
        return _stall(problem, context)
    if not late:
        return None
    return Stall(
        reason=Reason.PROGRESS_DEADLINE_EXCEEDED,
        message=f"{context}not ready within spec.rollout.progressDeadlineSeconds. You: look at "
        "its pods, then correct the Model or raise the deadline.",
    )


def stable_cannot_serve(case: Case) -> Stall | None:
    """What has served does not any more, and will not by itself."""
    problem = case.decision.outage
    if case.stable is None or case.ready(case.stable) or not problem:
        return None
    if not problem.is_certain(case.now):
        return None
    stall = _stall(problem, f"revision {case.stable}: ")
    fails = case.stable != case.target
    return Stall(reason=stall.reason, message=stall.message, fails_rollout=fails)


#: In the order in which a person has to deal with them.
STALLS: Final[tuple[Callable[[Case], Stall | None], ...]] = (
    spec_unreadable,
    spec_impossible,
    child_refused,
    no_port_left,
    artifact_unresolved,
    target_cannot_start,
    stable_cannot_serve,
)


def find_stall(case: Case) -> Stall | None:
    """Return why a person must act, None where nobody must."""
    return next((stall for rule in STALLS if (stall := rule(case))), None)

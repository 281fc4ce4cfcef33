"""What people are told once, when it happens: the differences between two statuses."""

from collections.abc import Callable
from typing import Final, Literal

from driftline_api.conditions import ConditionType, Reason
from driftline_api.model import Condition, ModelStatus, Share
from driftline_operator.core.plan import EventRecord
from driftline_operator.model.drift_events import (
    baseline_accepted,
    baseline_learned,
    baseline_refused,
    drift_cleared,
    drift_detected,
)
from driftline_operator.model.observed import Subject
from driftline_operator.model.status import model_ref
from driftline_operator.model.told import Told

_ORDINARY: Final = frozenset(
    {
        Reason.RESOLVING_ARTIFACT,
        Reason.REVISION_STARTING,
        Reason.AWAITING_ROUTERS,
        Reason.SWITCHING_TRAFFIC,
        Reason.SCALING,
        Reason.UP_TO_DATE,
    }
)


def _condition(status: ModelStatus, kind: ConditionType) -> Condition | None:
    return next((each for each in status.conditions if each.type == kind), None)


def _holds(status: ModelStatus, kind: ConditionType) -> Condition | None:
    found = _condition(status, kind)
    return found if found and found.status == "True" else None


def _trouble(status: ModelStatus) -> Condition | None:
    """Return what is wrong: for sure, or as it seems for now."""
    stalled = _holds(status, ConditionType.STALLED)
    working = _holds(status, ConditionType.RECONCILING)
    return stalled or (working if working and working.reason not in _ORDINARY else None)


def trouble_began(old: ModelStatus, new: ModelStatus) -> Told | None:
    """Something is wrong that was not before; that it has become certain is no news."""
    before, after = _trouble(old), _trouble(new)
    if after is None or (before and before.reason == after.reason):
        return None
    return Told(type="Warning", reason=Reason(after.reason), message=after.message)


def resolving_began(old: ModelStatus, new: ModelStatus) -> Told | None:
    """A Job looks at the artifact."""
    before = _holds(old, ConditionType.RECONCILING)
    after = _holds(new, ConditionType.RECONCILING)
    if after is None or after.reason != Reason.RESOLVING_ARTIFACT:
        return None
    if before and before.reason == after.reason:
        return None
    return Told(type="Normal", reason=Reason.RESOLVING_ARTIFACT, message=after.message)


def revision_started(old: ModelStatus, new: ModelStatus) -> Told | None:
    """Another revision is wanted."""
    if new.target_revision in {None, old.target_revision, new.stable_revision}:
        return None
    found = next((each for each in new.revisions if each.name == new.target_revision), None)
    what = f" from {found.uri} ({found.digest})" if found else ""
    message = f"revision {new.target_revision} starts{what}"
    return Told(type="Normal", reason=Reason.REVISION_STARTING, message=message)


def weights_changed(old: ModelStatus, new: ModelStatus) -> Told | None:
    """Requests go another way."""
    before, after = _canary(old), _canary(new)
    if before == after or (after is None and new.stable_revision != old.stable_revision):
        return None
    to = f"{after.weight} % to {after.revision}" if after else f"all to {new.stable_revision}"
    return Told(
        type="Normal" if after else "Warning",
        reason=Reason.SWITCHING_TRAFFIC,
        message=f"requests go {to} (epoch {new.traffic.epoch})",
    )


def _canary(status: ModelStatus) -> Share | None:
    return next((each for each in status.traffic.shares if each.arm == "canary"), None)


def promoted(old: ModelStatus, new: ModelStatus) -> Told | None:
    """Another revision has become stable."""
    if new.stable_revision in {None, old.stable_revision}:
        return None
    instead = f" instead of {old.stable_revision}" if old.stable_revision else ""
    message = f"revision {new.stable_revision} serves{instead}"
    return Told(type="Normal", reason=Reason.PROMOTED, message=message)


def ready_changed(old: ModelStatus, new: ModelStatus) -> Told | None:
    """Clients are answered that were not, or the reverse."""
    before, after = _condition(old, ConditionType.READY), _condition(new, ConditionType.READY)
    was, now = before is not None and before.status == "True", after and after.status == "True"
    if after is None or was == now:
        return None
    kind: Literal["Normal", "Warning"] = "Normal" if now else "Warning"
    return Told(type=kind, reason=Reason(after.reason), message=after.message)


TRANSITIONS: Final[tuple[Callable[[ModelStatus, ModelStatus], Told | None], ...]] = (
    resolving_began,
    revision_started,
    weights_changed,
    promoted,
    ready_changed,
    trouble_began,
    drift_detected,
    drift_cleared,
    baseline_learned,
    baseline_accepted,
    baseline_refused,
)


def plan_events(model: Subject, new: ModelStatus) -> tuple[EventRecord, ...]:
    """Return what happened between the status that the Model has and the one it shall have."""
    told = (transition(model.status, new) for transition in TRANSITIONS)
    return tuple(
        EventRecord(
            about=model_ref(model),
            uid=model.uid,
            type=each.type,
            reason=each.reason.value,
            message=each.message,
        )
        for each in told
        if each
    )

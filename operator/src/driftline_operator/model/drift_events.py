"""What people are told once of a Model's data: each edge, and what became of its baseline."""

from driftline_api.conditions import DRIFTED, Reason
from driftline_api.drift import DriftStatus
from driftline_api.model import ModelStatus
from driftline_operator.model.drift import drift_free
from driftline_operator.model.told import Told

_DRIFTED = frozenset(each.value for each in DRIFTED)


def drift_detected(old: ModelStatus, new: ModelStatus) -> Told | None:
    """The data differ that did not, or differ in another way."""
    before, after = drift_free(old), drift_free(new)
    if after is None or after.reason not in _DRIFTED:
        return None
    if before and before.reason == after.reason and _revision(old) == _revision(new):
        return None
    message = f"{after.reason}: {after.message}"
    return Told(type="Warning", reason=Reason.DRIFT_DETECTED, message=message)


def drift_cleared(old: ModelStatus, new: ModelStatus) -> Told | None:
    """The data that differed do not any more. That another revision serves is no such news."""
    before, after = drift_free(old), drift_free(new)
    if before is None or after is None or before.reason not in _DRIFTED:
        return None
    if after.reason in _DRIFTED or _revision(old) != _revision(new):
        return None
    message = f"{before.reason} is over. {after.message}"
    return Told(type="Normal", reason=Reason.DRIFT_CLEARED, message=message)


def baseline_learned(old: ModelStatus, new: ModelStatus) -> Told | None:
    """The first live rows have become what later ones are compared with."""
    now = _turned_to("Learned", old, new)
    if now is None:
        return None
    return Told(
        type="Normal",
        reason=Reason.BASELINE_LEARNED,
        message=f"the first {now.baseline.rows} rows of revision {now.revision} are what later "
        "ones are compared with. Whether they were like the training data is not known: put a "
        "profile, which `driftline profile build` writes, beside the model to have that watched.",
    )


def baseline_accepted(old: ModelStatus, new: ModelStatus) -> Told | None:
    """Somebody said that the live rows are right although they differ from training."""
    now = _turned_to("Accepted", old, new)
    if now is None:
        return None
    return Told(
        type="Normal",
        reason=Reason.BASELINE_ACCEPTED,
        message=f"spec.monitoring.baseline.accept names revision {now.revision}: from now on its "
        f"rows are compared with its first {now.baseline.rows} live ones, no more with its "
        "training data.",
    )


def baseline_refused(old: ModelStatus, new: ModelStatus) -> Told | None:
    """A profile cannot be used."""
    before, now = old.drift, new.drift
    problem = now.baseline.problem if now else ""
    if now is None or not problem:
        return None
    if before and (before.revision, before.baseline.problem) == (now.revision, problem):
        return None
    message = f"the baseline of revision {now.revision} is refused: {problem}"
    return Told(type="Warning", reason=Reason.BASELINE_REFUSED, message=message)


def _turned_to(source: str, old: ModelStatus, new: ModelStatus) -> DriftStatus | None:
    """Return what is known now, if the baseline has just become one of this source."""
    before, now = old.drift, new.drift
    if now is None or now.baseline.source != source:
        return None
    same = before and before.revision == now.revision and before.baseline.source == source
    return None if same else now


def _revision(status: ModelStatus) -> str | None:
    return status.drift.revision if status.drift else None

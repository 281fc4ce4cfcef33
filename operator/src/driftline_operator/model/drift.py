"""What a Model's status says of its data: which condition holds, and which figures stand beside.

It speaks of the revision that serves, and changes nothing else: neither whether the Model is
ready, nor whom it waits for, nor where requests go.

An answer that changes is written at once. Figures that move without it stay as they are until
something else is written, or until they are old.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from driftline_api.conditions import DRIFTED, ConditionStatus, ConditionType, Reason
from driftline_api.drift import MOST_FEATURES, MOST_WARNINGS, DriftedFeature, DriftStatus
from driftline_api.model import Condition, ModelStatus
from driftline_api.names import MONITOR, TAP_SOCKET
from driftline_operator.core.plan import Manifest
from driftline_operator.drift.findings import FIGURES_EVERY, RevisionFindings
from driftline_operator.model.assess import Verdict
from driftline_operator.model.case import Case
from driftline_operator.model.clock import parsed, written

#: Significant digits of figures in status: more would only move.
DIGITS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSaid:
    """What status says of the data.

    Attributes:
        verdict: the condition `DriftFree`.
        block: `status.drift`; None where nothing is known.
        due: when figures that moved are to be written; None where none did.
    """

    verdict: Verdict
    block: DriftStatus | None = None
    due: datetime | None = None


def say_drift(case: Case) -> DriftSaid:
    """Return what is known now."""
    found = findings_of(case)
    blank = next((said for rule in BLANKS if (said := rule(case))), None)
    if found is None:
        return DriftSaid(verdict=blank or _not_looked_yet(case), block=_block_before(case))
    verdict = blank or _verdict(case, found)
    return DriftSaid(verdict=verdict, block=_block(found, verdict.reason, case.now))


def held_drift(case: Case, now_known: DriftSaid) -> DriftSaid:
    """Return what status says already, unless what is known now must be written at once."""
    before, block = case.observed.model.status, now_known.block
    old, condition = before.drift, drift_free(before)
    if not (old and block and condition) or _edge(old) != _edge(block):
        return now_known
    if condition.reason != now_known.verdict.reason:
        return now_known
    if old.model_copy(update={"updated": block.updated}) == block:
        return DriftSaid(verdict=_kept(condition), block=old)
    due = (parsed(old.updated) or case.now) + FIGURES_EVERY
    if case.now >= due:
        return now_known
    return DriftSaid(verdict=_kept(condition), block=old, due=due)


def drift_free(status: ModelStatus) -> Condition | None:
    """Return the condition, as it was written."""
    kind = ConditionType.DRIFT_FREE
    return next((each for each in status.conditions if each.type == kind), None)


def findings_of(case: Case) -> RevisionFindings | None:
    """Return what was found of the revision that serves."""
    found = case.observed.drift
    return found.revisions.get(case.stable or "") if found else None


def nothing_serves(case: Case) -> Verdict | None:
    """There are no data yet."""
    if case.stable is not None:
        return None
    return _unknown("nothing serves yet, so there are no data to watch. Nobody need do anything.")


def no_monitor(case: Case) -> Verdict | None:
    """The revision was made by an operator that knew no monitors, or they were taken out."""
    record = case.observed.record(case.stable)
    if record is None or _container(record.template, MONITOR) is not None:
        return None
    return _unknown(
        f"nobody watches the data of revision {case.stable}: its pods were made without a "
        "monitor. You: set spec.runtime.refreshToken to any new text, which makes a revision of "
        "the same content with one; it takes over as any other does."
    )


def nothing_is_told(case: Case) -> Verdict | None:
    """Requests come, and the container says nothing of them."""
    found, record = findings_of(case), case.observed.record(case.stable)
    if found is None or record is None or found.observation.seen:
        return None
    if not found.observation.unobserved or _tells(record.template):
        return None
    return _unknown(
        f"the container of revision {case.stable} has told nothing of its "
        f"{found.observation.unobserved} inferences. You: set spec.runtime.container.observe to "
        f"Proxy, or have the container write to the Unix socket {TAP_SOCKET}."
    )


def _not_looked_yet(case: Case) -> Verdict:
    """Nothing was heard of this revision yet; what status says of it stays until something is."""
    old = drift_free(case.observed.model.status)
    if old and _block_before(case):
        return _kept(old)
    return _unknown(
        f"the monitors of revision {case.stable} have not been asked yet. Nobody need do anything: "
        "they are asked every minute."
    )


#: Why nothing can be said of the data. The first that applies is told.
BLANKS: Final[tuple[Callable[[Case], Verdict | None], ...]] = (
    nothing_serves,
    no_monitor,
    nothing_is_told,
)


def status_of(reason: Reason) -> ConditionStatus:
    """Return whether data are free of drift, by why."""
    if reason in DRIFTED:
        return "False"
    return "True" if reason is Reason.NO_DRIFT else "Unknown"


def _verdict(case: Case, found: RevisionFindings) -> Verdict:
    parts = (f"revision {case.stable}: {found.summary}", found.action)
    message = " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)
    return Verdict(status=status_of(found.reason), reason=found.reason, message=message)


def _unknown(message: str) -> Verdict:
    return Verdict(status="Unknown", reason=Reason.INSUFFICIENT_DATA, message=message)


def _kept(condition: Condition) -> Verdict:
    return Verdict(
        status=condition.status, reason=Reason(condition.reason), message=condition.message
    )


def _block_before(case: Case) -> DriftStatus | None:
    """Return what status says already of the revision that serves."""
    before = case.observed.model.status.drift
    return before if before and before.revision == case.stable else None


def _block(found: RevisionFindings, reason: Reason, now: datetime) -> DriftStatus:
    return DriftStatus(
        revision=found.revision,
        question=found.question,
        reason=reason.value,
        since=written(found.since or now),
        rows_since=found.rows_since,
        rows=found.rows,
        evidence=rounded(found.evidence),
        features=list(_features(found)),
        performance=_rounded_fields(found.performance),
        latency=found.latency,
        baseline=found.baseline,
        observation=found.observation,
        recommendation=found.recommendation,
        action=found.action,
        warnings=list(found.warnings[:MOST_WARNINGS]),
        updated=written(now),
    )


def _features(found: RevisionFindings) -> Iterator[DriftedFeature]:
    for each in found.features[:MOST_FEATURES]:
        yield _rounded_fields(each)


def _rounded_fields(value: Any) -> Any:
    """Return a record of the API with its figures rounded; None for none."""
    if value is None:
        return None
    fields = {name: getattr(value, name) for name in type(value).model_fields}
    figures = {name: rounded(each) for name, each in fields.items() if isinstance(each, float)}
    return value.model_copy(update=figures)


def rounded(value: float) -> float:
    """Return a figure with few digits.

    >>> rounded(0.123456), rounded(1234.5)
    (0.123, 1230.0)
    """
    return float(f"{value:.{DIGITS}g}")


def _edge(block: DriftStatus) -> tuple[object, ...]:
    """Return what is worth a write at once, as `RevisionFindings.edge` has it."""
    baseline = block.baseline
    return (
        block.revision,
        block.reason,
        block.question,
        block.recommendation,
        baseline.source,
        baseline.problem,
    )


def _container(template: Manifest, name: str) -> Manifest | None:
    containers = (template.get("spec") or {}).get("containers") or ()
    return next((each for each in containers if each.get("name") == name), None)


def _tells(template: Manifest) -> bool:
    """Tell whether something of ours in the pod writes to the tap."""
    containers = (template.get("spec") or {}).get("containers") or ()
    return any(
        "--tap" in (each.get("args") or ()) for each in containers if each.get("name") != MONITOR
    )

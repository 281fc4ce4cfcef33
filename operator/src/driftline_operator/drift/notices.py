"""What others are told when an answer changes: CloudEvents 1.0, one for each edge.

An event's id is a function of the Model and of how many edges there were before: whoever gets one
twice, because an operator crashed between sending and remembering, can tell.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from driftline_api.conditions import DRIFTED
from driftline_operator.drift.findings import RevisionFindings
from driftline_operator.drift.revision import Told

DETECTED: Final = "dev.driftline.drift.detected"
CLEARED: Final = "dev.driftline.drift.cleared"
LEARNED: Final = "dev.driftline.baseline.learned"
REFUSED: Final = "dev.driftline.baseline.refused"

_DRIFTED: Final = frozenset(each.value for each in DRIFTED)

#: Notices of one Model that wait to be sent; beyond it the oldest are given up, and counted.
MOST_WAITING: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event, as it is sent.

    Attributes:
        id: of the event.
        type: one of the constants of this module.
        body: the event as JSON, in the structured mode of the HTTP binding.
    """

    id: str
    type: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The Model that events are about, and what makes their ids."""

    namespace: str
    model: str
    uid: str


def edges_of(before: Told, now: Told) -> Iterator[str]:
    """Yield the types of event that a change of what is told makes.

    A revision of which nothing was told before is compared with one that nothing is wrong with.
    """
    if now.reason in _DRIFTED and now.reason != before.reason:
        yield DETECTED
    elif before.reason in _DRIFTED and now.reason not in _DRIFTED:
        yield CLEARED
    if now.source == "Learned" != before.source:
        yield LEARNED
    if now.problem and now.problem != before.problem:
        yield REFUSED


def notice(about: About, number: int, kind: str, found: RevisionFindings, at: datetime) -> Notice:
    """Return the event of one edge.

    Args:
        about: the Model.
        number: edges of the Model before this one.
        kind: its type.
        found: what is known of the revision now.
        at: when.
    """
    name = f"{about.uid}/{number}/{kind}/{found.revision}"
    event_id = hashlib.sha256(name.encode()).hexdigest()[:32]
    envelope = {
        "specversion": "1.0",
        "id": event_id,
        "type": kind,
        "source": f"/namespaces/{about.namespace}/models/{about.model}",
        "subject": found.revision,
        "time": at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": _data(about, found),
    }
    body = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Notice(id=event_id, type=kind, body=body)


def _data(about: About, found: RevisionFindings) -> dict[str, Any]:
    """Return what an event tells: what status does, and no row of anybody."""
    return {
        "namespace": about.namespace,
        "model": about.model,
        "revision": found.revision,
        "reason": found.reason.value,
        "question": found.question,
        "summary": found.summary,
        "action": found.action,
        "recommendation": found.recommendation,
        "evidence": found.evidence,
        "rows": found.rows,
        "since": found.since.isoformat() if found.since else None,
        "features": [each.model_dump(mode="json", by_alias=True) for each in found.features[:5]],
        "baseline": found.baseline.model_dump(mode="json", by_alias=True),
        "observation": found.observation.model_dump(mode="json", by_alias=True),
    }

"""Events: what people read in `kubectl describe`.

The name is a function of what is said, so that saying it again counts up instead of filling the
namespace, also when a crash makes us repeat ourselves.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from driftline_api.names import FIELD_MANAGER
from driftline_operator.core.plan import EventRecord, Manifest, ObjectRef
from driftline_operator.errors import ConflictError
from driftline_operator.kube.api import Api

#: The API server refuses longer ones.
_MESSAGE_LIMIT: Final = 1024


async def write_event(api: Api, record: EventRecord, now: datetime) -> None:
    """Create the Event, or count up the one that says the same."""
    event = render_event(record, now)
    try:
        await api.create(event)
    except ConflictError:
        earlier = await api.get(ObjectRef.of(event))
        if earlier is not None:
            await api.replace(counted_up(earlier, now))


def render_event(record: EventRecord, now: datetime) -> dict[str, Any]:
    """Return the Event as first written."""
    about, stamp = record.about, rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(record), "namespace": about.namespace},
        "involvedObject": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": record.uid,
        },
        "type": record.type,
        "reason": record.reason,
        "message": record.message[:_MESSAGE_LIMIT],
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


def counted_up(earlier: Manifest, now: datetime) -> Mapping[str, Any]:
    """Return the Event as having happened once more."""
    return {**earlier, "count": earlier.get("count", 1) + 1, "lastTimestamp": rfc3339(now)}


def event_name(record: EventRecord) -> str:
    """Return a name that is the same for the same words about the same object."""
    said = repr((record.uid, record.type, record.reason, record.message))
    return f"{record.about.name}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def rfc3339(moment: datetime) -> str:
    """Return a UTC moment as Kubernetes writes it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

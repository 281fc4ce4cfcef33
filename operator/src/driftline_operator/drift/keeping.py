"""How a Model's drift state is kept: one ConfigMap, at most 256 KiB, written in one piece.

It bears no label that is watched: a thousand of them would fill the Store, and only the leader
reads one, once.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from driftline_api import API_VERSION
from driftline_api.names import MODEL
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.drift.model_drift import ModelDrift
from driftline_operator.drift.notices import Notice
from driftline_operator.drift.revision import Reference, RevisionDrift, Told
from driftline_operator.drift.seen import Seen
from driftline_operator.drift.units import Ledger, RouterCounts
from driftline_stats.errors import StatsError
from driftline_stats.watch.learning import Learning
from driftline_stats.watch.packing import packed_text, unpacked
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch

MOST_BYTES: Final = 256 * 1024
#: Which number of the Lease's transitions wrote it: no leader overwrites what a later one wrote.
TRANSITION: Final = "driftline.dev/transition"
_VERSION: Final = 1
_STATE: Final = "state"
#: In the place of counters that found no room. Whoever reads it takes in nothing of that process
#: until it has told where it is: that is lost, and nothing is counted twice.
_LOST: Final = b""


class KeptError(ValueError):
    """What was kept cannot be read: the message says why."""


def drift_ref(namespace: str, model: str) -> ObjectRef:
    """Return the name of what is kept of a Model."""
    return ObjectRef(api_version="v1", kind="ConfigMap", namespace=namespace, name=f"{model}-drift")


def render_kept(ref: ObjectRef, model: str, drift: ModelDrift, transition: int) -> Manifest:
    """Return the ConfigMap that holds a Model's state.

    Where it would be too large, counters are left out, those of the largest first.

    Raises:
        KeptError: it is too large without any counters.
    """
    state = zlib.compress(json.dumps(_state(drift), separators=(",", ":")).encode(), 6)
    if len(state) > MOST_BYTES:
        raise KeptError(f"{len(state)} bytes are more than {MOST_BYTES}")
    counters = _fitting({name: each.packed for name, each in drift.seen.items()}, len(state))
    data = {_STATE: state, **{f"seen-{at}": blob for at, blob in enumerate(counters)}}
    owner = {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "name": model,
        "uid": drift.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {MODEL: model},
            "annotations": {TRANSITION: str(transition)},
            "ownerReferences": [owner],
        },
        "binaryData": {name: base64.b64encode(blob).decode() for name, blob in data.items()},
    }


def _fitting(counters: Mapping[str, bytes], used: int) -> list[bytes]:
    """Return the counters in order of name, the largest as lost where they find no room."""
    room = MOST_BYTES - used
    kept: dict[str, bytes] = {}
    for name in sorted(counters, key=lambda each: (len(counters[each]), each)):
        fits = len(counters[name]) <= room
        kept[name] = counters[name] if fits else _LOST
        room -= len(kept[name])
    return [kept[name] for name in sorted(kept)]


def parse_kept(manifest: Manifest, uid: str) -> ModelDrift:
    """Return the state that a ConfigMap holds.

    Raises:
        KeptError: it belongs to another Model of the name, or cannot be read.
    """
    try:
        blobs = {
            name: base64.b64decode(text, validate=True)
            for name, text in (manifest.get("binaryData") or {}).items()
        }
        state = json.loads(zlib.decompress(blobs[_STATE]))
        if state["version"] != _VERSION:
            raise KeptError(f"version {state['version']} is not known, only {_VERSION}")
        if state["uid"] != uid:
            raise KeptError(f"it is that of Model {state['uid']}")
        return _drift(state, blobs)
    except (KeyError, TypeError, AttributeError, ValueError, zlib.error) as error:
        raise KeptError(f"{type(error).__name__}: {error}") from error


def transition_of(manifest: Manifest) -> int:
    """Return by which number of the Lease's transitions it was written, 0 where it does not say."""
    text = (manifest["metadata"].get("annotations") or {}).get(TRANSITION, "")
    return int(text) if text.isdecimal() else 0


def is_kept_of(manifest: Manifest, uid: str) -> bool:
    """Tell whether a ConfigMap is the Model's own, and nobody else's of the same name."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(each["uid"] == uid for each in owners)


def _state(drift: ModelDrift) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "uid": drift.uid,
        "edges": drift.edges,
        "waiting": [asdict(each) for each in drift.waiting],
        "routers": drift.routers.counts,
        "seen": [[name, drift.seen[name].at, drift.seen[name].slot] for name in sorted(drift.seen)],
        "revisions": {name: _revision(each) for name, each in drift.revisions.items()},
    }


def _revision(revision: RevisionDrift) -> dict[str, Any]:
    watch = revision.watch
    return {
        "ledger": asdict(revision.ledger),
        "looked": revision.looked,
        "settled": revision.settled,
        "plan": revision.plan,
        "learning": revision.learning.to_json() if revision.learning else "",
        "learned": watch.plan.to_json() if watch and not watch.plan.trained else "",
        "stored": watch.stored()
        if watch
        else unpacked(revision.stored).decode()
        if revision.stored
        else "",
        "problem": revision.problem,
        "note": revision.note,
        "told": asdict(revision.told),
    }


def _drift(state: Mapping[str, Any], blobs: Mapping[str, bytes]) -> ModelDrift:
    return ModelDrift(
        uid=state["uid"],
        edges=state["edges"],
        waiting=tuple(Notice(**each) for each in state["waiting"]),
        routers=RouterCounts(counts=state["routers"]),
        seen={
            name: Seen(at=at, slot=slot, packed=blobs[f"seen-{place}"])
            for place, (name, at, slot) in enumerate(state["seen"])
        },
        revisions={name: _read_revision(each) for name, each in state["revisions"].items()},
    )


def _read_revision(state: Mapping[str, Any]) -> RevisionDrift:
    revision = RevisionDrift(
        ledger=Ledger(**state["ledger"]),
        looked=state["looked"],
        settled=state["settled"],
        plan=state["plan"],
        learning=Learning.from_json(state["learning"]) if state["learning"] else None,
        problem=state["problem"],
        note=state["note"],
        told=Told(**state["told"]),
    )
    if not state["learned"]:
        stored = packed_text(state["stored"]) if state["stored"] else ""
        return replace(revision, stored=stored)
    plan = WatchPlan.from_json(state["learned"])
    try:
        watch = Watch.restored(plan, state["stored"])
    except StatsError:
        watch = Watch.start(plan)
    return replace(revision, watch=watch, reference=Reference.of(plan))

"""Carries plans out, and decides nothing.

The order is what makes a crash at any point harmless: children first, so that status never
speaks of what is not there; then deletions; then status; then Events, which only tell.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from driftline_api.names import MANIFEST_HASH
from driftline_operator.core.compare import is_contained, merge_patch, stamped
from driftline_operator.core.events import write_event
from driftline_operator.core.ownership import (
    is_adopted,
    is_going,
    is_labelled,
    is_ours,
    name_conflict,
)
from driftline_operator.core.plan import (
    Deletion,
    EventRecord,
    Key,
    Manifest,
    ObjectRef,
    Plan,
    Refusal,
    StatusWrite,
)
from driftline_operator.errors import DriftlineError, RefusedError
from driftline_operator.kube.api import Api

log = logging.getLogger(__name__)


class Knowledge(Protocol):
    """The Store, as the executor needs it: what was written is known at once."""

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None."""

    def put(self, manifest: Manifest) -> object:
        """Take in a state of an object."""

    def forget(self, ref: ObjectRef) -> object:
        """Take in that nothing bears this name."""


class Writes(Protocol):
    """What every write passes through."""

    def permit(self) -> None:
        """Raise NotLeaderError unless we may write now."""

    def count(self, kind: str, verb: str) -> None:
        """Take note of a write that was carried out."""


class Executor:
    """Writes what plans say, skipping what is there already."""

    def __init__(self, api: Api, store: Knowledge, writes: Writes) -> None:
        self._api = api
        self._store = store
        self._writes = writes
        self._applied: dict[ObjectRef, tuple[str, str, str]] = {}
        self._doubtful: dict[Key, set[ObjectRef]] = {}
        self._unreadable: dict[ObjectRef, str] = {}

    async def settle_doubts(self, key: Key) -> None:
        """Read anew what an earlier write of this key may or may not have changed.

        A request that got no answer may have been carried out, and after a conflict the Store
        is known to be behind. No plan is made on such ground.
        """
        for ref in sorted(self._doubtful.get(key, ())):
            live = await self._api.get(ref)
            if live is None:
                self._store.forget(ref)
            elif self._store.get(ref) or is_labelled(live):
                self._store.put(live)
            self._settle(key, ref)

    async def read_unwatched(self, refs: Sequence[ObjectRef]) -> None:
        """Bring the Store to where objects are that no watch tells of.

        One that may not be read counts as absent, and is not applied: that is told as every
        refusal is, and keeps nothing else from being done.

        Raises:
            DriftlineError: nobody knows where it is; no plan is made on such ground.
        """
        for ref in refs:
            self._unreadable.pop(ref, None)
            try:
                live = await self._api.get(ref)
            except RefusedError as error:
                live, self._unreadable[ref] = None, str(error)
            if live is None:
                self._store.forget(ref)
            else:
                self._store.put(live)

    async def apply_children(
        self, key: Key, plan: Plan, refused: tuple[Refusal, ...] = ()
    ) -> tuple[Refusal, ...]:
        """Apply what the plan wants to exist; return all that was refused, the known included.

        A refusal does not keep the others from being applied: one foreign Service in the way
        of a name must not keep a Model's pods from starting.
        """
        skip = {refusal.ref for refusal in refused}
        found = list(refused)
        for wanted in plan.apply:
            ref = ObjectRef.of(wanted)
            if ref not in skip and (refusal := await self._apply(key, ref, stamped(wanted))):
                found.append(refusal)
        return tuple(found)

    async def finish(self, key: Key, plan: Plan, now: datetime) -> None:
        """Delete, then write status, then Events."""
        for deletion in plan.delete:
            await self._delete(key, deletion)
        if plan.status:
            await self._write_status(key, plan.status)
        for record in plan.events:
            await self._tell(record, now)

    async def _apply(self, key: Key, ref: ObjectRef, desired: Manifest) -> Refusal | None:
        if said := self._unreadable.get(ref):
            return Refusal(ref=ref, reason="ChildRefused", message=said)
        try:
            live = self._store.get(ref) or await self._api.get(ref)
            if live and not is_ours(desired, live) and not is_adopted(desired, live):
                return name_conflict(ref, desired)
            if live is None or not (is_going(live) or self._is_settled(ref, desired, live)):
                await self._write_child(key, ref, desired, force=live is not None)
        except RefusedError as error:
            return Refusal(ref=ref, reason="ChildRefused", message=str(error))
        return None

    async def _write_child(
        self, key: Key, ref: ObjectRef, desired: Manifest, *, force: bool
    ) -> None:
        """Apply. Not forced where nothing was found: what appeared meanwhile is another's."""
        with self._writing(key, ref, "apply"):
            answer = await self._api.apply(desired, force=force)
        self._applied[ref] = (desired["metadata"]["annotations"][MANIFEST_HASH], *_version(answer))
        self._store.put(answer)

    def _is_settled(self, ref: ObjectRef, desired: Manifest, live: Manifest) -> bool:
        """Tell whether an apply would change nothing.

        As long as nobody has changed what the object asks for since our own apply, only what
        moves without that is compared: labels and annotations. Anything else could not be told
        from what the API server rewrites in a way that `is_contained` cannot know.
        """
        wanted = desired["metadata"]["annotations"][MANIFEST_HASH]
        if live["metadata"].get("annotations", {}).get(MANIFEST_HASH) != wanted:
            return False
        untouched = self._applied.get(ref) == (wanted, *_version(live))
        return is_contained({"metadata": desired["metadata"]} if untouched else desired, live)

    async def _delete(self, key: Key, deletion: Deletion) -> None:
        known = self._store.get(deletion.ref)
        if known and is_going(known):
            return
        with self._writing(key, deletion.ref, "delete"):
            left = await self._api.delete(
                deletion.ref, uid=deletion.uid, resource_version=deletion.resource_version
            )
        self._applied.pop(deletion.ref, None)
        if left is None:
            self._store.forget(deletion.ref)
        else:
            self._store.put(left)

    async def _write_status(self, key: Key, write: StatusWrite) -> None:
        known = self._store.get(write.ref)
        if known is None or known["metadata"]["uid"] != write.uid:
            return
        patch = merge_patch(known.get("status", {}), write.status)
        if not patch:
            return
        with self._writing(key, write.ref, "status"):
            answer = await self._api.patch_status(
                write.ref, uid=write.uid, resource_version=write.resource_version, status=patch
            )
        self._store.put(answer)

    async def _tell(self, record: EventRecord, now: datetime) -> None:
        """Write an Event. That it fails is no reason to do the rest again."""
        self._writes.permit()
        try:
            await write_event(self._api, record, now)
        except DriftlineError as error:
            log.warning("no event %s about %s: %s", record.reason, record.about, error)
        else:
            self._writes.count("Event", "create")

    @contextmanager
    def _writing(self, key: Key, ref: ObjectRef, verb: str) -> Iterator[None]:
        """Allow one write, and remember it as doubtful until it is known how it ended.

        Refused is known: nothing changed. A time-out, a conflict or a cancellation are not.
        """
        self._writes.permit()
        self._doubtful.setdefault(key, set()).add(ref)
        try:
            yield
        except RefusedError:
            self._settle(key, ref)
            raise
        self._settle(key, ref)
        self._writes.count(ref.kind, verb)

    def _settle(self, key: Key, ref: ObjectRef) -> None:
        doubts = self._doubtful[key]
        doubts.discard(ref)
        if not doubts:
            del self._doubtful[key]


def _version(live: Manifest) -> tuple[str, str]:
    """Return what tells whether somebody changed what an object asks for."""
    meta = live["metadata"]
    return meta["uid"], str(meta.get("generation", meta["resourceVersion"]))

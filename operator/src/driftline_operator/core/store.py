"""What the operator knows of the cluster.

Objects are kept as packed JSON: a tenth of what dicts take, and nobody can change what another
reads. Decoding one costs tens of microseconds; what finds objects (labels, stamps, the index of
a Model's children) is kept beside, decoded.

The Store only ever moves forward: an event that is older than what is known, of a watch that
lags behind our own writes, is ignored. That rests on resourceVersions of one kind being ordered,
which Kubernetes guarantees as of 1.35 and etcd always has.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

import orjson

from driftline_api.names import MODEL
from driftline_operator.core.controller import Change, Stamp
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.core.slim import slimmed

_Address = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Record:
    stamp: Stamp
    order: int
    labels: Mapping[str, str]
    packed: bytes

    def decode(self) -> dict[str, Any]:
        decoded: dict[str, Any] = orjson.loads(self.packed)
        return decoded


@dataclass(frozen=True, slots=True)
class Listing:
    """A LIST that is under way: what it showed, and what was seen to go meanwhile.

    Without the second, a page that was read before a deletion would bring the object back.
    """

    kind: str
    namespace: str
    seen: set[tuple[str, str]] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)


class Store:
    """Every watched object, by kind, namespace and name. One thread, no awaiting.

    Its reading half is the `Snapshot` of `core.controller`.
    """

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, dict[str, _Record]]] = defaultdict(dict)
        self._owned: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        self._listings: list[Listing] = []

    def put(self, manifest: Manifest) -> Change | None:
        """Take in a state of an object; None when it says nothing new."""
        kind, namespace, name = _address(manifest)
        known = self._record(kind, namespace, name)
        if known and _order(manifest) <= known.order:
            return None
        record = _packed(manifest)
        if known:
            self._unindex(kind, namespace, name, known)
        self._objects[kind].setdefault(namespace, {})[name] = record
        if owner := record.labels.get(MODEL):
            self._owned[namespace, owner].add((kind, name))
        return Change(old=known.decode() if known else None, new=record.decode())

    def drop(self, manifest: Manifest) -> Change | None:
        """Take in that an object is gone; None when it was unknown or is another by now."""
        meta = manifest["metadata"]
        self._note_gone(manifest["kind"], meta["uid"])
        kind, namespace, name = _address(manifest)
        known = self._record(kind, namespace, name)
        if known is None or known.stamp.uid != meta["uid"]:
            return None
        return self._remove(kind, namespace, name, known)

    def forget(self, ref: ObjectRef) -> Change | None:
        """Take in that nothing bears this name."""
        known = self._record(ref.kind, ref.namespace, ref.name)
        if known is None:
            return None
        self._note_gone(ref.kind, known.stamp.uid)
        return self._remove(ref.kind, ref.namespace, ref.name, known)

    def begin_replace(self, kind: str, namespace: str) -> Listing:
        """Call before the first page of a LIST is requested."""
        listing = Listing(kind, namespace)
        self._listings.append(listing)
        return listing

    def take_page(self, listing: Listing, items: Iterable[Manifest]) -> list[Change]:
        """Take in a page; return what a watch had missed.

        What was learnt after the list was taken (watch events, our own writes) stands.
        """
        changes: list[Change | None] = []
        for item in items:
            meta = item["metadata"]
            listing.seen.add((meta.get("namespace", ""), meta["name"]))
            if meta["uid"] not in listing.gone:
                changes.append(self.put(item))
        return [change for change in changes if change]

    def end_replace(self, listing: Listing, resource_version: str) -> list[Change]:
        """Drop what the complete LIST did not show, unless it is newer than the LIST."""
        taken = int(resource_version)
        return [
            self._remove(listing.kind, namespace, name, known)
            for namespace, name, known in self._records(listing.kind, listing.namespace)
            if (namespace, name) not in listing.seen and known.order <= taken
        ]

    def abandon_replace(self, listing: Listing) -> None:
        """Call when a LIST is over, completed or not."""
        self._listings = [each for each in self._listings if each is not listing]

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None."""
        return self.find(ref.kind, ref.namespace, ref.name)

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return the object of a watched kind, or None."""
        record = self._record(kind, namespace, name)
        return record.decode() if record else None

    def owned(self, namespace: str, model: str, kind: str = "") -> Sequence[Manifest]:
        """Return what is labelled as a Model's, by kind and name."""
        found = sorted(self._owned.get((namespace, model), ()))
        return tuple(
            self._objects[each][namespace][name].decode()
            for each, name in found
            if not kind or each == kind
        )

    def of_kind(
        self, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """Return all objects of a kind that bear the labels, by namespace and name."""
        wanted = (labels or {}).items()
        records = self._records(kind, namespace)
        found = [each for each in records if wanted <= each[2].labels.items()]
        return tuple(record.decode() for *_, record in sorted(found, key=lambda each: each[:2]))

    def stamps(self, kind: str, namespace: str) -> Mapping[str, Stamp]:
        """Return each object's stamp by name, decoding none."""
        records = self._objects[kind].get(namespace, {})
        return {name: record.stamp for name, record in records.items()}

    def namespaces(self, kind: str) -> Sequence[str]:
        """Return the namespaces that hold objects of a kind, sorted."""
        return sorted(self._objects[kind])

    def counts(self) -> Mapping[str, int]:
        """Return how many objects of each kind are known."""
        return {
            kind: sum(len(records) for records in spaces.values())
            for kind, spaces in self._objects.items()
        }

    def _record(self, kind: str, namespace: str, name: str) -> _Record | None:
        return self._objects[kind].get(namespace, {}).get(name)

    def _records(self, kind: str, namespace: str) -> list[tuple[str, str, _Record]]:
        return list(self._each_record(kind, namespace))

    def _each_record(self, kind: str, namespace: str) -> Iterator[tuple[str, str, _Record]]:
        for where, records in self._objects[kind].items():
            if namespace in ("", where):
                for name, record in records.items():
                    yield where, name, record

    def _remove(self, kind: str, namespace: str, name: str, known: _Record) -> Change:
        self._unindex(kind, namespace, name, known)
        del self._objects[kind][namespace][name]
        if not self._objects[kind][namespace]:
            del self._objects[kind][namespace]
        return Change(old=known.decode(), new=None)

    def _unindex(self, kind: str, namespace: str, name: str, known: _Record) -> None:
        if owner := known.labels.get(MODEL):
            self._owned[namespace, owner].discard((kind, name))
            if not self._owned[namespace, owner]:
                del self._owned[namespace, owner]

    def _note_gone(self, kind: str, uid: str) -> None:
        for listing in self._listings:
            if listing.kind == kind:
                listing.gone.add(uid)


def _address(manifest: Manifest) -> _Address:
    meta = manifest["metadata"]
    return intern(manifest["kind"]), intern(meta.get("namespace", "")), meta["name"]


def _order(manifest: Manifest) -> int:
    return int(manifest["metadata"]["resourceVersion"])


def _packed(manifest: Manifest) -> _Record:
    meta = manifest["metadata"]
    labels = {intern(key): intern(value) for key, value in meta.get("labels", {}).items()}
    return _Record(
        stamp=Stamp(uid=meta["uid"], resource_version=meta["resourceVersion"]),
        order=_order(manifest),
        labels=labels,
        # A copy: what orjson returns keeps the buffer it was written in, twice as large and more.
        packed=bytes(memoryview(orjson.dumps(slimmed(manifest)))),
    )

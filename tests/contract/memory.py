"""An API server in memory: as much of one as Driftline leans on, and no faults.

`test_contract.py` holds it to the behaviour of the real one. Faults are put around it
(`tests/faults`), never into it.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from driftline_api.names import FIELD_MANAGER
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.errors import ConflictError, ExpiredError, GoneError, RefusedError
from driftline_operator.kube.api import ListedPage, ListQuery
from tests.contract.fields import PRESENT, Path, get_at, leaves, remove_at, set_at
from tests.contract.rules import defaulted, immutable_fields, problems

_GENERATED = {"Model", "Deployment", "PodDisruptionBudget", "Job"}
_NO_STATUS = {"ConfigMap", "ControllerRevision", "Event", "Lease", "Secret"}
_NOT_CONTENT = {"metadata", "status", "apiVersion", "kind"}

Verb = Literal["create", "apply", "replace", "status", "delete"]


@dataclass(slots=True)
class _Kept:
    manifest: dict[str, Any]
    owners: dict[str, set[Path]]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """What a watch would deliver."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    manifest: Manifest


class MemoryApi:
    """Implements `kube.api.Api`, and what the rest of the world does to the same objects."""

    def __init__(self, now: Callable[[], str] = lambda: "2026-01-01T00:00:00Z") -> None:
        self._now = now
        self._kept: dict[ObjectRef, _Kept] = {}
        self._version = 100
        self._uids = itertools.count(1)
        self._lists: dict[str, tuple[list[Manifest], str]] = {}
        self.watchers: list[Callable[[WatchEvent], None]] = []

    @property
    def version(self) -> int:
        """The newest resourceVersion: the same as long as nothing changes."""
        return self._version

    async def get(self, ref: ObjectRef) -> Manifest | None:
        kept = self._kept.get(ref)
        return _copied(kept.manifest) if kept else None

    async def list_page(
        self, query: ListQuery, *, limit: int = 500, continue_token: str = ""
    ) -> ListedPage:
        if not continue_token:
            items, version = self._matching(query), str(self._version)
        elif continue_token in self._lists:
            items, version = self._lists.pop(continue_token)
        else:
            raise ExpiredError("the provided continue parameter is too old")
        rest, token = items[limit:], ""
        if rest:
            token = f"{version}/{len(rest)}/{next(self._uids)}"
            self._lists[token] = rest, version
        return ListedPage(items=items[:limit], resource_version=version, continue_token=token)

    async def create(self, manifest: Manifest) -> Manifest:
        ref = ObjectRef.of(manifest)
        if ref in self._kept:
            raise ConflictError(f"{ref} already exists")
        return self._insert(ref, manifest, FIELD_MANAGER)

    async def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        return self.apply_as(FIELD_MANAGER, manifest, force=force)

    async def replace(self, manifest: Manifest) -> Manifest:
        return self._replace(manifest, FIELD_MANAGER)

    async def patch_status(
        self, ref: ObjectRef, *, uid: str, resource_version: str, status: Manifest
    ) -> Manifest:
        kept = self._existing(ref)
        _check_preconditions(kept.manifest, uid, resource_version)
        after = _copied(kept.manifest)
        after["status"] = _merged(after.get("status", {}), status)
        return self._store(ref, after, kept.owners)

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str) -> Manifest | None:
        kept = self._kept.get(ref)
        if kept is None:
            return None
        _check_preconditions(kept.manifest, uid, resource_version)
        return self._delete(ref)

    def apply_as(self, manager: str, manifest: Manifest, *, force: bool = False) -> Manifest:
        """Apply server-side, as whoever it is."""
        ref, meta = ObjectRef.of(manifest), manifest["metadata"]
        wanted = {k: v for k, v in _copied(manifest).items() if k != "status"}
        for precondition in ("uid", "resourceVersion"):
            wanted["metadata"].pop(precondition, None)
        kept = self._kept.get(ref)
        if kept is None:
            if "uid" in meta or "resourceVersion" in meta:
                raise ConflictError(f"{ref} does not exist, and a precondition names it")
            return self._insert(ref, wanted, manager)
        _check_preconditions(kept.manifest, meta.get("uid"), meta.get("resourceVersion"))
        return self._merge(ref, kept, wanted, manager, force=force)

    def edit(
        self, ref: ObjectRef, change: Callable[[dict[str, Any]], None], manager: str = "somebody"
    ) -> Manifest:
        """Read, change and replace an object, as a person or another controller does."""
        manifest = _copied(self._existing(ref).manifest)
        change(manifest)
        return self._replace(manifest, manager)

    def set_status(self, ref: ObjectRef, status: Manifest) -> Manifest:
        """Replace the whole status, as the controller of a kind does."""
        kept = self._existing(ref)
        return self._store(ref, {**_copied(kept.manifest), "status": dict(status)}, kept.owners)

    def delete_now(self, ref: ObjectRef) -> None:
        """Delete, as a person does: without preconditions."""
        if ref in self._kept:
            self._delete(ref)

    def create_as(self, manager: str, manifest: Manifest) -> Manifest:
        """Create, as somebody else."""
        return self._insert(ObjectRef.of(manifest), manifest, manager)

    def find(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, at once. It is not to be changed."""
        kept = self._kept.get(ref)
        return kept.manifest if kept else None

    def everything(self, kind: str = "") -> list[Manifest]:
        """Return all objects, or those of a kind, in order of name. They are not to be changed."""
        refs = sorted(ref for ref in self._kept if kind in ("", ref.kind))
        return [self._kept[ref].manifest for ref in refs]

    def collect_garbage(self) -> None:
        """Delete what has owners of which none is left, until nothing is to be deleted."""
        while True:
            alive = {kept.manifest["metadata"]["uid"] for kept in self._kept.values()}
            orphans = [ref for ref, kept in self._kept.items() if _is_orphan(kept.manifest, alive)]
            if not orphans:
                return
            for ref in orphans:
                self._delete(ref)

    def expire_lists(self) -> None:
        """Compact: no LIST that is under way can go on."""
        self._lists.clear()

    def _matching(self, query: ListQuery) -> list[Manifest]:
        wanted = dict(term.split("=", 1) for term in query.labels.split(",") if term)
        return [
            manifest
            for manifest in self.everything(query.kind)
            if manifest["apiVersion"] == query.api_version
            and query.namespace in ("", manifest["metadata"].get("namespace"))
            and wanted.items() <= (manifest["metadata"].get("labels") or {}).items()
        ]

    def _existing(self, ref: ObjectRef) -> _Kept:
        kept = self._kept.get(ref)
        if kept is None:
            raise GoneError(f"{ref} not found")
        return kept

    def _insert(self, ref: ObjectRef, manifest: Manifest, manager: str) -> Manifest:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", ref.name):
            raise RefusedError(f"{ref} is invalid: metadata.name", status=422)
        made = {k: v for k, v in _copied(manifest).items() if k != "status" or _plain(ref)}
        made["metadata"] |= {"uid": f"uid-{next(self._uids):05d}", "creationTimestamp": self._now()}
        if ref.kind in _GENERATED:
            made["metadata"]["generation"] = 1
        owners = {manager: {path for path, _ in leaves(manifest)}}
        return self._store(ref, made, owners)

    def _replace(self, manifest: Manifest, manager: str) -> Manifest:
        ref = ObjectRef.of(manifest)
        kept = self._existing(ref)
        meta = manifest["metadata"]
        _check_preconditions(kept.manifest, meta.get("uid"), meta.get("resourceVersion"))
        after = _copied(dict(manifest))
        after["metadata"] = _server_set(kept.manifest) | after["metadata"]
        if not _plain(ref):
            after["status"] = _copied(kept.manifest.get("status", {}))
        before = dict(leaves(kept.manifest))
        changed = {path for path, value in leaves(after) if before.get(path) != value}
        owners = {who: paths - changed for who, paths in kept.owners.items()}
        owners[manager] = owners.get(manager, set()) | changed
        return self._store(ref, after, owners)

    def _merge(
        self, ref: ObjectRef, kept: _Kept, wanted: dict[str, Any], manager: str, *, force: bool
    ) -> Manifest:
        after = _copied(kept.manifest)
        owners = {who: set(paths) for who, paths in kept.owners.items()}
        mine = {path for path, _ in leaves(wanted)}
        for path, value in leaves(defaulted(wanted)):
            if path in mine and value is not PRESENT and get_at(after, path) != value:
                _take_over(ref, path, owners, manager, force=force)
        for path in sorted(owners.get(manager, set()) - mine, key=len, reverse=True):
            if not any(path in paths for who, paths in owners.items() if who != manager):
                remove_at(after, path)
        for path, value in leaves(wanted):
            set_at(after, path, value if value is PRESENT else _copied(value), wanted)
        owners[manager] = mine
        return self._store(ref, after, owners)

    def _store(
        self, ref: ObjectRef, manifest: dict[str, Any], owners: dict[str, set[Path]]
    ) -> Manifest:
        """Default, validate, and keep; what changes nothing is not a new version."""
        before = self._kept.get(ref)
        after = defaulted(manifest)
        if found := problems(after):
            raise RefusedError(f"{ref} is invalid: {', '.join(found)}", status=422)
        if before:
            _check_immutable(ref, before.manifest, after)
            if before.manifest == after:
                before.owners = owners
                return after
            if ref.kind in _GENERATED and _content(before.manifest) != _content(after):
                after["metadata"]["generation"] += 1
        self._version += 1
        after["metadata"]["resourceVersion"] = str(self._version)
        self._kept[ref] = _Kept(after, owners)
        self._notify("MODIFIED" if before else "ADDED", after)
        meta = after["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            self._remove(ref)
        return after

    def _delete(self, ref: ObjectRef) -> Manifest | None:
        kept = self._kept[ref]
        if not kept.manifest["metadata"].get("finalizers"):
            self._remove(ref)
            return None
        after = _copied(kept.manifest)
        after["metadata"]["deletionTimestamp"] = self._now()
        return self._store(ref, after, kept.owners)

    def _remove(self, ref: ObjectRef) -> None:
        gone = self._kept.pop(ref).manifest
        self._version += 1
        meta = {**gone["metadata"], "resourceVersion": str(self._version)}
        self._notify("DELETED", {**gone, "metadata": meta})

    def _notify(
        self, what: Literal["ADDED", "MODIFIED", "DELETED"], manifest: dict[str, Any]
    ) -> None:
        for watcher in self.watchers:
            watcher(WatchEvent(what, manifest))


def _copied(value: Any) -> Any:
    """Return what would arrive at the other end of a connection."""
    return json.loads(json.dumps(value))


def _plain(ref: ObjectRef) -> bool:
    """Tell whether a kind has no status subresource."""
    return ref.kind in _NO_STATUS


def _server_set(manifest: Manifest) -> dict[str, Any]:
    kept = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
    return {key: value for key, value in manifest["metadata"].items() if key in kept}


def _content(manifest: Manifest) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key not in _NOT_CONTENT}


def _check_preconditions(live: Manifest, uid: str | None, version: str | None) -> None:
    meta = live["metadata"]
    if uid is not None and uid != meta["uid"]:
        raise ConflictError(f"uid is {meta['uid']}, not {uid}")
    if version is not None and version != meta["resourceVersion"]:
        raise ConflictError(f"resourceVersion is {meta['resourceVersion']}, not {version}")


def _check_immutable(ref: ObjectRef, before: Manifest, after: Manifest) -> None:
    for path in immutable_fields(ref.kind):
        if get_at(before, path) != get_at(after, path):
            raise RefusedError(f"{ref}: {'.'.join(path)}: field is immutable", status=422)


def _take_over(
    ref: ObjectRef, path: Path, owners: dict[str, set[Path]], manager: str, *, force: bool
) -> None:
    others = [who for who, paths in owners.items() if who != manager and path in paths]
    if others and not force:
        raise ConflictError(f"{ref}: {path} is owned by {', '.join(others)}")
    for who in others:
        owners[who].discard(path)


def _merged(current: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return _copied(patch)
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _is_orphan(manifest: Manifest, alive: Iterable[str]) -> bool:
    meta = manifest["metadata"]
    owners = meta.get("ownerReferences") or ()
    return (
        bool(owners)
        and "deletionTimestamp" not in meta
        and not any(o["uid"] in alive for o in owners)
    )

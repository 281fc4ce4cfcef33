"""What the core asks of a controller, and what a controller may read.

A controller holds no state that matters and performs no request: it turns what the Store knows
into a frozen observation, and that into a Plan. Everything else (queueing, retries, writes,
leadership) is the core's, once, for all controllers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from driftline_operator.core.plan import Key, Manifest, ObjectRef, Plan, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Tells one state of an object from every other, without reading the object."""

    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An object appeared (`old` is None), went (`new` is None), or became another.

    Never both None. A resync that repairs a missed event reports it in the same way.
    """

    old: Manifest | None
    new: Manifest | None

    @property
    def latest(self) -> Manifest:
        """The newest state that was ever seen, also of an object that is gone."""
        latest = self.new or self.old
        assert latest is not None
        return latest


class Snapshot(Protocol):
    """The Store, as seen while gathering.

    Nothing changes during one `gather`, which must not await. Every returned manifest is the
    caller's own copy. `managedFields` are absent, and pods are reduced (see `core.slim`).
    """

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None."""

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return the object of a watched kind, or None."""

    def owned(self, namespace: str, model: str, kind: str = "") -> Sequence[Manifest]:
        """Return what is labelled `driftline.dev/model=<model>`, pods included, by kind and name.

        Found by index: the cost does not grow with the number of Models. With `kind`, only
        objects of that kind are decoded.
        """

    def of_kind(
        self, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """Return all objects of a kind that bear the labels, by namespace and name.

        Without a namespace: of all namespaces. Only what matches is decoded.
        """

    def stamps(self, kind: str, namespace: str) -> Mapping[str, Stamp]:
        """Return each object's stamp by name, decoding none.

        For controllers that read many objects at once: keep what was derived from an object
        under its stamp, and read only what is new.
        """

    def namespaces(self, kind: str) -> Sequence[str]:
        """Return the namespaces that hold objects of a kind, sorted."""


class Controller(Protocol):
    """One kind of decision: which keys it has, what it must see, and what follows."""

    @property
    def name(self) -> str:
        """The `controller` of its keys, also the label of its metrics."""

    @property
    def settle(self) -> float:
        """Seconds by which an event's reconcile waits for others, so that many become one."""

    def keys_for(self, change: Change, snapshot: Snapshot) -> Iterable[Key]:
        """Return the keys that a change concerns. Called for every change of every object."""

    def unwatched(self, key: Key) -> Sequence[ObjectRef]:
        """Return what `gather` reads of kinds that no watch tells of, to be read before it.

        One request each at every reconcile: for what must not be listed, such as Secrets.
        """

    def gather(self, key: Key, snapshot: Snapshot, refusals: Sequence[Refusal]) -> Any:
        """Read all that `plan` needs. `refusals` are those of this reconcile's first pass.

        None says that there is nothing to do, for instance because the Model is gone.
        """

    def plan(self, observed: Any, now: datetime) -> Plan:
        """Decide. Pure: the same arguments give the same Plan, byte by byte."""

"""Where every change enters: the Store learns it, and the keys it concerns are queued.

Watch events, resyncs and the answers to our own writes all take this one way, so that a
controller need not care which of them told it.
"""

from collections.abc import Iterable, Sequence

from driftline_operator.core.controller import Change, Controller
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.core.queue import WorkQueue
from driftline_operator.core.store import Listing, Store


class Feed:
    """Puts changes into the Store and their keys into the queue."""

    def __init__(self, store: Store, queue: WorkQueue, controllers: Sequence[Controller]) -> None:
        self.store = store
        self.queue = queue
        self._controllers = tuple(controllers)

    def put(self, manifest: Manifest) -> None:
        """Take in a state of an object."""
        self._announce(self.store.put(manifest))

    def drop(self, manifest: Manifest) -> None:
        """Take in that an object is gone."""
        self._announce(self.store.drop(manifest))

    def forget(self, ref: ObjectRef) -> None:
        """Take in that nothing bears this name."""
        self._announce(self.store.forget(ref))

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None."""
        return self.store.get(ref)

    def take_page(self, listing: Listing, items: Iterable[Manifest]) -> int:
        """Take in a page of a LIST; return how many changes had been missed."""
        return self._announce_all(self.store.take_page(listing, items))

    def end_replace(self, listing: Listing, resource_version: str) -> int:
        """Drop what a complete LIST did not show; return how many changes had been missed."""
        return self._announce_all(self.store.end_replace(listing, resource_version))

    def enqueue_all(self) -> None:
        """Queue every key that any known object concerns: a new leader knows no history."""
        for kind in self.store.counts():
            for manifest in self.store.of_kind(kind):
                self._announce(Change(old=None, new=manifest))

    def _announce_all(self, changes: Sequence[Change]) -> int:
        for change in changes:
            self._announce(change)
        return len(changes)

    def _announce(self, change: Change | None) -> None:
        if change is None:
            return
        for controller in self._controllers:
            for key in controller.keys_for(change, self.store):
                self.queue.add_after(key, controller.settle)

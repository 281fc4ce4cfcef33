"""One replica of the operator, with the watch in the hands of a schedule."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from driftline_api.names import MANAGED_BY, MANAGER
from driftline_operator.core.clock import Clock
from driftline_operator.core.controller import Controller
from driftline_operator.core.executor import Executor
from driftline_operator.core.feed import Feed
from driftline_operator.core.kinds import WATCHED
from driftline_operator.core.plan import Key, Manifest
from driftline_operator.core.queue import WorkQueue
from driftline_operator.core.reconciler import Outcome, Reconciler, Worker
from driftline_operator.core.resync import Resync
from driftline_operator.core.store import Store
from driftline_operator.drift.findings import DriftBoard
from driftline_operator.errors import DriftlineError
from driftline_operator.router.acks import RouterAcks
from tests.contract.memory import WatchEvent
from tests.faults.faulty import FaultyApi


class Replica:
    """Everything that a process holds; a crash is to throw it away."""

    def __init__(
        self,
        api: FaultyApi,
        controllers: Callable[[RouterAcks, DriftBoard], Sequence[Controller]],
        clock: Clock,
        random: Random,
    ) -> None:
        self.api = api
        self.acks = RouterAcks()
        self.store = Store()
        self.board = DriftBoard()
        made = controllers(self.acks, self.board)
        self.queue = WorkQueue(clock=clock.monotonic, random=random.random)
        self.feed = Feed(self.store, self.queue, made)
        reconciler = Strict(made, self.store, Executor(api, self.feed, self), clock=clock)
        self._worker = Worker(self.queue, reconciler, clock, self)
        self._resync = Resync(api, self.feed, WATCHED, ())
        self._random = random
        self._told: dict[str, deque[WatchEvent]] = defaultdict(deque)

    def see(self, event: WatchEvent) -> None:
        """Queue what the API server has to tell; the watch is as slow as the schedule says.

        Of Secrets it tells nothing: they are read by name.
        """
        if event.manifest["kind"] == "Secret":
            return
        if event.manifest["kind"] == "Model" or _is_ours(event.manifest):
            self._told[event.manifest["kind"]].append(event)
        else:
            # A watch with a selector tells of an object that no longer matches as of one gone.
            self._told[event.manifest["kind"]].append(WatchEvent("DELETED", event.manifest))

    def deliver(self, count: int = 1) -> None:
        """Let some events arrive: in order within a kind, in any order across kinds."""
        for _ in range(count):
            event = self._next_event()
            if event is None:
                return
            if event.type == "DELETED":
                self.feed.drop(event.manifest)
            else:
                self.feed.put(event.manifest)

    def lose(self) -> None:
        """Let an event never arrive."""
        self._next_event()

    def deliver_all(self) -> None:
        """Let the watch catch up."""
        self.deliver(sum(map(len, self._told.values())))

    async def resync(self) -> None:
        """List everything, as far as the weather lets us."""
        try:
            await self._resync.once()
        except DriftlineError:
            return

    async def lead(self) -> None:
        """Do what a new leader does before its first reconcile: list until it succeeds."""
        while True:
            try:
                await self._resync.once()
            except DriftlineError:
                continue
            break
        self.feed.enqueue_all()

    async def reconcile(self) -> Key | None:
        """Reconcile what is due, if anything is."""
        key = self.queue.take()
        if key is not None:
            await self._worker.step(key)
        return key

    def permit(self) -> None:
        """Let it write. Losing the Lease is among the faults of a request."""

    def count(self, kind: str, verb: str) -> None:
        """Not needed."""

    def reconciled(self, controller: str, outcome: Outcome, seconds: float) -> None:
        """Not needed."""

    def _next_event(self) -> WatchEvent | None:
        kinds = sorted(kind for kind, events in self._told.items() if events)
        return self._told[self._random.choice(kinds)].popleft() if kinds else None


class BugError(BaseException):
    """An exception that no fault explains. Nothing may catch it."""


class Strict(Reconciler):
    """Lets bugs through, which the worker would log and try again."""

    async def reconcile(self, key: Key) -> float | None:
        try:
            return await super().reconcile(key)
        except DriftlineError:
            raise
        except Exception as error:
            raise BugError(f"{key}: {error!r}") from error


def _is_ours(manifest: Manifest) -> bool:
    labels: Any = manifest["metadata"].get("labels") or {}
    return bool(labels.get(MANAGED_BY) == MANAGER)

"""What only the leader does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from driftline_operator.core.feed import Feed
from driftline_operator.core.lease import Lease
from driftline_operator.core.reconciler import Worker
from driftline_operator.core.resync import Resync
from driftline_operator.errors import DriftlineError
from driftline_operator.shell.metrics import Metrics

log = logging.getLogger(__name__)

#: Reconciles at a time. They wait for the API server most of their time; more would only queue.
WORKERS: Final = 16
#: Seconds between two looks at everything.
RESYNC_EVERY: Final = 300.0
_RETRY: Final = 2.0

Service = Callable[[], Awaitable[None]]


class LeaderWrites:
    """Lets only the leader write, and counts."""

    def __init__(self, lease: Lease, metrics: Metrics) -> None:
        self._lease = lease
        self._metrics = metrics

    def permit(self) -> None:
        """Raise NotLeaderError unless we may write now."""
        self._lease.permit()

    def count(self, kind: str, verb: str) -> None:
        """Take note of a write that was carried out."""
        self._metrics.wrote(kind, verb)


class Synced:
    """Keeps the Store true on every replica, and knows whether it was ever whole."""

    def __init__(self, resync: Resync, metrics: Metrics) -> None:
        self._resync = resync
        self._metrics = metrics
        self._whole = asyncio.Event()

    @property
    def is_whole(self) -> bool:
        """Whether everything was listed once."""
        return self._whole.is_set()

    async def until_whole(self) -> None:
        """Wait until everything was listed once."""
        await self._whole.wait()

    async def now(self) -> None:
        """List everything, trying until it succeeds."""
        while True:
            try:
                missed = await self._resync.once()
            except DriftlineError as error:
                log.warning("resync: %s; again in %g s", error, _RETRY)
                await asyncio.sleep(_RETRY)
            else:
                self._note(missed)
                return

    async def run(self) -> None:
        """List everything at intervals until cancelled."""
        while True:
            await self.now()
            await asyncio.sleep(RESYNC_EVERY)

    def _note(self, missed: int) -> None:
        if self._whole.is_set() and missed:
            self._metrics.repaired(missed)
            log.info("resync found %d changes that no watch had told", missed)
        self._whole.set()


class Leading:
    """The workers, and the services that must run once in a cluster.

    Args:
        services: each runs until cancelled; if one fails, the Lease is given up.
    """

    def __init__(
        self, synced: Synced, feed: Feed, worker: Worker, services: Sequence[Service]
    ) -> None:
        self._synced = synced
        self._feed = feed
        self._worker = worker
        self._services = tuple(services)

    async def run(self) -> None:
        """Work until cancelled.

        A full LIST comes first: it shows every write of the leader before us, which a watch may
        still be bringing.
        """
        await self._synced.now()
        self._feed.enqueue_all()
        async with asyncio.TaskGroup() as group:
            for run in (*self._services, *[self._worker.run] * WORKERS):
                group.create_task(_forever(run))


async def _forever(run: Service) -> None:
    await run()

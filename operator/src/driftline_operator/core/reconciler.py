"""gather -> plan -> execute, for one key at a time, and what follows from failure."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from driftline_operator.core.clock import Clock
from driftline_operator.core.controller import Controller, Snapshot
from driftline_operator.core.executor import Executor
from driftline_operator.core.plan import Key
from driftline_operator.core.queue import WorkQueue
from driftline_operator.errors import DriftlineError, NotLeaderError

log = logging.getLogger(__name__)

#: Seconds after which what was refused is tried again. What stands in the way of a name is not
#: ours and so not watched; nor is a quota that is raised or a policy that is mended.
RETRY_REFUSED: Final = 60.0

Outcome = Literal["done", "failed", "bug"]


class Observer(Protocol):
    """Is told of each reconcile, for metrics."""

    def reconciled(self, controller: str, outcome: Outcome, seconds: float) -> None:
        """Take note of a reconcile and how long it took."""


class Reconciler:
    """Brings keys to where their plans say."""

    def __init__(
        self,
        controllers: Sequence[Controller],
        snapshot: Snapshot,
        executor: Executor,
        *,
        clock: Clock,
    ) -> None:
        self._controllers: Mapping[str, Controller] = {each.name: each for each in controllers}
        self._snapshot = snapshot
        self._executor = executor
        self._clock = clock

    async def reconcile(self, key: Key) -> float | None:
        """Reconcile once; return the seconds after which the key wants to be seen again.

        Raises:
            DriftlineError: some of the plan was not carried out.
        """
        controller = self._controllers[key.controller]
        await self._executor.settle_doubts(key)
        await self._executor.read_unwatched(controller.unwatched(key))
        observed = controller.gather(key, self._snapshot, ())
        if observed is None:
            return None
        plan = controller.plan(observed, self._clock.now())
        refusals = await self._executor.apply_children(key, plan)
        if refusals:
            observed = controller.gather(key, self._snapshot, refusals)
            if observed is None:
                log.warning("%s: refused: %s", key, "; ".join(each.message for each in refusals))
                return RETRY_REFUSED
            plan = controller.plan(observed, self._clock.now())
            await self._executor.apply_children(key, plan, refusals)
        await self._executor.finish(key, plan, self._clock.now())
        return _soonest(plan.requeue_after, RETRY_REFUSED if refusals else None)


class Worker:
    """Takes keys from the queue and gives them back, for ever."""

    def __init__(
        self, queue: WorkQueue, reconciler: Reconciler, clock: Clock, observer: Observer
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._clock = clock
        self._observer = observer

    async def run(self) -> None:
        """Work until cancelled. A key whose reconcile is cancelled goes back to the queue."""
        while True:
            await self.step(await self._queue.next())

    async def step(self, key: Key) -> Outcome:
        """Reconcile one key that was taken from the queue, and give it back."""
        started = self._clock.monotonic()
        outcome = await self._attempt(key)
        self._observer.reconciled(key.controller, outcome, self._clock.monotonic() - started)
        return outcome

    async def _attempt(self, key: Key) -> Outcome:
        try:
            again = await self._reconciler.reconcile(key)
        except asyncio.CancelledError:
            self._queue.failed(key)
            raise
        except NotLeaderError as error:
            log.info("%s: plan dropped: %s", key, error)
            self._queue.failed(key)
            return "failed"
        except DriftlineError as error:
            delay = self._queue.failed(key)
            log.warning("%s: %s; again in %.1f s", key, error, delay)
            return "failed"
        except Exception:
            delay = self._queue.failed(key)
            log.exception("%s: a bug in Driftline; again in %.1f s", key, delay)
            return "bug"
        self._queue.done(key)
        if again is not None:
            self._queue.add_after(key, again)
        return "done"


def _soonest(*delays: float | None) -> float | None:
    return min((delay for delay in delays if delay is not None), default=None)

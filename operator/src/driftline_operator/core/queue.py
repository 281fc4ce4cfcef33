"""What is to be reconciled next.

A key that is added often is reconciled once; a key that is being reconciled is never given to a
second worker. Namespaces take turns, so that a thousand Models of one team do not make another
team's only Model wait.
"""

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from driftline_operator.core.plan import Key

FIRST_BACKOFF: Final = 0.5
LAST_BACKOFF: Final = 60.0


class WorkQueue:
    """Coalescing, delaying, fair. One thread.

    Args:
        clock: monotonic seconds.
        random: uniform in [0, 1), for the jitter that keeps failing keys apart.
    """

    def __init__(self, *, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        self._ready: OrderedDict[str, deque[Key]] = OrderedDict()
        self._waiting: set[Key] = set()
        self._running: set[Key] = set()
        self._dirty: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._timers: list[tuple[float, Key]] = []
        self._failures: dict[Key, int] = {}
        self._wakeup = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Reconcile as soon as a worker is free, whatever delay was asked for before."""
        self._due.pop(key, None)
        if key in self._running:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.setdefault(key.namespace, deque()).append(key)
            self._wakeup.set()

    def add_after(self, key: Key, delay: float) -> None:
        """Reconcile after `delay` seconds, unless something sooner is asked for."""
        if delay <= 0:
            self.add(key)
            return
        if key in self._waiting:
            return
        due = self._clock() + delay
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._timers, (due, key))
            self._wakeup.set()

    def take(self) -> Key | None:
        """Return a key that is due, or None. It must be given back by `done` or `failed`."""
        self._wake_due()
        if not self._ready:
            return None
        namespace, keys = self._ready.popitem(last=False)
        key = keys.popleft()
        if keys:
            self._ready[namespace] = keys
        self._waiting.discard(key)
        self._running.add(key)
        return key

    async def next(self) -> Key:
        """Wait for a key that is due."""
        while (key := self.take()) is None:
            self._wakeup.clear()
            try:
                async with asyncio.timeout(self.idle_for()):
                    await self._wakeup.wait()
            except TimeoutError:
                continue
        return key

    def done(self, key: Key) -> None:
        """Give a key back after success. What was added meanwhile is due now."""
        self._failures.pop(key, None)
        self._running.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def failed(self, key: Key) -> float:
        """Give a key back after a failure; return the seconds until it is tried again.

        What was added meanwhile waits too: a reconcile that writes and then fails would
        otherwise wake itself at once, for ever.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._running.discard(key)
        self._dirty.discard(key)
        delay = backoff(failures, self._random())
        self.add_after(key, delay)
        return delay

    def idle_for(self) -> float | None:
        """Return the seconds until a timer is due; None when no timer is set."""
        while self._timers and self._is_stale(self._timers[0]):
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self._clock()) if self._timers else None

    def _wake_due(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)
            if not self._is_stale(timer):
                self.add(timer[1])

    def _is_stale(self, timer: tuple[float, Key]) -> bool:
        due, key = timer
        return self._due.get(key) != due


def backoff(failures: int, random: float) -> float:
    """Return the delay after a number of earlier failures: doubling, bounded, half of it random.

    >>> backoff(0, 0.0), backoff(0, 1.0), backoff(100, 1.0)
    (0.25, 0.5, 60.0)
    """
    full = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures, 32))
    return full / 2 + full / 2 * random

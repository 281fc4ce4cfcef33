"""Runs work on a fixed number of threads, with a bounded number waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from driftline_serving.errors import UnavailableError

T = TypeVar("T")


class BoundedExecutor:
    """A thread pool that refuses at once what it could only make wait too long.

    Args:
        threads: How many run at a time.
        waiting: How many more may wait.
    """

    def __init__(self, *, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="infer")
        self._room = threads + waiting
        self._inside = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on one of the threads.

        Once begun it goes on to its end, even when the caller is cancelled; it counts until then.

        Raises:
            UnavailableError: there is no room.
        """
        if self._inside >= self._room:
            raise UnavailableError(
                f"{self._inside} requests are running or waiting, which is the limit"
            )
        self._inside += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Take no more work; do not wait for what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _leave(self, future: "asyncio.Future[T]") -> None:
        self._inside -= 1
        if not future.cancelled():
            future.exception()  # retrieved: a cancelled caller leaves nobody who would

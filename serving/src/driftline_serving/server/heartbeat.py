"""A worker's signs of life: that its loop turns, and what is inside at the moment."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from driftline_serving.server.board import Desk
from driftline_serving.server.measures import Measures
from driftline_serving.server.service import InferenceService

#: Seconds between two signs, at which those who watch also hear of what has changed.
_BEAT: Final = 0.1


@contextlib.asynccontextmanager
async def beating(
    service: InferenceService, desk: Desk, measures: Measures, dropped: Callable[[], int]
) -> AsyncIterator[None]:
    """Tell the supervisor, as long as the context lasts.

    Args:
        service: Holds requests, and is ready or not.
        desk: Where to tell.
        measures: The same, for figures.
        dropped: Inferences that the monitor was not told of, so far.
    """

    def tell() -> None:
        desk.heartbeat = time.monotonic()
        measures.holds(*service.holds)
        measures.tap_dropped(dropped())

    async def beat() -> None:
        told = service.is_ready
        while True:
            tell()
            if service.is_ready != told:
                told = service.is_ready
                service.tell()
            await asyncio.sleep(_BEAT)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        tell()

"""Gets all bytes across, however often the connection breaks or stalls."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from driftline_serving.artifact.sinks import Sink
from driftline_serving.artifact.source import Entry, Opened, Source
from driftline_serving.errors import TransientError

T = TypeVar("T")
_REPORT_EVERY_SECONDS = 5.0
_MEGABYTE = 1e6

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long we try; all in seconds."""

    #: For all of it.
    timeout: float = 600.0
    #: Without one byte, before the connection is given up and made anew.
    stall: float = 30.0
    first_pause: float = 0.5
    longest_pause: float = 10.0


class Attempts:
    """Tries again what may pass, until the time is up, and remembers what went wrong last."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._last: TransientError | None = None

    @asynccontextmanager
    async def in_time(self, what: str) -> AsyncIterator[None]:
        """Bound what is done inside.

        Raises:
            TransientError: the time is up; says what went wrong last.
        """
        try:
            async with asyncio.timeout(self._patience.timeout):
                yield
        except TimeoutError as error:
            last = f"; the last problem: {self._last}" if self._last else ", and was still going on"
            raise TransientError(
                f"{what} was not done after {self._patience.timeout:g} s{last}"
            ) from error

    async def until_done(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it, again and again if need be, with growing pauses.

        Half of each pause is random, so that a hundred pods do not come back at once.
        """
        pause = self._patience.first_pause
        while True:
            try:
                return await work()
            except TransientError as error:
                self._last = error
                log.warning("%s; trying again", error)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load
            pause = min(2 * pause, self._patience.longest_pause)

    async def unless_stalled(self, step: Awaitable[T], what: str) -> T:
        """Do one step of a download within the stall time-out."""
        try:
            return await asyncio.wait_for(step, self._patience.stall)
        except TimeoutError as error:
            raise TransientError(
                f"{what} stalled: not a byte in {self._patience.stall:g} s"
            ) from error


async def transfer(source: Source, entry: Entry, sink: Sink, attempts: Attempts) -> str:
    """Bring one file into the sink, from where it is; returns the SHA-256 of all its bytes."""

    async def attempt() -> None:
        if not _is_complete(entry, sink):
            await _download(source, entry, sink, attempts)

    await attempts.until_done(attempt)
    return sink.finish()


def _is_complete(entry: Entry, sink: Sink) -> bool:
    return (
        entry.size is not None
        and sink.offset == entry.size
        and sink.version is not None
        and sink.version == entry.version
    )


async def _download(source: Source, entry: Entry, sink: Sink, attempts: Attempts) -> None:
    opened = await attempts.unless_stalled(
        source.open(entry, sink.offset, sink.version), entry.path
    )
    if sink.offset and opened.offset == 0:
        log.info("%s: from the start once more, it changed or cannot be resumed", entry.path)
    sink.begin(opened.offset, opened.version)
    progress = Progress(entry.path, opened)
    while (chunk := await attempts.unless_stalled(_next(opened), entry.path)) is not None:
        sink.write(chunk)
        progress.report(sink.offset)
    if opened.size is not None and sink.offset != opened.size:
        raise TransientError(f"{entry.path} ended at {sink.offset} of {opened.size} bytes")
    progress.finish(sink.offset)


async def _next(opened: Opened) -> bytes | None:
    return await anext(opened.chunks, None)


class Progress:
    """Tells the log how a download goes, now and then."""

    def __init__(
        self, path: str, opened: Opened, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._size = opened.size
        self._from = opened.offset
        self._clock = clock
        self._began = self._reported = clock()

    def report(self, offset: int) -> None:
        """Say how far it is, if it was not said just now."""
        if self._clock() - self._reported >= _REPORT_EVERY_SECONDS:
            self._reported = self._clock()
            self._say(offset)

    def finish(self, offset: int) -> None:
        """Say that all is there."""
        self._say(offset)

    def _say(self, offset: int) -> None:
        rate = (offset - self._from) / max(self._clock() - self._began, 1e-3)
        total = "" if self._size is None else f" of {self._size / _MEGABYTE:.1f}"
        log.info(
            "%s: %.1f%s MB, %.1f MB/s", self._path, offset / _MEGABYTE, total, rate / _MEGABYTE
        )

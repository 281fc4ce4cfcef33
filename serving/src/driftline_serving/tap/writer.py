"""Sends inferences to a reader, whose speed, health and existence make no difference to the server.

All of it happens in the server's event loop, and nothing there waits: what the kernel does not take
at once waits in a bounded queue.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from driftline_serving.tap.encode import Payload, encode
from driftline_serving.tap.layout import Counters, Source
from driftline_serving.tap.portions import Allowance, portions
from driftline_serving.tap.queue import Queue, Room, Waiting
from driftline_serving.tap.records import NOBODY

log = logging.getLogger(__name__)

#: Of what a reader might say, which means nothing yet.
_READ_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TapSettings:
    """Where inferences go, and how.

    Attributes:
        path: of the socket on which the reader listens.
        about: what is served, for the reader.
        room: what waits at most.
        flush_seconds: for which the first inference of a frame waits for others.
        flush_count: how many are not kept waiting.
        retry_seconds: between attempts to reach a reader: the first, and the longest.
        close_seconds: for which the reader may take what still waits at the end.
    """

    path: Path
    about: Mapping[str, str] = field(default_factory=dict)
    room: Room = field(default_factory=Room)
    flush_seconds: float = 0.01
    flush_count: int = 128
    retry_seconds: tuple[float, float] = (0.1, 1.0)
    close_seconds: float = 2.0


class Writer:
    """See the module. Used from one event loop.

    Attributes:
        queue: what waits, and what was given up.
        sent: inferences that the kernel has taken, to the last byte of their frame.
    """

    def __init__(self, settings: TapSettings) -> None:
        self.queue = Queue(settings.room)
        self.sent = 0
        self._settings = settings
        self._source = Source(worker=os.urandom(8).hex(), about=dict(settings.about))
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._since = 0.0
        self._pause = settings.retry_seconds[0]
        self._allowance = Allowance()
        self._nothing = self._frame = encode(NOBODY, (), self._source)
        self._frames: deque[Payload] = deque()
        self._left = memoryview(b"")
        self._told: int | None = None
        self._idle = False
        self._closed = False
        self._rested = asyncio.Event()

    def start(self) -> None:
        """Look for the reader from now on."""
        self._connect()

    def tell(self, some: Waiting) -> None:
        """Have the reader told of these inferences, as soon as it takes it."""
        if self._idle:
            self.queue.offered += some.count
            self._frames += self._framed(some)
            self._write()
        else:
            self.queue.put(some)

    async def close(self) -> None:
        """Let a reader who is there take what waits, for a while; then end."""
        self._closed = True
        if self._socket is not None:
            self._rested.clear()
            self._write()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.close_seconds):
                    await self._rested.wait()
        self._disconnect()
        self.queue.clear()
        self.queue.dropped += sum(frame.count for frame in (self._frame, *self._frames))
        self._frame = self._nothing
        self._frames.clear()
        log.info("tap: %d inferences sent, %d dropped", self.sent, self.queue.dropped)

    def _connect(self) -> None:
        """Reach the reader, now or some time later: a Unix socket is connected to at once."""
        if self._closed:
            return
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.setblocking(False)
        try:
            found.connect(str(self._settings.path))
        except OSError as error:
            found.close()
            self._retry(error)
            return
        log.info("tap: connected to %s", self._settings.path)
        self._socket, self._since, self._told = found, self._loop.time(), None
        self._loop.add_reader(found, self._hear)
        self._write()

    def _retry(self, error: OSError) -> None:
        first, longest = self._settings.retry_seconds
        if self._pause == first:
            log.warning("tap: nobody listens on %s (%s); trying again", self._settings.path, error)
        self._loop.call_later(self._pause, self._connect)
        self._pause = min(2 * self._pause, longest)

    def _disconnect(self) -> None:
        self._idle = False
        self._rested.set()
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None

    def _lose(self, error: OSError) -> None:
        """Begin anew, with the frame of which a part was written."""
        self._disconnect()
        self._left = memoryview(b"")
        first, longest = self._settings.retry_seconds
        if self._loop.time() - self._since > longest:
            self._pause = first
        self._retry(error)

    def _hear(self) -> None:
        """Notice that the reader has gone; what it says means nothing yet."""
        assert self._socket is not None
        try:
            if not self._socket.recv(_READ_BYTES):
                self._lose(ConnectionResetError("the reader has gone"))
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)

    def _write(self) -> None:
        """Write one frame, as far as it goes; what else there is, in later turns of the loop."""
        if self._socket is None:
            return
        self._idle = False
        if not self._left and not self._fill():
            self._idle = True
            self._rested.set()
            return
        try:
            sent = self._socket.send(self._left)
            self._left = self._left[sent:]
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(error)
            return
        if self._left:
            self._loop.add_writer(self._socket, self._write)
            return
        self._loop.remove_writer(self._socket)
        self.sent += self._frame.count
        self._frame = self._nothing
        self._loop.call_soon(self._write)

    def _fill(self) -> bool:
        """Begin the next frame; False if there is nothing to tell."""
        queue = self.queue
        if not self._frame.count:
            self._frame = self._next()
        if not self._frame.count and self._told == queue.dropped:
            return False
        counters = Counters(offered=queue.offered, dropped=queue.dropped, sent=self.sent)
        self._left = memoryview(self._frame.header(counters) + self._frame.content)
        self._told = queue.dropped
        return True

    def _next(self) -> Payload:
        """Return the next frame, or an empty one if nothing waits."""
        while not self._frames and (some := self.queue.take()):
            self._frames += self._framed(some)
        return self._frames.popleft() if self._frames else self._nothing

    def _framed(self, some: Waiting) -> list[Payload]:
        try:
            return list(portions(some.batch(), self._source, self._allowance))
        except Exception:
            log.exception("a bug in Driftline: %d inferences are not told", some.count)
            self.queue.dropped += some.count
            return []

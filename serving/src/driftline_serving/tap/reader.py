"""Receives what model servers tell, from several of them at a time."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from driftline_serving.tap.decode import check_start, read_header, read_payload
from driftline_serving.tap.frame import Frame
from driftline_serving.tap.layout import HEADER_BYTES, START, FrameError

log = logging.getLogger(__name__)

#: Bytes of a connection that are read ahead; writers keep the rest.
_AHEAD: Final = 256 * 1024


class Reader:
    """Listens, and hands on every frame.

    Args:
        path: Where the socket is made; one that an earlier reader left behind is replaced.
        handle: Is given the frames of every worker in their order. While it works nothing is read:
            what a worker cannot write meanwhile, it keeps, and drops the oldest of it.
    """

    def __init__(self, path: Path, handle: Callable[[Frame], None]) -> None:
        self._path = path
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._inode: int | None = None
        self._stopped = False
        self._connections: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}
        self._deserted = asyncio.Event()
        self._deserted.set()

    @property
    def connections(self) -> int:
        """How many workers are connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: that cannot be done there.
        """
        self._server = await asyncio.start_unix_server(self._receive, self._path, limit=_AHEAD)
        self._inode = _inode(self._path)

    async def keep(self) -> None:
        """Listen again if the socket was removed or replaced; who is connected stays so.

        Raises:
            OSError: that cannot be done there.
        """
        is_there = self._server is not None and _inode(self._path) == self._inode
        if self._stopped or is_there:
            return
        if self._server is not None:
            log.warning("tap: the socket %s is gone; it is made anew", self._path)
            self._server.close()
            self._server = None
        await self.start()

    async def deserted(self) -> None:
        """Wait until no worker is connected."""
        await self._deserted.wait()

    async def stop(self) -> None:
        """Listen no more, and leave those who are connected."""
        self._stopped = True
        if self._server is not None:
            self._server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*filter(None, self._connections))
        self._path.unlink(missing_ok=True)

    async def _receive(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections[task] = writer
        self._deserted.clear()
        try:
            while (frame := await read_frame(stream)) is not None:
                self._handle(frame)
        except FrameError as error:
            log.warning("tap: a connection is closed: %s", error)
        except Exception:
            log.exception("tap: a connection is closed")
        finally:
            del self._connections[task]
            if not self._connections:
                self._deserted.set()
            writer.close()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


async def read_frame(stream: asyncio.StreamReader) -> Frame | None:
    """Read the next frame; None at the end, also where that comes in the middle of one.

    Raises:
        FrameError: what comes is no frame.
    """
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        start = await stream.readexactly(START.size)
        check_start(start)
        header = read_header(start + await stream.readexactly(HEADER_BYTES - START.size))
        return read_payload(header, await stream.readexactly(header.head + header.body))
    return None

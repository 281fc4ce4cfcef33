"""Moves bytes between a client and the server: as they are, as fast as both take them.

Every connection of a client has one of its own to the server, so that whatever one end does,
the other sees: it sends slowly, closes half of it, all of it, or breaks it off.
"""

import asyncio
import contextlib
import logging
from typing import Final, Protocol, cast

from driftline_serving.proxy.calls import BROKEN, GONE, UNREACHABLE, Ledger
from driftline_serving.proxy.frames import PREFACE
from driftline_serving.proxy.http1 import Http1
from driftline_serving.proxy.http2 import Http2

CONNECT_SECONDS: Final = 5.0
#: For which one end may go on after the other has said that it sends no more: a client that waits
#: for its answer, and a server that has gone.
AFTER_CLIENT_SECONDS: Final = 600.0
AFTER_SERVER_SECONDS: Final = 30.0
#: Bytes by which HTTP/2 is told from HTTP/1.1.
_TELLING: Final = 3
_NO_SERVER: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: 48\r\n\r\n"
    b'{"error":"the model server cannot be connected"}'
)

log = logging.getLogger(__name__)


class Watch(Protocol):
    """Reads along what goes over one connection."""

    def from_client(self, data: bytes) -> bytes:
        """Return what is passed on for data of the client."""

    def from_server(self, data: bytes) -> bytes:
        """Return what is passed on, by now, for data of the server."""

    def server_ended(self) -> bytes:
        """Return what was held back; the server sends no more."""

    def closed(self, status: int) -> None:
        """The connection is over; calls without an answer are told with this status."""


class Home(Protocol):
    """Where relays belong to."""

    @property
    def ledger(self) -> Ledger:
        """Of all connections."""

    def enter(self, relay: "Relay") -> bool:
        """Tell whether there is room for one more."""

    def leave(self, relay: "Relay") -> None:
        """It is over."""


class Relay:
    """A client's connection, and ours to the server.

    Args:
        home: Where it belongs to.
        server: Host and port.
    """

    def __init__(self, home: Home, server: tuple[str, int]) -> None:
        self._home = home
        self._address = server
        self._loop = asyncio.get_running_loop()
        self.client = End(self)
        self.server = End(self)
        self.client.other, self.server.other = self.server, self.client
        self._watch: Watch | None = None
        self._first = b""
        self._connecting: asyncio.Task[None] | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._first_to_end: End | None = None
        self._is_connected = self._is_over = False

    def connected(self, end: "End") -> None:
        """One of the ends is there."""
        if end is self.client and not self._home.enter(self):
            end.abort()

    def received(self, end: "End", data: bytes) -> None:
        """Bytes have come; of a server perhaps before it was sent any."""
        watch = self._watch
        if end is self.server and watch:
            self.client.write(watch.from_server(data))
        elif watch and self._is_connected:
            self.server.write(watch.from_client(data))
        else:
            self._first += data
            self._begin()

    def _begin(self) -> None:
        """See which protocol it is, and look for the server."""
        first, ledger = self._first, self._home.ledger
        if self._connecting or (len(first) < _TELLING and PREFACE.startswith(first)):
            return
        is_http2 = PREFACE.startswith(first[: len(PREFACE)])
        self._watch = Http2(ledger) if is_http2 else Http1(ledger)
        self.client.pause()
        connecting = self._connect(self._watch, answers=not is_http2)
        self._connecting = self._loop.create_task(connecting)

    async def _connect(self, watch: Watch, *, answers: bool) -> None:
        host, port = self._address
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._loop.create_connection(lambda: self.server, host, port)
        except (OSError, TimeoutError) as error:
            self._no_server(watch, error, answers=answers)
            return
        if self._is_over:
            self.server.abort()
            return
        first, self._first, self._is_connected = self._first, b"", True
        self.server.write(watch.from_client(first))
        for end in (self.client, self.server):
            if end.has_ended:
                self.ended(end)
        self.client.resume()

    def _no_server(self, watch: Watch, error: Exception, *, answers: bool) -> None:
        counts = self._home.ledger.counts
        if not counts.unreachable:
            log.warning("no server at %s:%d: %s", *self._address, error or "it does not answer")
        counts.unreachable += 1
        watch.from_client(self._first)
        watch.closed(UNREACHABLE)
        if answers:
            self.client.write(_NO_SERVER)
            self.client.close()
        else:
            self.client.abort()

    def ended(self, end: "End") -> None:
        """One of the ends sends no more."""
        self._first_to_end = self._first_to_end or end
        if end is self.server and self._watch:
            self.client.write(self._watch.server_ended())
        if self._connecting and not self._is_connected:
            return  # it will be told
        if self.client.has_ended and (self.server.has_ended or not self._is_connected):
            self.client.close()
            self.server.close()
            return
        end.other.end()
        if self._limit:
            self._limit.cancel()
        limit = AFTER_CLIENT_SECONDS if end is self.client else AFTER_SERVER_SECONDS
        self._limit = self._loop.call_later(limit, self.abort)

    def lost(self, end: "End", error: Exception | None) -> None:
        """One of the ends is gone, and with it the other."""
        self._first_to_end = self._first_to_end or end
        if end is self.server and self._watch and not error:
            self.client.write(self._watch.server_ended())
        if error:
            end.other.abort()
        else:
            end.other.close()
        if self._is_over:
            return
        self._is_over = True
        if self._limit:
            self._limit.cancel()
        if self._watch:
            self._watch.closed(GONE if self._first_to_end is self.client else BROKEN)
        self._home.leave(self)

    def abort(self) -> None:
        """End it at once."""
        self.client.abort()
        self.server.abort()


class End(asyncio.Protocol):
    """One end of a relay. What it cannot write makes the other read no more for a while.

    Attributes:
        other: the other end.
        transport: None before it is connected.
        has_ended: it sends no more.
    """

    other: "End"

    def __init__(self, relay: Relay) -> None:
        self.transport: asyncio.Transport | None = None
        self.has_ended = False
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)
        self._relay.connected(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._relay.received(self, data)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`; what is still to be written to it is."""
        self.has_ended = True
        self._relay.ended(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._relay.lost(self, exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.other.pause()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.other.resume()

    def pause(self) -> None:
        """Read no more for now."""
        if self.transport and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.transport and not self.has_ended and not self.transport.is_closing():
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send."""
        if data and self.transport and not self.transport.is_closing():
            self.transport.write(data)

    def end(self) -> None:
        """Send no more."""
        if self.transport and not self.transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):  # it has just gone
                self.transport.write_eof()

    def close(self) -> None:
        """End it, once all is sent."""
        if self.transport:
            self.transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self.transport:
            self.transport.abort()

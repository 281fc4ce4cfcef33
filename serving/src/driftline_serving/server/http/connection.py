"""One connection: bytes to requests, responses to bytes in the order of the requests.

httptools reads HTTP; what is ours are the limits. A client that is slow, endless or wrong loses its
connection, with a response that says why where one can still be given.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

import httptools

from driftline_serving.server.http.messages import Request, Response, as_error, rendered
from driftline_serving.server.http.reading import Reading, name_of, path_of

#: With so many requests unanswered, no more is read from a connection.
MOST_AHEAD = 4
#: Seconds for which a client that was refused may go on sending, so that it gets to read why: a
#: connection that is closed with bytes unread is reset, and the answer lost.
LINGER_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may ask for.

    Attributes:
        header_bytes: of the request line and all headers.
        body_bytes: of a body, as sent and unpacked.
        header_seconds: from a request's first byte to the end of its headers.
        body_seconds: from there to the end of its body.
        write_seconds: for which a client may leave what it asked for unread.
        idle_seconds: between two requests. Longer than any idle time-out of a router's connection
            pool, Envoy's default of an hour included: it must be the router that closes an idle
            connection, or a request meets one that just closed.
    """

    header_bytes: int = 32 * 1024
    body_bytes: int = 64 * 1024 * 1024
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    write_seconds: float = 60.0
    idle_seconds: float = 3900.0


class Exchange:
    """A request and, once there is one, its response.

    Attributes:
        is_head: the response is told without its body.
        closes: the connection ends with the response.
        abandon: called when the client has gone before the response; set by whoever answers.
    """

    abandon: Callable[[], None] | None = None
    response: Response | None = None

    def __init__(self, connection: "Connection", is_head: bool, closes: bool) -> None:
        self.connection = connection
        self.is_head = is_head
        self.closes = closes

    def reply(self, response: Response) -> None:
        """Answer; called once, in the loop."""
        self.response = response
        self.abandon = None  # which leads back here: without it, nothing is left to be collected
        self.connection.flush()


class Answering(Protocol):
    """Decides what a request is answered with."""

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Call `exchange.reply`, now or later."""

    def refuse(self, request: Request) -> Response | None:
        """Return the response to a request of which only the headers are known, if it is known."""

    def refused(self, request: Request | None, status: int) -> None:
        """Take note of a request that is refused; None: before its headers were known."""


class Members(Protocol):
    """All connections, as one of them sees the others."""

    @property
    def limits(self) -> Limits:
        """What each may ask for."""

    @property
    def draining(self) -> bool:
        """Whether clients are told to come back on another connection."""

    def enter(self, connection: "Connection") -> bool:
        """Take in a connection; False if there are too many."""

    def leave(self, connection: "Connection") -> None:
        """Forget a connection."""


class Connection:
    """See the module. What it needs of `asyncio.Protocol`, it has."""

    __deletable__: Final = ["_parser"]

    def __init__(self, answering: Answering, members: Members) -> None:
        self._answering = answering
        self._members = members
        self._limits = members.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connected
        self._reading = Reading()
        self._exchanges: deque[Exchange] = deque()
        self._deaf = False
        self._lingers = False
        self._silent = False
        self._unread = 0
        self._paused = False
        self._stuck = False
        self._patience = 0.0
        self.admitted = False
        self.deadline = float("inf")

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return not self._exchanges and not self._reading.begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        # Not checked: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._expect(self._limits.idle_seconds)
        self.admitted = self._members.enter(self)
        if not self.admitted:
            self._end(as_error("there are too many connections", 503, {"retry-after": "1"}))

    def connection_lost(self, _exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._members.leave(self)
        self._deaf = self._silent = True
        self._abandon()
        del self._parser  # which leads back here: without it, nothing is left to be collected

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`: a client that ends its side has gone, as far as can be told."""
        return False

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        while data and not self._deaf:
            self._reading.raw_bytes += len(data)
            data = self._fed(data)
        reading, limits = self._reading, self._limits
        if not reading.headed and reading.raw_bytes > limits.header_bytes:
            self._end(self._headers_too_large())
        elif reading.raw_bytes > limits.header_bytes + 2 * limits.body_bytes:
            self._end(self._too_large())
        if self._patience:
            self._expect(self._patience)

    def _fed(self, data: bytes) -> bytes:
        """Give bytes to the parser; return what is to be read once more."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._declined() + data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            raise  # a bug in what follows, and none of the client's
        except httptools.HttpParserError as error:
            self._end(as_error(f"this is not HTTP/1.1: {error}", 400))
        return b""

    def on_message_begin(self) -> None:
        """Httptools: the first byte of a request."""
        self._reading.begun = True
        self._patience = self._limits.header_seconds

    def on_url(self, url: bytes) -> None:
        """Httptools: a piece of the target."""
        reading = self._reading
        reading.url += url
        reading.header_bytes += len(url)
        if reading.header_bytes > self._limits.header_bytes:
            self._end(self._headers_too_large())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Httptools: one header."""
        reading = self._reading
        reading.header_bytes += len(name) + len(value)
        if reading.header_bytes > self._limits.header_bytes:
            self._end(self._headers_too_large())
        elif not reading.headed:
            reading.headers[name_of(name)] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Httptools: the body, if any, follows."""
        if self._deaf:
            return
        reading = self._reading
        reading.headed = True
        reading.method = self._parser.get_method().decode("ascii")
        reading.path = path_of(reading.url.decode("latin-1"))
        self._patience = self._limits.body_seconds
        headers = reading.headers
        refusal = self._answering.refuse(reading) or self._refuse_body(headers)
        if refusal:
            self._end(refusal)
        elif self._parser.should_upgrade():
            return  # `_declined` reads it once more
        elif "expect" in headers and self._goes_on(headers["expect"]):
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _goes_on(self, expect: str) -> bool:
        return expect.lower() == "100-continue" and not self._exchanges

    def _refuse_body(self, headers: Mapping[str, str]) -> Response | None:
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            return as_error(f"transfer-encoding is {coding}; only chunked is taken", 501)
        length = headers.get("content-length")
        return self._too_large() if length and int(length) > self._limits.body_bytes else None

    def on_body(self, body: bytes) -> None:
        """Httptools: a piece of the body."""
        if self._deaf:
            return
        reading = self._reading
        if reading.body_bytes + len(body) > self._limits.body_bytes:
            self._end(self._too_large())
        else:
            reading.add(body)

    def on_message_complete(self) -> None:
        """Httptools: the whole request is there."""
        if self._deaf or self._parser.should_upgrade():
            return
        request, self._reading = self._reading, Reading()
        request.end()
        self._patience = self._limits.idle_seconds
        exchange = Exchange(self, request.method == "HEAD", not self._parser.should_keep_alive())
        self._exchanges.append(exchange)
        if exchange.closes:
            self._deaf = True
        elif len(self._exchanges) >= MOST_AHEAD:
            self._paused = True
            self._transport.pause_reading()
        self._answering.answer(request, exchange)

    def flush(self) -> None:
        """Write the responses whose turn it is."""
        exchanges = self._exchanges
        while exchanges and (response := exchanges[0].response):
            exchange = exchanges.popleft()
            closing = exchange.closes or self._members.draining
            self._write(rendered(response, closing=closing, with_body=not exchange.is_head))
            if closing:
                self._hang_up()
                return
        if self._paused and len(exchanges) < MOST_AHEAD:
            self._paused = False
            self._listen()

    def pause_writing(self) -> None:
        """The client does not read what it asked for: nothing more is read from it either."""
        self._stuck = True
        self._unread = self._transport.get_write_buffer_size()
        self._transport.pause_reading()
        self._expect(self._limits.write_seconds)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._stuck = False
        self._listen()
        limits = self._limits
        self._expect(limits.body_seconds if self._reading.begun else limits.idle_seconds)

    def expire(self) -> None:
        """The time for what is awaited of the client is over."""
        unread = self._transport.get_write_buffer_size() if self._stuck else 0
        if self._stuck and unread < self._unread:
            self._unread = unread
            self._expect(self._limits.write_seconds)
        elif self._stuck or (self._deaf and not self._exchanges):
            self._transport.abort()
        elif self._reading.begun and not self._deaf:
            self._end(as_error("the request took too long to arrive", 408))
        elif not self._exchanges:
            self._hang_up()

    def abort(self) -> None:
        """End at once, whatever is due."""
        self._transport.abort()

    def close_if_idle(self) -> None:
        """End, unless a request is being read or answered."""
        if self.is_idle:
            self._hang_up()

    def _headers_too_large(self) -> Response:
        return as_error(f"the headers are larger than {self._limits.header_bytes} bytes", 431)

    def _too_large(self) -> Response:
        return as_error(f"the body is larger than {self._limits.body_bytes} bytes", 413)

    def _end(self, response: Response) -> None:
        """Answer what is not read to its end, after what is due before it, and read no more."""
        if self._deaf:
            return
        self._deaf = self._lingers = True
        is_head = self._reading.headed and self._parser.get_method() == b"HEAD"
        exchange = Exchange(self, is_head, closes=True)
        self._exchanges.append(exchange)
        known = self._reading if self._reading.headed else None
        self._answering.refused(known, response.status)
        exchange.reply(response)

    def _expect(self, seconds: float) -> None:
        self._patience = 0.0
        self.deadline = self._loop.time() + seconds

    def _write(self, data: bytes) -> None:
        if not (self._silent or self._transport.is_closing()):
            self._transport.write(data)

    def _listen(self) -> None:
        if not (self._paused or self._stuck or self._transport.is_closing()):
            self._transport.resume_reading()

    def _declined(self) -> bytes:
        """Go on in HTTP/1.1 with a client that offered another protocol, as it must allow.

        The parser has stopped after the headers, body or not. What is returned is the request
        without the offer, for another parser.
        """
        request, self._reading = self._reading, Reading()
        version = self._parser.get_http_version()
        kept = (f"{name}: {value}" for name, value in request.headers.items() if name != "upgrade")
        lines = [f"{request.method} {request.path} HTTP/{version}", *kept, "\r\n"]
        self._parser = httptools.HttpRequestParser(self)
        return "\r\n".join(lines).encode("latin-1")

    def _abandon(self) -> None:
        """Tell those who still work at an answer that nobody waits for it."""
        for exchange in self._exchanges:
            if exchange.abandon:
                exchange.abandon()
        self._exchanges.clear()

    def _hang_up(self) -> None:
        self._deaf = self._silent = True
        self._abandon()
        if self._lingers and not self._transport.is_closing():
            self._transport.write_eof()
            self._expect(LINGER_SECONDS)
        else:
            self._transport.close()
            self._expect(self._limits.write_seconds)

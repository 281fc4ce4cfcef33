"""Reads along what goes over a connection of HTTP/1.1."""

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from driftline_serving.proxy.along import UnclearError
from driftline_serving.proxy.calls import Call, Ledger
from driftline_serving.proxy.framing import INTERIM, TO_THE_END, Framer, length_of, parse_head
from driftline_serving.server.http.messages import header_lines

#: What is observed: inference by the protocol, whichever the model's name there.
INFER: Final = re.compile(rb"(?:https?://[^/?#]*)?/v2/models/[^/?#]+(?:/versions/[^/?#]+)?/infer")
#: Requests that one client sends ahead of its answers, and that are followed.
MOST_AHEAD: Final = 1024

_REQUEST: Final = re.compile(rb"([!-~]+) ([!-~]+) HTTP/1\.[01]")
_RESPONSE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_METHOD: Final = re.compile(rb"[A-Z][-A-Z]*(?: .*)?", re.DOTALL)
_VERSION: Final = b"HTTP/1."


@dataclass(slots=True)
class _Exchange:
    """A request that is not answered yet; `call` only if it is one to infer."""

    method: bytes
    call: Call | None


class Http1:
    """Both directions of one connection; see `relay.Watch`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._exchanges: deque[_Exchange] = deque()
        self._requests = Framer(_Requests(self, ledger))
        self._responses = Framer(_Responses(self, ledger))
        self._counted = False

    def from_client(self, data: bytes) -> bytes:
        """See `relay.Watch`: nothing of a request waits, and nothing is changed."""
        self._requests.feed(data)
        return data

    def from_server(self, data: bytes) -> bytes:
        """See `relay.Watch`: heads of answers wait until they are whole, and are added to."""
        return self._responses.feed(data)

    def server_ended(self) -> bytes:
        """See `relay.Watch`."""
        return self._responses.rest()

    def closed(self, status: int) -> None:
        """See `relay.Watch`."""
        for exchange in self._exchanges:
            if exchange.call:
                self._ledger.finished(exchange.call, status)
        self._exchanges.clear()

    def asked(self, exchange: _Exchange) -> None:
        """A request has begun."""
        if len(self._exchanges) >= MOST_AHEAD:
            raise UnclearError
        self._exchanges.append(exchange)

    def waiting(self) -> _Exchange:
        """Return the request that the next answer is to.

        Raises:
            UnclearError: there is none.
        """
        if not self._exchanges:
            raise UnclearError
        return self._exchanges[0]

    def done(self) -> None:
        """The first request has been answered."""
        call = self._exchanges.popleft().call
        if call:
            self._ledger.finished(call, call.status)

    def lost(self) -> None:
        """One direction cannot be read along: then the other has no meaning."""
        if self._counted:
            return
        self._counted = True
        self._ledger.counts.unread += 1
        self._requests.end_sight()
        self._responses.end_sight()
        for exchange in self._exchanges:
            if exchange.call:
                self._ledger.forget(exchange.call)
        self._exchanges.clear()


class _Requests:
    """See `framing.Side`."""

    def __init__(self, connection: Http1, ledger: Ledger) -> None:
        self._connection = connection
        self._ledger = ledger
        self._call: Call | None = None

    def begins(self, data: bytes) -> bool:
        return _METHOD.match(data) is not None

    def head(self, raw: bytes) -> tuple[bytes, int]:
        head = parse_head(raw)
        found = _REQUEST.fullmatch(head.start)
        if found is None or found[1] == b"CONNECT":
            raise UnclearError
        length = length_of(head.headers, 0)
        method, target = found.groups()
        self._call = None
        if method == b"POST" and INFER.fullmatch(target.partition(b"?")[0]):
            self._call = self._ledger.call("http", head.headers)
        self._connection.asked(_Exchange(method, self._call))
        return raw, length

    def body(self, piece: bytes) -> None:
        if self._call:
            self._call.request.add(piece)

    def end(self) -> None:
        if self._call:
            self._call.arrived()
            self._call = None

    def lost(self) -> None:
        self._connection.lost()


class _Responses:
    """See `framing.Side`."""

    def __init__(self, connection: Http1, ledger: Ledger) -> None:
        self._connection = connection
        self._ledger = ledger
        self._call: Call | None = None

    def begins(self, data: bytes) -> bool:
        return data.startswith(_VERSION[: len(data)])

    def head(self, raw: bytes) -> tuple[bytes, int]:
        head = parse_head(raw)
        found = _RESPONSE.fullmatch(head.start)
        if found is None:
            raise UnclearError
        status, exchange = int(found[1]), self._connection.waiting()
        if status == 101:
            raise UnclearError  # from here on it is another protocol
        if status < 200:
            return raw, INTERIM
        length = length_of(head.headers, TO_THE_END)
        if exchange.method == b"HEAD" or status in (204, 304):
            length = 0
        call = self._call = exchange.call
        if call is None:
            return raw, length
        call.answered(status, head.headers)
        added = header_lines(dict(call.added()))
        return raw[:-2] + added.encode("latin-1") + b"\r\n", length

    def body(self, piece: bytes) -> None:
        if self._call:
            self._call.response.add(piece)

    def end(self) -> None:
        self._call = None
        self._connection.done()

    def lost(self) -> None:
        self._connection.lost()

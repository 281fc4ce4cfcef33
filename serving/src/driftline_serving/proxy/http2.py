"""Reads along what goes over a connection of HTTP/2 without encryption, gRPC above all."""

from collections.abc import Iterable
from typing import Final

from driftline_serving.proxy.along import UnclearError
from driftline_serving.proxy.calls import GONE, Call, Ledger
from driftline_serving.proxy.frames import PREFACE, Frames, Headers
from driftline_serving.proxy.http1 import INFER

MODEL_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"
#: Calls of one connection that are followed at a time.
MOST_CALLS: Final = 4096

_GRPC: Final = "application/grpc"
#: What a client of HTTP would have been told; what routers count as errors is 5xx.
_STATUSES: Final = {
    0: 200, 1: GONE, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 503,
    9: 400, 10: 409, 11: 400, 12: 501, 13: 500, 14: 503, 15: 500, 16: 401,
}  # fmt: skip
_UNKNOWN: Final = 500


class Http2:
    """Both directions of one connection; see `relay.Watch`."""

    def __init__(self, ledger: Ledger) -> None:
        self.calls: dict[int, Call] = {}
        self.ledger = ledger
        self.requests = Frames(_Requests(self), len(PREFACE))
        self.responses = Frames(_Responses(self))
        self._counted = False

    def from_client(self, data: bytes) -> bytes:
        """See `relay.Watch`: nothing of a request waits, and nothing is changed."""
        self.requests.feed(data)
        return data

    def from_server(self, data: bytes) -> bytes:
        """See `relay.Watch`: frames of headers wait until they are whole, and are added to."""
        return self.responses.feed(data)

    def server_ended(self) -> bytes:
        """See `relay.Watch`."""
        return self.responses.rest()

    def closed(self, status: int) -> None:
        """See `relay.Watch`."""
        for stream in list(self.calls):
            self.finish(stream, status)

    def finish(self, stream: int, status: int) -> None:
        """A call is over, if it is one that is followed."""
        call = self.calls.pop(stream, None)
        if call:
            self.ledger.finished(call, status)

    def lost(self) -> None:
        """One direction cannot be read along: then the other has no meaning."""
        if self._counted:
            return
        self._counted = True
        self.ledger.counts.unread += 1
        self.requests.end_sight()
        self.responses.end_sight()
        for call in self.calls.values():
            self.ledger.forget(call)
        self.calls.clear()


class _Requests:
    """See `frames.Side`."""

    def __init__(self, connection: Http2) -> None:
        self._connection = connection

    def headers(self, stream: int, headers: Headers, *, ends: bool) -> Iterable[tuple[str, str]]:
        connection = self._connection
        protocol = _protocol(headers)
        if protocol and stream not in connection.calls:
            if len(connection.calls) >= MOST_CALLS:
                raise UnclearError
            connection.calls[stream] = connection.ledger.call(protocol, headers)
        if ends:
            self.ended(stream)
        return ()

    def data(self, stream: int, piece: bytes) -> None:
        call = self._connection.calls.get(stream)
        if call:
            call.request.add(piece)

    def ended(self, stream: int) -> None:
        call = self._connection.calls.get(stream)
        if call:
            call.arrived()

    def reset(self, stream: int) -> None:
        self._connection.finish(stream, GONE)

    def table_size(self, size: int) -> None:
        self._connection.responses.allow_table(size)

    def lost(self) -> None:
        self._connection.lost()


class _Responses:
    """See `frames.Side`."""

    def __init__(self, connection: Http2) -> None:
        self._connection = connection

    def headers(self, stream: int, headers: Headers, *, ends: bool) -> Iterable[tuple[str, str]]:
        call = self._connection.calls.get(stream)
        if call is None:
            return ()
        if call.protocol == "grpc":
            return self._grpc(stream, call, headers, ends=ends)
        status = headers.get(":status", "")
        if not status.isdecimal() or int(status) < 200:
            return ()
        call.answered(int(status), headers)
        added = call.added()
        if ends:
            self.ended(stream)
        return added

    def _grpc(
        self, stream: int, call: Call, headers: Headers, *, ends: bool
    ) -> Iterable[tuple[str, str]]:
        """The trailers say how it went, and take what is added."""
        known = {**call.response.headers, **headers}
        call.answered(_status_of(known) if ends else 0, known)
        if not ends:
            return ()
        added = call.added()
        self.ended(stream)
        return added

    def data(self, stream: int, piece: bytes) -> None:
        call = self._connection.calls.get(stream)
        if call:
            call.response.add(piece)

    def ended(self, stream: int) -> None:
        call = self._connection.calls.get(stream)
        if call:
            self._connection.finish(stream, call.status or _UNKNOWN)

    def reset(self, stream: int) -> None:
        call = self._connection.calls.get(stream)
        if call:
            self._connection.finish(stream, _UNKNOWN)

    def table_size(self, size: int) -> None:
        self._connection.requests.allow_table(size)

    def lost(self) -> None:
        self._connection.lost()


def _protocol(headers: Headers) -> str:
    """Return how a call is made, empty for what is no call to infer."""
    if headers.get(":method") != "POST":
        return ""
    path = headers.get(":path", "")
    if headers.get("content-type", "").startswith(_GRPC):
        return "grpc" if path == MODEL_INFER else ""
    return "http" if INFER.fullmatch(path.partition("?")[0].encode("latin-1")) else ""


def _status_of(headers: Headers) -> int:
    told = headers.get("grpc-status", "")
    if told.isdecimal() and len(told) < 4:
        return _STATUSES.get(int(told), _UNKNOWN)
    http = headers.get(":status", "")
    return int(http) if http.isdecimal() and http != "200" else _UNKNOWN

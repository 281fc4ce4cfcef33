"""Inference calls that are under way, and how much of them is kept until they are told."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from driftline_api.names import PREDICTION_ID_HEADER, REPLAY_HEADER

#: Bytes of one body that are kept; of a larger one, nothing.
MOST_BODY_BYTES: Final = 1024 * 1024
#: Bytes of all bodies of calls that are under way; what comes then is passed on and not kept.
MOST_KEPT_BYTES: Final = 64 * 1024 * 1024

#: The client went away before it was answered; and the server did.
GONE: Final = 499
BROKEN: Final = 502
UNREACHABLE: Final = 503

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OK: Final = range(200, 300)


class Said(NamedTuple):
    """A body and what it takes to read it; None where it was not kept."""

    content: bytes | None
    headers: Mapping[str, str]


class Answered(NamedTuple):
    """A call that is over.

    Attributes:
        protocol: `http` or `grpc`: how bodies are to be read.
        prediction_id: under which its answer is known.
        received_us: when it had arrived whole, Unix microseconds.
        latency_us: from then to the end of the answer.
        status: what the client was told, as HTTP has it.
        request: what was asked.
        response: what was answered.
    """

    protocol: str
    prediction_id: str
    received_us: int
    latency_us: int
    status: int
    request: Said
    response: Said


class Telling(Protocol):
    """Takes calls that are over."""

    def tell(self, call: Answered) -> None:
        """Take one; it is not a replay."""


@dataclass(slots=True)
class Counts:
    """What the proxy has had so far.

    Attributes:
        calls: inference calls that came to an end.
        left_out: bodies that were passed on and not kept, because of their size.
        unread: connections of which something could not be read along.
        unreachable: connections for which there was no server.
        refused: connections beyond the most that are taken.
    """

    calls: int = 0
    left_out: int = 0
    unread: int = 0
    unreachable: int = 0
    refused: int = 0


class Ledger:
    """What all connections have in common.

    Args:
        about: Headers that tell who answered.
        new_id: Makes the id of a prediction that is made at a time, in Unix milliseconds.
        telling: Takes calls that are over.

    Attributes:
        counts: see `Counts`.
        kept: bytes of bodies that are kept just now.
    """

    def __init__(
        self, about: Mapping[str, str], new_id: Callable[[int], str], telling: Telling
    ) -> None:
        self.about = about
        self.counts = Counts()
        self.kept = 0
        self._new_id = new_id
        self._telling = telling

    def call(self, protocol: str, headers: Mapping[str, str]) -> "Call":
        """Begin a call."""
        now = time.time_ns()
        return Call(self, protocol, headers, self._new_id(now // 1_000_000))

    def finished(self, call: "Call", status: int) -> None:
        """End a call, and have it told."""
        self.counts.calls += 1
        latency = time.perf_counter_ns() - call.began
        if REPLAY_HEADER not in call.request.headers:
            answered = Answered(
                protocol=call.protocol,
                prediction_id=call.prediction_id,
                received_us=call.received // 1000,
                latency_us=max(latency, 0) // 1000,
                status=status,
                request=Said(call.request.content(), call.request.headers),
                response=Said(call.response.content(), call.response.headers),
            )
            self._telling.tell(answered)
        self.forget(call)

    def forget(self, call: "Call") -> None:
        """Let go of what was kept of a call."""
        call.request.drop()
        call.response.drop()


class Body:
    """A body as it comes, and its headers."""

    def __init__(self, ledger: Ledger, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._ledger = ledger
        self._pieces: list[bytes] | None = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Keep a piece, if there is room for it."""
        if self._pieces is None:
            return
        size, ledger = len(piece), self._ledger
        if self._size + size > MOST_BODY_BYTES or ledger.kept + size > MOST_KEPT_BYTES:
            self.drop()
            ledger.counts.left_out += 1
            return
        self._pieces.append(piece)
        self._size += size
        ledger.kept += size

    def content(self) -> bytes | None:
        """Return all of it; None if it was too large."""
        if self._pieces is None:
            return None
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def drop(self) -> None:
        """Keep nothing of it."""
        self._ledger.kept -= self._size
        self._pieces, self._size = None, 0


class Call:
    """One inference call that is under way.

    Attributes:
        received: when it had arrived whole, as far as is known yet; Unix nanoseconds.
        began: the same, on a clock that nobody sets.
        status: what the client was told, as HTTP has it.
        is_answered: something of the answer has come.
    """

    def __init__(
        self, ledger: Ledger, protocol: str, headers: Mapping[str, str], prediction_id: str
    ) -> None:
        self.protocol = protocol
        self.prediction_id = prediction_id
        self.request = Body(ledger, headers)
        self.response = Body(ledger, {})
        self.status = 0
        self.is_answered = False
        self._ledger = ledger
        self.arrived()

    def arrived(self) -> None:
        """All of the request is there; an answer may have begun before."""
        if not self.is_answered:
            self.received, self.began = time.time_ns(), time.perf_counter_ns()

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the answer is there."""
        self.is_answered = True
        self.status = status
        self.response.headers = headers
        given = headers.get(PREDICTION_ID_HEADER, "")
        if _UUID.fullmatch(given):
            self.prediction_id = given

    def added(self) -> list[tuple[str, str]]:
        """Return the headers that an answer of this status is given, beside its own."""
        if PREDICTION_ID_HEADER in self.response.headers:
            return []  # the server names its predictions itself
        about = list(self._ledger.about.items())
        if self.status in _OK:
            about.insert(0, (PREDICTION_ID_HEADER, self.prediction_id))
        return about

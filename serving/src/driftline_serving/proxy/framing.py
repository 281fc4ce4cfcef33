"""Where messages of HTTP/1.1 begin and end, in bytes that are passed on as they are.

Parsers that others wrote say what a message holds, and not at which byte it ends; here the bytes
themselves go on, and only heads of answers are added to. Nothing depends on it but what is
observed: whatever is unclear is passed on, and read along no more.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from driftline_serving.proxy.along import Along, UnclearError
from driftline_serving.server.http.reading import name_of

#: Lengths of bodies that are not known beforehand; and of an answer before the answer.
CHUNKED: Final = -1
TO_THE_END: Final = -2
INTERIM: Final = -3

MOST_HEAD_BYTES: Final = 64 * 1024
_MOST_CHUNK_LINE: Final = 1024
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a message; names of headers in lower case."""

    start: bytes
    headers: Mapping[str, str]


class Side(Protocol):
    """What is done with the messages of one direction."""

    def begins(self, data: bytes) -> bool:
        """Tell whether a message may begin so; there is at least one byte."""

    def head(self, raw: bytes) -> tuple[bytes, int]:
        """A head has come; return what is passed on for it, and the length of the body."""

    def body(self, piece: bytes) -> None:
        """A piece of the body has come."""

    def end(self) -> None:
        """The message has come to its end."""

    def lost(self) -> None:
        """Nothing more is read along."""


class Framer(Along):
    """Follows the messages of one direction."""

    def __init__(self, side: Side) -> None:
        super().__init__(side.lost)
        self._side = side
        self._left = 0
        self._next: Callable[[bytes, int, list[bytes]], int] = self._head

    def rest(self) -> bytes:
        """Return what was held back, at the end of the connection."""
        if self._next == self._to_the_end:
            self._finish()
        return super().rest()

    def _step(self, data: bytes, at: int, passed: list[bytes]) -> int:
        return self._next(data, at, passed) if at < len(data) else at

    def _head(self, data: bytes, at: int, passed: list[bytes]) -> int:
        if data.startswith(b"\r\n", at):  # some clients send one too many after a body
            passed.append(b"\r\n")
            return at + 2
        end = data.find(_END, at)
        if end < 0:
            if len(data) - at > MOST_HEAD_BYTES or not self._side.begins(data[at : at + 16]):
                raise UnclearError
            return at
        head, length = self._side.head(data[at : end + len(_END)])
        passed.append(head)
        if length == CHUNKED:
            self._next = self._chunk
        elif length == TO_THE_END:
            self._next = self._to_the_end
        elif length > 0:
            self._left, self._next = length, self._measured
        elif length == 0:
            self._side.end()
        return end + len(_END)

    def _measured(self, data: bytes, at: int, passed: list[bytes]) -> int:
        end = self._piece(data, at, passed)
        if not self._left:
            self._finish()
        return end

    def _piece(self, data: bytes, at: int, passed: list[bytes]) -> int:
        piece = data[at : at + self._left]
        self._side.body(piece)
        passed.append(piece)
        self._left -= len(piece)
        return at + len(piece)

    def _to_the_end(self, data: bytes, at: int, passed: list[bytes]) -> int:
        self._left = len(data) - at
        return self._piece(data, at, passed)

    def _chunk(self, data: bytes, at: int, passed: list[bytes]) -> int:
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > _MOST_CHUNK_LINE:
                raise UnclearError
            return at
        found = _CHUNK.fullmatch(data, at, end)
        if found is None:
            raise UnclearError
        self._left = int(found[1], 16)
        passed.append(data[at : end + 2])
        self._next = self._chunk_data if self._left else self._trailers
        return end + 2

    def _chunk_data(self, data: bytes, at: int, passed: list[bytes]) -> int:
        end = self._piece(data, at, passed)
        if not self._left:
            self._next = self._chunk_end
        return end

    def _chunk_end(self, data: bytes, at: int, passed: list[bytes]) -> int:
        if len(data) - at < 2:
            return at
        if data[at : at + 2] != b"\r\n":
            raise UnclearError
        passed.append(b"\r\n")
        self._next = self._chunk
        return at + 2

    def _trailers(self, data: bytes, at: int, passed: list[bytes]) -> int:
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > MOST_HEAD_BYTES:
                raise UnclearError
            return at
        passed.append(data[at : end + 2])
        if end == at:
            self._finish()
        return end + 2

    def _finish(self) -> None:
        self._next = self._head
        self._side.end()


def parse_head(raw: bytes) -> Head:
    r"""Read a head, its empty line included.

    >>> parse_head(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").headers
    {'host': 'here'}

    Raises:
        UnclearError: two readers could take it for different things.
    """
    start, *lines = raw[: -len(_END)].split(b"\r\n")
    if raw.count(b"\n") != len(lines) + 2 or raw.count(b"\r") != len(lines) + 2:
        raise UnclearError
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.strip() != name:
            raise UnclearError
        key, text = name_of(name), value.strip(b" \t").decode("latin-1")
        if key in headers:
            if key in ("content-length", "transfer-encoding"):
                raise UnclearError
            text = f"{headers[key]}, {text}"
        headers[key] = text
    return Head(start=start, headers=headers)


def length_of(headers: Mapping[str, str], otherwise: int) -> int:
    """Return the length of the body that follows a head.

    Raises:
        UnclearError: it cannot be told for sure.
    """
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if length is not None or coding.lower() != "chunked":
            raise UnclearError
        return CHUNKED
    if length is None:
        return otherwise
    if not _LENGTH.fullmatch(length):
        raise UnclearError
    return int(length)

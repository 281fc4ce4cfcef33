"""Follows the frames of HTTP/2 (RFC 9113) in one direction, in bytes that go on as they are.

Only blocks of headers are waited for, and may be added to: literals that enter no table leave the
compression of both ends as it is (RFC 7541, section 6.2.2).
"""

from collections.abc import Iterable
from typing import Final, Protocol

from hpack import Decoder
from hpack.exceptions import HPACKError

from driftline_serving.proxy.along import Along, UnclearError

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, CONTINUATION = 0x0, 0x1, 0x3, 0x4, 0x5, 0x9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

#: Of frames that are waited for: all but data.
MOST_FRAME_BYTES: Final = 64 * 1024
#: Of a block of headers, compressed; and of the table that both ends may keep for that.
_MOST_BLOCK_BYTES: Final = 64 * 1024
_MOST_TABLE_BYTES: Final = 1024 * 1024
_HEADER_BYTES: Final = 9
_PRIORITY_BYTES: Final = 5
_HEADER_TABLE_SIZE: Final = 1
#: What any peer takes, in bytes of a frame.
_SMALLEST_MOST: Final = 16 * 1024
#: A literal that enters no table, with a name of its own.
_LITERAL: Final = b"\x00"
#: Lengths below take one byte.
_LONG: Final = 127

Headers = dict[str, str]


class Side(Protocol):
    """What is done with the frames of one direction."""

    def headers(self, stream: int, headers: Headers, *, ends: bool) -> Iterable[tuple[str, str]]:
        """A block of headers is there; return what is added to it."""

    def data(self, stream: int, piece: bytes) -> None:
        """Some of a body has come."""

    def ended(self, stream: int) -> None:
        """The last data of a stream have come."""

    def reset(self, stream: int) -> None:
        """A stream has been given up."""

    def table_size(self, size: int) -> None:
        """This end has said how much the other may have it remember."""

    def lost(self) -> None:
        """Nothing more is read along."""


class Frames(Along):
    """See the module.

    Args:
        side: See `Side`.
        preface: Bytes that come before the first frame.
    """

    UNCLEAR = (UnclearError, HPACKError)

    def __init__(self, side: Side, preface: int = 0) -> None:
        super().__init__(side.lost)
        self._side = side
        self._preface = preface
        self._decoder = Decoder()
        self._stream = self._flags = 0
        self._left = self._padding = 0  # of a frame of data that is passing
        self._block: bytearray | None = None
        self._ends = False

    def allow_table(self, size: int) -> None:
        """The other end remembers up to so much of what comes here."""
        allowed = max(self._decoder.max_allowed_table_size, min(size, _MOST_TABLE_BYTES))
        self._decoder.max_allowed_table_size = allowed

    def _step(self, data: bytes, at: int, passed: list[bytes]) -> int:
        """Take what is at hand; return how far that is, which is `at` if more is needed."""
        if self._preface or self._left or self._padding:
            return self._passing(data, at, passed)
        start = at + _HEADER_BYTES
        if len(data) < start:
            return at
        length, kind, flags = int.from_bytes(data[at : at + 3]), data[at + 3], data[at + 4]
        stream = int.from_bytes(data[at + 5 : start]) & 0x7FFFFFFF
        if (self._block is not None) != (kind == CONTINUATION):
            raise UnclearError
        if kind == DATA:
            return self._begin_data(data, at, passed, (length, flags, stream))
        if length > MOST_FRAME_BYTES:
            raise UnclearError
        end = start + length
        if len(data) < end:
            return at
        passed.append(self._whole(kind, flags, stream, data[at:end]))
        return end

    def _passing(self, data: bytes, at: int, passed: list[bytes]) -> int:
        if self._preface:
            piece = data[at : at + self._preface]
            self._preface -= len(piece)
        elif self._left:
            piece = data[at : at + self._left]
            self._left -= len(piece)
            if piece:
                self._side.data(self._stream, piece)
        else:
            piece = data[at : at + self._padding]
            self._padding -= len(piece)
        passed.append(piece)
        if piece and not self._preface:
            self._end_data()
        return at + len(piece)

    def _begin_data(
        self, data: bytes, at: int, passed: list[bytes], frame: tuple[int, int, int]
    ) -> int:
        length, flags, stream = frame
        start = at + _HEADER_BYTES
        padding = 0
        if flags & PADDED:
            if len(data) == start:
                return at
            padding = data[start]
            start, length = start + 1, length - 1
            if padding > length:
                raise UnclearError
        self._stream, self._flags = stream, flags
        self._left, self._padding = length - padding, padding
        passed.append(data[at:start])
        self._end_data()
        return start

    def _end_data(self) -> None:
        if not self._left and not self._padding and self._flags & END_STREAM:
            self._flags = 0
            self._side.ended(self._stream)

    def _whole(self, kind: int, flags: int, stream: int, frame: bytes) -> bytes:
        if kind == HEADERS:
            return self._headers(flags, stream, frame)
        if kind == CONTINUATION:
            return self._fragment(flags, stream, frame, (_HEADER_BYTES, len(frame)))
        if kind == PUSH_PROMISE:
            raise UnclearError  # nobody does, and it would have to be decoded
        if kind == RST_STREAM:
            self._side.reset(stream)
        elif kind == SETTINGS and not flags & ACK:
            self._settings(frame)
        return frame

    def _headers(self, flags: int, stream: int, frame: bytes) -> bytes:
        start, end = _HEADER_BYTES, len(frame)
        if flags & PADDED:
            if start == end:
                raise UnclearError
            end -= frame[start]
            start += 1
        if flags & PRIORITY:
            start += _PRIORITY_BYTES
        if start > end:
            raise UnclearError
        self._block, self._ends = bytearray(), bool(flags & END_STREAM)
        return self._fragment(flags, stream, frame, (start, end))

    def _fragment(self, flags: int, stream: int, frame: bytes, place: tuple[int, int]) -> bytes:
        """Take a part of a block; return the frame, added to if it is the last one."""
        start, end = place
        assert self._block is not None
        self._block += frame[start:end]
        if len(self._block) > _MOST_BLOCK_BYTES:
            raise UnclearError
        if not flags & END_HEADERS:
            return frame
        block, self._block = bytes(self._block), None
        added = literals(self._side.headers(stream, self._decoded(block), ends=self._ends))
        length = len(frame) - _HEADER_BYTES + len(added)
        if not added or length > _SMALLEST_MOST:
            return frame
        return length.to_bytes(3) + frame[3:end] + added + frame[end:]

    def _decoded(self, block: bytes) -> Headers:
        decoded: Headers = {}
        for name, value in self._decoder.decode(block, raw=True):
            key, text = bytes(name).decode("latin-1"), bytes(value).decode("latin-1")
            decoded[key] = f"{decoded[key]}, {text}" if key in decoded else text
        return decoded

    def _settings(self, frame: bytes) -> None:
        for at in range(_HEADER_BYTES, len(frame) - 5, 6):
            if int.from_bytes(frame[at : at + 2]) == _HEADER_TABLE_SIZE:
                self._side.table_size(int.from_bytes(frame[at + 2 : at + 6]))


def literals(headers: Iterable[tuple[str, str]]) -> bytes:
    r"""Return headers as they can be added to any block.

    >>> literals([("a", "bc")])
    b'\x00\x01a\x02bc'
    """
    return b"".join(_LITERAL + _string(name) + _string(value) for name, value in headers)


def _string(text: str) -> bytes:
    raw = text.encode("latin-1")
    if len(raw) >= _LONG:
        raise ValueError(f"a header has {len(raw)} bytes, and at most {_LONG - 1} are written here")
    return bytes([len(raw)]) + raw

"""What is read along of HTTP/2, whatever way its frames are cut, padded and continued."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.proxy import frames
from driftline_serving.proxy.calls import GONE
from driftline_serving.proxy.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
)
from driftline_serving.proxy.http2 import MODEL_INFER, Http2
from tests.proxy.books import ABOUT, ID, Book, cut, fed

Fields = list[tuple[str, str]]
CALL: Fields = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", MODEL_INFER),
    (":authority", "m"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("driftline-epoch", "7"),
]
HEALTH: Fields = [*CALL[:2], (":path", "/grpc.health.v1.Health/Check"), *CALL[3:]]
HEAD: Fields = [(":status", "200"), ("content-type", "application/grpc"), ("server", "x")]
TRAILERS: Fields = [("grpc-status", "0"), ("grpc-message", "")]
ADDED: Fields = [("driftline-prediction-id", ID), *ABOUT.items()]


@dataclass
class Wire:
    """One direction: frames as an end would write them."""

    sent: bytes = b""
    encoder: Encoder = field(default_factory=Encoder)

    def frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> "Wire":
        self.sent += len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload
        return self

    def headers(self, stream: int, fields: Fields, *, how: str = "", ends: bool = False) -> "Wire":
        block, flags = self.encoder.encode(fields), END_STREAM * ends
        if how == "padded":
            payload = b"\x03" + bytes(5) + block + bytes(3)
            return self.frame(HEADERS, flags | END_HEADERS | PADDED | PRIORITY, stream, payload)
        if how == "continued":
            self.frame(HEADERS, flags, stream, block[:2])
            self.frame(CONTINUATION, 0, stream, block[2:5])
            return self.frame(CONTINUATION, END_HEADERS, stream, block[5:])
        return self.frame(HEADERS, flags | END_HEADERS, stream, block)

    def data(self, stream: int, content: bytes, *, how: str = "", ends: bool = False) -> "Wire":
        flags = END_STREAM * ends
        if how == "padded":
            return self.frame(DATA, flags | PADDED, stream, b"\x02" + content + bytes(2))
        if how == "continued":
            self.frame(DATA, 0, stream, content[:1])
            self.frame(DATA, 0, stream, content[1:])
            return self.frame(DATA, flags, stream)
        return self.frame(DATA, flags, stream, content)


def blocks(data: bytes, skip: int = 0) -> list[Fields]:
    """All blocks of headers, as the peer reads them; padding is checked on the way."""
    decoder, found, block, at = Decoder(), [], b"", skip
    while at < len(data):
        length, kind, flags = int.from_bytes(data[at : at + 3]), data[at + 3], data[at + 4]
        payload = data[at + 9 : at + 9 + length]
        at += 9 + length
        if kind == HEADERS and flags & PADDED:
            assert payload[-3:] == bytes(3)
            payload = payload[6:-3]
        if kind in (HEADERS, CONTINUATION):
            block += payload
        if kind in (HEADERS, CONTINUATION) and flags & END_HEADERS:
            found.append([(str(name), str(value)) for name, value in decoder.decode(block)])
            block = b""
    assert at == len(data)
    return found


ways = st.sampled_from(["", "padded", "continued"])


@given(
    st.lists(st.tuples(ways, st.booleans()), min_size=1, max_size=6),
    st.lists(st.integers(0, 4000), max_size=40),
)
def test_frames_go_on_as_they_are_and_calls_are_seen(
    streams: Sequence[tuple[str, bool]], places: Sequence[int]
) -> None:
    asked, answered, expected = Wire(PREFACE), Wire(), []
    asked.frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 4096))
    answered.frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 65536)).frame(SETTINGS, 1, 0)
    for number, (how, is_call) in enumerate(streams):
        stream = 2 * number + 1
        asked.headers(stream, CALL if is_call else HEALTH, how=how)
        asked.data(stream, b"asked", how=how, ends=True)
        answered.headers(stream, HEAD, how=how).data(stream, b"answered", how=how)
        answered.headers(stream, TRAILERS, how=how, ends=True)
        expected += [HEAD, [*TRAILERS, *ADDED] if is_call else TRAILERS]
    book = Book()
    pieces = [("client", each) for each in cut(asked.sent, places)]
    pieces += [("server", each) for each in cut(answered.sent, places)]
    to_server, to_client = fed(Http2(book.ledger), pieces)
    assert to_server == asked.sent
    assert blocks(to_client) == expected
    for _ in range(sum(is_call for _, is_call in streams)):
        to_client = to_client.replace(frames.literals(ADDED), b"", 1)
    assert len(to_client) == len(answered.sent)
    calls = [(each.request.content, each.response.content, each.status) for each in book.calls]
    assert calls == [(b"asked", b"answered", 200)] * sum(is_call for _, is_call in streams)
    assert all(each.request.headers["driftline-epoch"] == "7" for each in book.calls)
    assert (book.ledger.counts.unread, book.ledger.kept) == (0, 0)


@given(st.binary(max_size=300), st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=9))
def test_whatever_comes_goes_on(asked: bytes, answered: bytes, places: list[int]) -> None:
    pieces = [("client", each) for each in cut(PREFACE + asked, places)]
    pieces += [("server", each) for each in cut(answered, places)]
    assert fed(Http2(Book().ledger), pieces) == (PREFACE + asked, answered)


@given(st.data())
def test_damaged_frames_go_on(data: st.DataObject) -> None:
    asked = bytearray(Wire().headers(1, CALL).data(1, b"asked", ends=True).sent)
    answered = bytearray(Wire().headers(1, HEAD).headers(1, TRAILERS, ends=True).sent)
    for damaged in (asked, answered):
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    pieces = [("client", PREFACE + asked), ("server", bytes(answered))]
    to_server, to_client = fed(Http2(Book().ledger), pieces)
    assert to_server == PREFACE + asked
    assert len(to_client) in (len(answered), len(answered) + len(frames.literals(ADDED)),
                              len(answered) + len(frames.literals(ABOUT.items())))  # fmt: skip


def told(asked: Wire, answered: Wire) -> tuple[Book, list[Fields]]:
    book = Book()
    pieces = [("client", PREFACE + asked.sent), ("server", answered.sent)]
    watch = Http2(book.ledger)
    _, to_client = fed(watch, pieces)
    watch.closed(502)
    return book, blocks(to_client)


@pytest.mark.parametrize(("code", "status"), [("3", 400), ("14", 503), ("99", 500), ("x", 500)])
def test_an_error_of_grpc_is_told_as_http_has_it(code: str, status: int) -> None:
    """The only block of such an answer is head and trailers at once."""
    asked = Wire().headers(1, CALL).data(1, b"asked", ends=True)
    error = [*HEAD[:2], ("grpc-status", code)]
    book, found = told(asked, Wire().headers(1, error, ends=True))
    assert found == [[*error, *ABOUT.items()]]
    assert [each.status for each in book.calls] == [status]


def test_calls_that_are_given_up() -> None:
    asked = Wire().headers(1, CALL).headers(3, CALL).headers(5, CALL)
    asked.frame(RST_STREAM, 0, 1, bytes(4))
    book, _ = told(asked, Wire().frame(RST_STREAM, 0, 3, bytes(4)))
    assert [each.status for each in book.calls] == [GONE, 500, 502]


def test_infer_over_http2_without_grpc() -> None:
    fields = [*CALL[:2], (":path", "/v2/models/m/infer?x=y"), ("content-type", "application/json")]
    head = [(":status", "200"), ("content-type", "application/json")]
    asked = Wire().headers(1, fields).data(1, b"{}", ends=True)
    answered = Wire().headers(1, [(":status", "103")]).headers(1, head).data(1, b"[]", ends=True)
    book, found = told(asked, answered)
    assert found == [[(":status", "103")], [*head, *ADDED]]
    assert [(each.protocol, each.response.content) for each in book.calls] == [("http", b"[]")]


@pytest.mark.parametrize(
    "answered",
    [
        Wire().frame(0x5, END_HEADERS, 1, bytes(8)),
        Wire().frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        Wire().frame(HEADERS, 0, 1, b"").frame(DATA, 0, 1, b"x"),
        Wire().frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09"),
        Wire().frame(0x4, 0, 0, bytes(frames.MOST_FRAME_BYTES + 1)),
    ],
)
def test_what_cannot_be_followed_is_passed_on_unread(answered: Wire) -> None:
    book, asked = Book(), PREFACE + Wire().headers(1, CALL).sent
    _, to_client = fed(Http2(book.ledger), [("client", asked), ("server", answered.sent)])
    assert to_client == answered.sent
    assert (book.calls, book.ledger.counts.unread, book.ledger.kept) == ([], 1, 0)


def test_a_larger_table_is_followed_where_the_other_end_allows_it() -> None:
    asked, answered, book = Wire(PREFACE), Wire(), Book()
    answered.frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 16384))
    asked.encoder.header_table_size = 16384
    watch = Http2(book.ledger)
    watch.from_server(answered.sent)
    for number in range(300):
        fields = [*CALL, (f"x-{number}", "y" * 40)]
        asked.headers(2 * number + 1, fields)
    watch.from_client(asked.sent)
    assert book.ledger.counts.unread == 0
    assert len(watch.calls) == 300

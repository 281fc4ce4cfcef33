"""What is read along of HTTP/1.1, whatever way its bytes come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.proxy import calls
from driftline_serving.proxy.http1 import Http1
from tests.proxy.books import ID, Book, cut, fed

ADDED = (
    f"driftline-prediction-id: {ID}\r\ndriftline-revision: m-7\r\ndriftline-digest: sha256:ab\r\n"
).encode()
ABOUT = b"driftline-revision: m-7\r\ndriftline-digest: sha256:ab\r\n"
INFER = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

ASKED = INFER + b"Content-Length: 4\r\n\r\nbody"
CHUNKED = INFER + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nbo\n\r\n1\r\ny\r\n0\r\nT: u\r\n\r\n"
ANSWERED = OK + b"Content-Length: 6\r\n\r\nanswer"
ANSWERED_CHUNKED = OK + b"transfer-encoding: Chunked\r\n\r\n6\r\nanswer\r\n0\r\n\r\n"
HEALTH = b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"

#: Requests and answers of one connection; whether it is a call, and its bodies.
EXCHANGES = [
    (ASKED, ANSWERED, (b"body", b"answer")),
    (CHUNKED, ANSWERED_CHUNKED, (b"bo\ny", b"answer")),
    (HEALTH, NOTHING, None),
    (b"HEAD /v2 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", None),
    (
        INFER.replace(b"/m/", b"/other/versions/2/")
        + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWERED,
        (b"", b"answer"),
    ),
]


def added_to(answer: bytes) -> bytes:
    """An answer as a client gets it."""
    head, _, body = answer.rpartition(b"HTTP/1.1 200 OK\r\n")
    fields, _, rest = body.partition(b"\r\n\r\n")
    return head + b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + ADDED + b"\r\n" + rest


@given(
    st.lists(st.sampled_from(EXCHANGES), min_size=1, max_size=6),
    st.lists(st.integers(0, 4000), max_size=40),
    st.booleans(),
)
def test_bytes_go_on_as_they_are_and_calls_are_seen_however_they_are_cut(
    exchanges: list[tuple[bytes, bytes, tuple[bytes, bytes] | None]],
    places: list[int],
    ahead: bool,
) -> None:
    book = Book()
    pieces: list[tuple[str, bytes]] = []
    asked = b"".join(request for request, _, _ in exchanges)
    if ahead:
        answers = b"".join(answer for _, answer, _ in exchanges)
        pieces += [("client", each) for each in cut(asked, places)]
        pieces += [("server", each) for each in cut(answers, places)]
    else:
        for request, answer, _ in exchanges:
            pieces += [("client", each) for each in cut(request, places)]
            pieces += [("server", each) for each in cut(answer, places)]
    to_server, to_client = fed(Http1(book.ledger), pieces)
    assert to_server == asked
    assert to_client == b"".join(
        added_to(answer) if bodies else answer for _, answer, bodies in exchanges
    )
    found = [(each.request.content, each.response.content) for each in book.calls]
    assert found == [bodies for _, _, bodies in exchanges if bodies]
    assert {each.status for each in book.calls} <= {200}
    assert book.ledger.kept == 0
    assert book.ledger.counts.unread == 0


@given(st.binary(max_size=300), st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=9))
def test_whatever_comes_goes_on(asked: bytes, answered: bytes, places: list[int]) -> None:
    book = Book()
    pieces = [("client", each) for each in cut(asked, places)]
    pieces += [("server", each) for each in cut(answered, places)]
    assert fed(Http1(book.ledger), pieces) == (asked, answered)


@given(st.data())
def test_a_damaged_exchange_goes_on_byte_by_byte_but_for_what_is_added(data: st.DataObject) -> None:
    asked, answered = bytearray(ASKED + CHUNKED), bytearray(ANSWERED_CHUNKED + ANSWERED)
    for damaged in (asked, answered):
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    book, pieces = Book(), [("client", bytes(asked)), ("server", bytes(answered))]
    to_server, to_client = fed(Http1(book.ledger), pieces)
    assert to_server == asked
    assert to_client.replace(ADDED, b"").replace(ABOUT, b"") == answered


def test_an_error_names_who_answered_and_is_no_prediction() -> None:
    book = Book()
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"
    _, to_client = fed(Http1(book.ledger), [("client", ASKED), ("server", refused)])
    assert to_client == refused.replace(b"\r\n\r\n", b"\r\n" + ABOUT + b"\r\n")
    assert [each.status for each in book.calls] == [400]


def test_a_server_that_names_its_predictions_itself_is_left_alone() -> None:
    book, other = Book(), "01900000-0001-7000-8000-000000000001"
    answer = OK + f"Driftline-Prediction-Id: {other}\r\nContent-Length: 0\r\n\r\n".encode()
    _, to_client = fed(Http1(book.ledger), [("client", ASKED), ("server", answer)])
    assert to_client == answer
    assert [each.prediction_id for each in book.calls] == [other]


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    book = Book()
    answer = [OK + b"\r\nthe", b" end"]
    _, to_client = fed(
        Http1(book.ledger), [("client", ASKED), *(("server", each) for each in answer)]
    )
    assert to_client.endswith(b"the end")
    assert [each.response.content for each in book.calls] == [b"the end"]


def test_replays_are_told_to_nobody() -> None:
    book = Book()
    asked = ASKED.replace(b"Host: x", b"driftline-replay: 1")
    fed(Http1(book.ledger), [("client", asked), ("server", ANSWERED)])
    assert book.calls == []
    assert book.ledger.kept == 0


def test_an_answer_before_the_end_of_the_request() -> None:
    book = Book()
    watch = Http1(book.ledger)
    pieces = [("client", ASKED[:-2]), ("server", ANSWERED), ("client", ASKED[-2:] + ASKED)]
    fed(watch, [*pieces, ("server", ANSWERED)])
    assert [each.request.content for each in book.calls] == [b"bo", b"body"]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (b"GET /ws HTTP/1.1\r\nUpgrade: x\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 \r\n"),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n\x00\x01", b"HTTP/1.1 200 OK\r\n\r\n\x00"),
        (INFER + b"Content-Length: 1\r\ntransfer-encoding: chunked\r\n\r\n", ANSWERED),
        (INFER + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", ANSWERED),
        (INFER + b" folded: 1\r\n\r\n", ANSWERED),
        (INFER + b"a: b\n\r\n\r\n", ANSWERED),
        (b"\x16\x03\x01 hello of TLS", b"\x16\x03\x03"),
        (b"", ANSWERED),
    ],
)
def test_what_two_readers_could_read_differently_is_passed_on_unread(
    asked: bytes, answered: bytes
) -> None:
    book = Book()
    pieces = [("client", asked), ("server", answered), ("client", ASKED), ("server", ANSWERED)]
    assert fed(Http1(book.ledger), pieces) == (asked + ASKED, answered + ANSWERED)
    assert book.calls == []
    assert (book.ledger.counts.unread, book.ledger.kept) == (1, 0)


def test_large_bodies_are_not_kept() -> None:
    book = Book()
    size = calls.MOST_BODY_BYTES + 1
    asked = INFER + f"Content-Length: {size}\r\n\r\n".encode() + bytes(size)
    fed(Http1(book.ledger), [("client", asked), ("server", ANSWERED)])
    assert [(each.request.content, each.response.content) for each in book.calls] == [
        (None, b"answer")
    ]
    assert book.ledger.counts.left_out == 1


def test_of_many_that_wait_only_so_much_is_kept() -> None:
    book, size = Book(), calls.MOST_BODY_BYTES
    asked = INFER + f"Content-Length: {size}\r\n\r\n".encode() + bytes(size)
    watches = [Http1(book.ledger) for _ in range(calls.MOST_KEPT_BYTES // size + 3)]
    for watch in watches:
        watch.from_client(asked)
    assert book.ledger.kept <= calls.MOST_KEPT_BYTES
    assert book.ledger.counts.left_out == 3
    for watch in watches:
        watch.closed(calls.GONE)
    assert book.ledger.kept == 0
    assert {each.status for each in book.calls} == {calls.GONE}

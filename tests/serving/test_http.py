"""The border of HTTP: odd, slow, large and hostile clients, byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline_serving.server.http.connection import Limits
from driftline_serving.server.http.routes import Routes
from driftline_serving.server.http.transport import HttpSettings, HttpTransport
from driftline_serving.server.service import Bounds, Identity, InferenceService, Phase

LIMITS = Limits(
    header_bytes=2000,
    body_bytes=5000,
    header_seconds=0.2,
    body_seconds=0.2,
    write_seconds=0.2,
    idle_seconds=60,
)
INFER = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: m\r\n"
LIVE = b"GET /v2/health/live HTTP/1.1\r\nhost: m\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Said:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A client that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self) -> Said:
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.rstrip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            length = int(headers.get("content-length", 0))
            body = await self.reader.readexactly(length)
        return Said(int(first.split()[1]), headers, body)

    async def is_over(self) -> bool:
        """Wait for the end of what the server says, and tell whether there was nothing more."""
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


class House:
    """A transport whose model is still loading: everything but inference is answered."""

    def __init__(self, port: int, transport: HttpTransport, service: InferenceService) -> None:
        self.port, self.transport, self.service = port, transport, service
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return Client(reader, writer)


@asynccontextmanager
async def open_house(connections: int = 100) -> AsyncIterator[House]:
    service = InferenceService(Identity(model="m"), Bounds())
    settings = HttpSettings(
        host="127.0.0.1", port=0, connections=connections, limits=LIMITS, finish_seconds=1
    )
    transport = HttpTransport(
        Routes(service, LIMITS.body_bytes), settings, lambda: service.phase is Phase.DRAINING
    )
    house = House(await transport.start(), transport, service)
    try:
        yield house
    finally:
        for writer in house.writers:
            writer.close()
        await transport.stop()
        service.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


async def test_requests_sent_ahead_are_answered_in_their_order(house: House) -> None:
    client = await house.connect()
    paths = [f"/v2/models/m/versions/{number}" for number in range(20)]
    client.send(b"".join(f"GET {path} HTTP/1.1\r\nhost: m\r\n\r\n".encode() for path in paths))
    for number in range(20):
        said = await client.hear()
        assert (said.status, f"version '{number}'".encode() in said.body) == (
            (404, True) if number != 1 else (503, False)
        )
    client.send(LIVE)
    assert (await client.hear()).status == 200


async def test_a_request_may_come_byte_by_byte(house: House) -> None:
    client = await house.connect()
    for byte in LIVE:
        client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.hear()).body == b'{"live":true}'


async def test_head_is_get_without_the_body(house: House) -> None:
    client = await house.connect()
    client.send(LIVE.replace(b"GET", b"HEAD", 1))
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"content-length: 13" in head
    client.send(LIVE)
    assert (await client.hear()).status == 200


async def test_a_body_may_be_chunked(house: House) -> None:
    client = await house.connect()
    client.send(INFER + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert (await client.hear()).body == b'{"error":"the model is still loading"}'


async def test_a_client_that_asks_whether_to_go_on_is_told(house: House) -> None:
    client = await house.connect()
    client.send(INFER + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    assert (await client.hear()).status == 100
    client.send(b"{}")
    assert (await client.hear()).status == 503


async def test_an_offer_of_another_protocol_is_passed_over(house: House) -> None:
    """Java's client makes it with each first request."""
    client = await house.connect()
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
    client.send(LIVE[:-2] + offer)
    assert (await client.hear()).status == 200
    client.send(INFER + b"content-length: 2\r\n" + offer + b"{}")
    assert (await client.hear()).status == 503
    client.send(LIVE)
    assert (await client.hear()).status == 200


@pytest.mark.parametrize(
    ("request_line", "closes"),
    [
        (b"GET /v2/health/live HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n", True),
        (b"GET /v2/health/live HTTP/1.0\r\nhost: m\r\n\r\n", True),
        (b"GET /v2/health/live HTTP/1.0\r\nhost: m\r\nconnection: keep-alive\r\n\r\n", False),
    ],
)
async def test_the_connection_ends_when_the_client_says_so(
    house: House, request_line: bytes, closes: bool
) -> None:
    client = await house.connect()
    client.send(request_line)
    said = await client.hear()
    assert (said.status, said.headers.get("connection") == "close") == (200, closes)
    if closes:
        assert await client.is_over()


async def test_offers_of_another_protocol_sent_ahead_are_each_passed_over(house: House) -> None:
    client = await house.connect()
    offer = LIVE[:-2] + b"connection: Upgrade\r\nupgrade: h2c\r\n\r\n"
    client.send(offer * 2000)
    for _ in range(2000):
        assert (await client.hear()).status == 200


async def test_what_comes_after_the_body_does_not_count_as_headers(house: House) -> None:
    client = await house.connect()
    client.send(INFER + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    client.send(b"content-encoding: br\r\nexpect: 100-continue\r\n\r\n")
    assert (await client.hear()).body == b'{"error":"the model is still loading"}'


async def test_a_target_may_name_the_host(house: House) -> None:
    client = await house.connect()
    client.send(LIVE.replace(b"/v2", b"http://m:80/v2", 1))
    assert (await client.hear()).status == 200


@pytest.mark.parametrize("start", [b"GET /v2 HTTP/1.1\r\nx: ", b"GET /"])
async def test_a_header_without_end_is_refused_before_it_ends(house: House, start: bytes) -> None:
    client = await house.connect()
    client.send(start)
    for _ in range(5):
        client.send(b"a" * 1000)
        await asyncio.sleep(0.005)
    said = await client.hear()
    assert said.status == 431


async def test_what_follows_a_refusal_changes_nothing(house: House) -> None:
    client = await house.connect()
    client.send(
        b"PUT /v2/models/m/infer HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n" + LIVE
    )
    assert (await client.hear()).status == 405
    client.send(b"more")
    assert await client.is_over()


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "this is not HTTP/1.1"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "this is not HTTP/1.1"),
    "two lengths": (
        INFER + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        400,
        "this is not HTTP/1.1",
    ),
    "length and chunks": (
        INFER + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "this is not HTTP/1.1",
    ),
    "large header": (
        b"GET /v2 HTTP/1.1\r\nx: " + b"a" * 2000 + b"\r\n\r\n",
        431,
        "the headers are larger than 2000 bytes",
    ),
    "large target": (
        b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n",
        431,
        "the headers are larger than 2000 bytes",
    ),
    "large body": (
        INFER + b"content-length: 5001\r\n\r\n",
        413,
        "the body is larger than 5000 bytes",
    ),
    "large chunks": (
        INFER + b"transfer-encoding: chunked\r\n\r\n1389\r\n" + b"a" * 5001 + b"\r\n",
        413,
        "the body is larger than 5000 bytes",
    ),
    "nothing there": (
        b"POST /v1/models/m:predict HTTP/1.1\r\ncontent-length: 9999\r\n\r\n",
        404,
        "there is nothing at /v1/models/m:predict",
    ),
    "packed chunks": (
        INFER + b"transfer-encoding: gzip, chunked\r\n\r\n",
        501,
        "only chunked is taken",
    ),
    "other method": (
        b"PUT /v2/models/m/infer HTTP/1.1\r\ncontent-length: 9999\r\n\r\n",
        405,
        "takes POST, not PUT",
    ),
}


@pytest.mark.parametrize(("sent", "status", "message"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_is_told_before_all_has_come(
    house: House, sent: bytes, status: int, message: str
) -> None:
    client = await house.connect()
    client.send(sent)
    said = await client.hear()
    assert (said.status, message in said.body.decode()) == (status, True), said.body
    assert said.headers["connection"] == "close"
    client.send(b"a" * 100_000)
    assert await client.is_over()


@pytest.mark.parametrize(
    "sent", [LIVE[:10], LIVE[:-2], INFER + b"content-length: 10\r\n\r\n{", LIVE + LIVE[:10]]
)
async def test_a_request_that_does_not_end_is_given_up(house: House, sent: bytes) -> None:
    client = await house.connect()
    client.send(sent)
    said = await client.hear()
    if sent.startswith(LIVE):
        said = await client.hear()
    assert (said.status, said.body) == (408, b'{"error":"the request took too long to arrive"}')


async def test_a_connection_that_is_not_used_is_kept(house: House) -> None:
    client = await house.connect()
    await asyncio.sleep(1.5)
    client.send(LIVE)
    assert (await client.hear()).status == 200


async def test_a_client_that_does_not_read_is_cut_off(house: House) -> None:
    client = await house.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of every transport that reads
    many = b"GET /v2/models/" + b"n" * 1000 + b" HTTP/1.1\r\nhost: m\r\n\r\n"

    async def send_for_ever() -> None:
        while True:
            client.send(many * 100)
            await client.writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_for_ever(), 20)


async def test_too_many_connections_are_told() -> None:
    async with open_house(connections=2) as house:
        kept = [await house.connect() for _ in range(2)]
        for client in kept:
            client.send(LIVE)
            assert (await client.hear()).status == 200
        extra = await house.connect()
        said = await extra.hear()
        assert (said.status, said.headers["retry-after"]) == (503, "1")
        assert await extra.is_over()
        kept[0].writer.close()
        await asyncio.sleep(0.1)
        again = await house.connect()
        again.send(LIVE)
        assert (await again.hear()).status == 200


async def test_while_draining_every_answer_is_the_last_of_its_connection(house: House) -> None:
    client = await house.connect()
    house.service.phase = Phase.DRAINING
    client.send(LIVE)
    assert (await client.hear()).headers["connection"] == "close"
    assert await client.is_over()


async def test_stopping_closes_idle_connections_at_once(house: House) -> None:
    client = await house.connect()
    client.send(LIVE)
    await client.hear()
    async with asyncio.timeout(0.9):
        await house.transport.stop()
    assert await client.is_over()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [LIVE, INFER, b"content-length: 2\r\n\r\n{}", b"\r\n\r\n", b"0\r\n\r\n"]
            ),
        ),
        max_size=12,
    )
)
def test_no_bytes_break_the_server(pieces: list[bytes]) -> None:
    """Whatever is sent, the answers are whole responses and the next client is served."""

    async def play() -> None:
        async with open_house() as house:
            client = await house.connect()
            for piece in pieces:
                client.send(piece)
            client.writer.write_eof()
            heard = await asyncio.wait_for(client.reader.read(), 10)
            assert heard == b"" or heard.startswith(b"HTTP/1.1 ")
            assert b" 500 " not in heard
            other = await house.connect()
            other.send(LIVE)
            assert (await other.hear()).status == 200

    asyncio.run(play())

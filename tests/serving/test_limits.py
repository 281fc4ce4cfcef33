"""Each limit as a user sets it, met through a real socket of a real process."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from tests.serving import grpc_calls, onnx_models
from tests.serving.processes import Server, Setup, serving, until
from tests.serving.test_lifecycle import A_WHILE, LABOUR, labour
from tests.serving.test_protocol import rows

ENDLESS = 1_000_000
HEADERS = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: m\r\n"


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        yield connection


def heard(connection: socket.socket) -> bytes:
    """All that the server says until it ends the connection."""
    said = b""
    while piece := connection.recv(65536):
        said += piece
    return said


def trickle(connection: socket.socket, piece: bytes) -> bytes:
    """Send a piece again and again, faster than any time-out; return what is said to that."""
    connection.settimeout(0.05)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection.sendall(piece)
            return heard(connection)
        except TimeoutError:
            continue
    raise AssertionError("the server listens for ever")


def ticks(server: Server) -> int:
    """CPU time that the process has used."""
    stat = Path(f"/proc/{server.worker}/stat").read_text()
    return int(stat.rsplit(")", 1)[1].split()[11])


@contextmanager
def at_work(server: Server) -> Iterator[None]:
    """What is asked for here is being computed when the block ends."""
    before = ticks(server)
    yield
    until(lambda: ticks(server) >= before + 10, "it is computed")


@pytest.fixture
def one_by_one(tmp_path: Path) -> Iterator[Server]:
    """Runs one request at a time; what waits is worth an answer for 0.3 s."""
    setup = Setup(arguments=("--cpus", "1", "--request-seconds", "0.3"))
    with serving(tmp_path, LABOUR, setup) as server:
        yield server


def test_a_request_that_has_waited_too_long_is_refused_and_never_computed(
    one_by_one: Server,
) -> None:
    """Those that wait would take hours; once the first is over, the server is free."""
    with ThreadPoolExecutor(5) as pool:
        with at_work(one_by_one):
            first = pool.submit(one_by_one.infer, labour(6 * A_WHILE))
        late = [pool.submit(one_by_one.infer, labour(ENDLESS)) for _ in range(4)]
        for each in late:
            answer = each.result()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.error == "the request has waited longer than it may take"
        assert first.result().status == 200, "what has begun is computed to its end"
    assert one_by_one.infer(labour(1)).status == 200


def test_a_call_of_grpc_that_has_waited_too_long_is_refused_and_never_computed(
    one_by_one: Server,
) -> None:
    with grpc_calls.stub_of(one_by_one) as stub:
        with at_work(one_by_one):
            first = stub.ModelInfer.future(grpc_calls.labour(6 * A_WHILE), timeout=100)
        late = [stub.ModelInfer.future(grpc_calls.labour(ENDLESS), timeout=100) for _ in range(4)]
        for each in late:
            assert each.code() is grpc.StatusCode.UNAVAILABLE
            assert each.details() == "the request has waited longer than it may take"
        assert first.code() is grpc.StatusCode.OK
        assert stub.ModelInfer(grpc_calls.labour(1), timeout=30)


def test_a_request_in_time_is_computed_however_long_it_takes(one_by_one: Server) -> None:
    assert one_by_one.infer(labour(3 * A_WHILE)).status == 200


def test_a_client_that_ends_its_side_has_gone(tmp_path: Path) -> None:
    """What it asked for is not computed, though it may still listen."""
    with serving(tmp_path, LABOUR, Setup(arguments=("--cpus", "1"))) as server:
        with ThreadPoolExecutor(1) as pool, connected(server) as connection:
            with at_work(server):
                running = pool.submit(server.infer, labour(4 * A_WHILE))
            body = json.dumps(labour(ENDLESS)).encode()
            connection.sendall(HEADERS + b"content-length: %d\r\n\r\n" % len(body) + body)
            connection.shutdown(socket.SHUT_WR)
            assert heard(connection) == b""
            assert running.result().status == 200
        assert server.infer(labour(1)).status == 200


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Waits half a second for anything; takes 100 kB of headers and body, and two clients."""
    arguments = ("--header-seconds", "0.5", "--body-seconds", "0.5", "--max-connections", "2")
    setup = Setup(arguments=(*arguments, "--max-json-bytes", "20000"))
    with serving(tmp_path_factory.mktemp("hasty"), onnx_models.cancer_onnx(), setup) as server:
        yield server


SLOW = {
    "headers": (HEADERS, b"x: 1\r\n"),
    "one header": (HEADERS + b"x: ", b"1"),
    "a body": (HEADERS + b"content-length: 10000\r\n\r\n", b"1"),
    "chunks": (HEADERS + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
}


@pytest.mark.parametrize(("start", "piece"), SLOW.values(), ids=SLOW)
def test_a_client_that_trickles_is_told_that_it_took_too_long(
    hasty: Server, start: bytes, piece: bytes
) -> None:
    with connected(hasty) as connection:
        connection.sendall(start)
        said = trickle(connection, piece)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"the request took too long to arrive" in said


def test_headers_have_a_limit(hasty: Server) -> None:
    with connected(hasty) as connection:
        connection.sendall(HEADERS + b"x: " + b"1" * 32 * 1024 + b"\r\n\r\n")
        said = heard(connection)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"the headers are larger than 32768 bytes" in said
    below = {"x": "1" * 32 * 1000}
    assert hasty.infer(rows(0, 1), below).status == 200


def test_json_has_a_limit_also_when_it_comes_packed(hasty: Server) -> None:
    packed = gzip.compress(json.dumps(rows(0, 1)).encode() + b" " * 20_000)
    answer = hasty.infer(packed, {"Content-Encoding": "gzip"})
    assert (answer.status, "more than 20000 bytes of the body are JSON" in answer.error) == (
        413,
        True,
    )


def test_connections_have_a_limit(hasty: Server) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connected(hasty)).sendall(b"GET /v2/health/live HTTP/1.1\r\n")
        said = heard(stack.enter_context(connected(hasty)))
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"there are too many connections" in said
    until(hasty.is_ready, "there is room again")

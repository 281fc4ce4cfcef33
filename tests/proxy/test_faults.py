"""What a client notices of the proxy when others fail: as much as without it."""

import asyncio
import hashlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest

from tests.proxy.processes import Proxied, foreign, proxying
from tests.serving import grpc_calls
from tests.serving.onnx_models import cancer_onnx
from tests.serving.processes import Setup, serving, until
from tests.serving.tap_readers import Told, dragging, listening
from tests.serving.test_protocol import rows

MB = 1024 * 1024
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ASKED = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nContent-Length: 2\r\n\r\n{}"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server_that(handle: Handler) -> AsyncIterator[int]:
    """A server that does with each connection what the test wants; gives its port."""

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def nobody() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_large_bodies_stream_both_ways_and_take_no_memory(tmp_path: Path) -> None:
    size, told = 64 * MB, Told()
    seen: list[str] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        await asyncio.sleep(0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        digest, left = hashlib.sha256(), size
        while left:
            piece = await reader.read(MB)
            left -= len(piece)
            digest.update(piece)
            writer.write(piece)
            await writer.drain()
        seen.append(digest.hexdigest())
        await reader.read()

    async with listening(tmp_path / "tap", told), server_that(echo) as port:
        with proxying(tmp_path / "tap", port) as proxied:
            before = proxied.resident()
            reader, writer = await asyncio.open_connection("127.0.0.1", proxied.port)
            writer.write(ASKED[:-2].replace(b"Length: 2", b"Length: %d" % size))
            block = os.urandom(MB)

            async def send() -> None:
                for _ in range(size // MB):
                    writer.write(block)
                    await writer.drain()

            sending = asyncio.create_task(send())
            assert b"driftline-prediction-id: " in await head_of(reader)
            digest, left, most = hashlib.sha256(), size, 0
            while left:
                piece = await reader.read(MB)
                assert piece
                left -= len(piece)
                digest.update(piece)
                most = max(most, proxied.resident())
            await sending
            writer.close()
            assert digest.hexdigest() == seen[0]
            assert digest.digest() == hashlib.sha256(block * (size // MB)).digest()
            assert most - before < 16 * MB
            await told.until_seen(1)
            assert proxied.counted("bodies_left_out_total") == 2
    (found,) = told.inferences
    assert (found.status, found.inputs, found.outputs) == (200, {}, {})


async def test_a_server_that_reads_slowly_makes_the_client_wait(tmp_path: Path) -> None:
    """Else the proxy would have to keep what comes meanwhile."""
    resumed = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        await resumed.wait()
        await reader.readexactly(32 * MB)
        writer.write(ANSWER)
        await writer.drain()
        await reader.read()

    async with server_that(slow) as port:
        with proxying(tmp_path / "tap", port) as proxied:
            before = proxied.resident()
            reader, writer = await asyncio.open_connection("127.0.0.1", proxied.port)
            writer.write(ASKED[:-2].replace(b"Length: 2", b"Length: %d" % (32 * MB)))
            writer.write(bytes(32 * MB))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await writer.drain()
            assert proxied.resident() - before < 8 * MB
            resumed.set()
            assert b" 200 OK" in await head_of(reader)
            writer.close()


async def test_a_client_that_goes_is_gone_for_the_server_too(tmp_path: Path) -> None:
    gone, told = asyncio.Event(), Told()
    asked = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        asked.set()
        await reader.read()
        gone.set()

    async with listening(tmp_path / "tap", told), server_that(waits) as port:
        with proxying(tmp_path / "tap", port) as proxied:
            for is_rude in (False, True):
                gone.clear()
                asked.clear()
                _, writer = await asyncio.open_connection("127.0.0.1", proxied.port)
                writer.write(ASKED)
                await asked.wait()
                if is_rude:
                    writer.transport.abort()
                else:
                    writer.close()
                async with asyncio.timeout(10):
                    await gone.wait()
            await told.until_seen(2)
            until(lambda: proxied.counted("connections") == 0, "no connection is left")
            assert proxied.counted("kept_bytes") == 0
    assert [each.status for each in told.inferences] == [499, 499]


async def test_a_client_that_only_ends_its_side_is_answered(tmp_path: Path) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(ANSWER)
        await writer.drain()

    async with server_that(answers) as port:
        with proxying(tmp_path / "tap", port) as proxied:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxied.port)
            writer.write(ASKED)
            writer.write_eof()
            assert (await reader.read()).endswith(b"\r\n\r\n{}")
            writer.close()


@pytest.mark.parametrize("part", [b"", ANSWER[:10], ANSWER[:-1]])
async def test_a_server_that_dies_leaves_the_client_as_it_would_without(
    tmp_path: Path, part: bytes
) -> None:
    told = Told()

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(part)
        await writer.drain()

    async with listening(tmp_path / "tap", told), server_that(dies) as port:
        with proxying(tmp_path / "tap", port) as proxied:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxied.port)
            writer.write(ASKED)
            found = b""
            try:
                found = await reader.read()
            except ConnectionResetError:
                assert part != ANSWER[:-1]
            assert len(found) <= len(part) + 200
            assert found.endswith(part[-1:])
            writer.close()
            await told.until_seen(1)
    assert told.inferences[0].status == 502


async def test_without_a_server_one_is_told_so_until_it_is_there(tmp_path: Path) -> None:
    told, port = Told(), nobody()
    async with listening(tmp_path / "tap", told):
        with proxying(tmp_path / "tap", port, port) as proxied:
            health = await asyncio.to_thread(proxied.get, "/v2/health/ready")
            assert health.status == 503
            answer = await asyncio.to_thread(proxied.infer, b"{}")
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.error == "the model server cannot be connected"

            def ask() -> grpc.StatusCode:
                with grpc_calls.stub_of(proxied) as stub, pytest.raises(grpc.RpcError) as refused:
                    stub.ModelInfer(grpc_calls.request([]))
                code: grpc.StatusCode = refused.value.code()
                return code

            assert await asyncio.to_thread(ask) is grpc.StatusCode.UNAVAILABLE
            await told.until_seen(1)
            assert proxied.admin("/v2/health/live").status == 200
    assert told.inferences[0].status == 503


async def ask_often(proxied: Proxied, count: int) -> None:
    asked = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": [1.5]}]}
    for _ in range(count):
        assert (await asyncio.to_thread(proxied.infer, asked)).status == 200


async def test_a_monitor_that_is_stuck_or_dead_is_no_matter_to_clients(tmp_path: Path) -> None:
    path, told = tmp_path / "tap", Told()
    with foreign() as (port, _), proxying(path, port) as proxied:
        await ask_often(proxied, 20)  # nobody is there
        async with dragging(path, Told(), asyncio.Event().wait):
            await ask_often(proxied, 200)
        async with listening(path, told):
            await ask_often(proxied, 20)
            await told.until(lambda: told.seen >= 20, "the new one is told")
            last = told.frames[-1].counters
            assert last.offered == proxied.counted("calls_total") == 240
            assert last.offered == last.sent + last.dropped + told.frames[-1].count


async def test_what_was_answered_is_told_before_the_end(tmp_path: Path) -> None:
    path, told = tmp_path / "tap", Told()
    with foreign() as (port, _), proxying(path, port) as proxied:
        async with listening(path, told):
            await told.until(lambda: bool(told.frames), "the proxy is connected")
            await ask_often(proxied, 50)
            proxied.terminate()
            assert await asyncio.to_thread(proxied.process.wait, 30) == 0
            await told.until(lambda: told.accounts_for(50), "all is told")
    assert proxied.told[-2:] == ["tap: 50 inferences sent, 0 dropped", "stopped"]


async def test_at_its_end_a_call_on_its_way_is_answered(tmp_path: Path) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        asked.set()
        await answer.wait()
        writer.write(ANSWER)
        await writer.drain()

    async with server_that(waits) as port:
        with proxying(tmp_path / "tap", port) as proxied:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxied.port)
            writer.write(ASKED)
            await asked.wait()
            proxied.terminate()
            until(lambda: "leaving: 1 connections may go on" in proxied.told, "it leaves")
            answer.set()
            assert (await reader.read()).endswith(b"{}")
            writer.close()
            assert await asyncio.to_thread(proxied.process.wait, 30) == 0


async def test_who_never_ends_is_ended(tmp_path: Path) -> None:
    with foreign() as (port, _), proxying(tmp_path / "tap", port, 0, "--finish-seconds=0.2") as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(b"GET /v2/health/ready HTTP/1.1\r\nHost: m\r\n\r\n")
        await head_of(reader)
        one.terminate()
        assert await asyncio.to_thread(one.process.wait, 30) == 0
        writer.close()


async def test_connections_beyond_the_most_are_closed(tmp_path: Path) -> None:
    with foreign() as (port, _), proxying(tmp_path / "tap", port, 0, "--max-connections=1") as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        until(lambda: one.counted("connections") == 1, "it is taken")
        other, second = await asyncio.open_connection("127.0.0.1", one.port)
        with suppress(ConnectionResetError):
            assert await other.read() == b""
        writer.write(b"GET /v2/health/ready HTTP/1.1\r\nHost: m\r\n\r\n")
        assert b"200 OK" in await head_of(reader)
        assert one.counted("refused_connections_total") == 1
        writer.close()
        second.close()


def test_a_server_of_ours_behind_it_names_its_predictions_itself(tmp_path: Path) -> None:
    setup = Setup(environ=(("DRIFTLINE_REVISION", "inner"),))
    with (
        serving(tmp_path, cancer_onnx(), setup) as server,
        proxying(tmp_path / "tap", server.port, server.grpc_port) as proxied,
    ):
        answer = proxied.infer(rows(0, 3))
        assert answer.headers["driftline-revision"] == "inner"
        with grpc_calls.stub_of(proxied) as stub:
            _, call = stub.ModelInfer.with_call(grpc_calls.rows(0, 2))
        names = [name for name, _ in call.trailing_metadata()]
        assert names.count("driftline-prediction-id") == 1


def test_a_stopped_proxy_goes_on_where_it_was(tmp_path: Path) -> None:
    with foreign() as (port, _), proxying(tmp_path / "tap", port) as proxied:
        proxied.process.send_signal(signal.SIGSTOP)
        proxied.process.send_signal(signal.SIGCONT)
        assert proxied.get("/v2/health/ready").status == 200


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("8086", "'8086' is not PORT:SERVER-PORT, such as 8086:8000"),
        ("8086:0", "'8086:0': ports end at 65535"),
        ("8086:8086", "'8086:8086': the proxy cannot listen where the server does"),
    ],
)
def test_what_cannot_be_is_refused_at_once(tmp_path: Path, given: str, why: str) -> None:
    with proxying(tmp_path / "tap", 1, 0, "--pass", given) as proxied:
        assert proxied.process.wait(30) == 2
    assert why in "".join(proxied.log)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with proxying(tmp_path / "tap", 1, 0, f"--pass={port}:2") as proxied:
            assert proxied.process.wait(30) == 1
    assert f"cannot listen on 127.0.0.1:{port} (" in proxied.told[-1]
    assert "choose another port with --pass" in proxied.told[-1]

"""gRPC from the start to SIGTERM: health, deadlines, limits and leaving, in real processes."""

import asyncio
import contextlib
import gzip
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckResponse as Health
from tritonclient.grpc import service_pb2

from tests.serving import onnx_models
from tests.serving.grpc_calls import APART, channel_to, health_of, labour, rows, stub_of
from tests.serving.processes import Server, Setup, is_busy, serving, until
from tests.serving.test_lifecycle import A_WHILE, LABOUR

Code = grpc.StatusCode
ASKED = health_pb2.HealthCheckRequest()


class Watcher:
    """Listens to the health service on a connection of its own."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.heard: list[int] = []
        self.call = health_of(channel).Watch(ASKED)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(grpc.RpcError):  # what ends it when it is cancelled
            for each in self.call:
                self.heard.append(each.status)

    def leave(self) -> None:
        self.call.cancel()
        self._thread.join(10)


def code_of(call: Any, message: Any, seconds: float = 30) -> Code:
    """The status with which a call ends."""
    try:
        call(message, timeout=seconds)
    except grpc.RpcError as error:
        return error.code()
    return Code.OK


def test_is_live_at_once_and_ready_only_when_the_model_has_answered(tmp_path: Path) -> None:
    setup = Setup(wait_ready=False)
    slow = onnx_models.labour(least=8 * A_WHILE)
    with serving(tmp_path, slow, setup) as server, channel_to(server) as channel:
        watcher = Watcher(channel)
        with stub_of(server) as stub:
            assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
            assert not stub.ServerReady(service_pb2.ServerReadyRequest()).ready
            assert not stub.ModelReady(service_pb2.ModelReadyRequest(name="m")).ready
            early = (
                (stub.ModelInfer, labour(1)),
                (stub.ModelMetadata, service_pb2.ModelMetadataRequest(name="m")),
            )
            for call, message in early:
                with pytest.raises(grpc.RpcError, match="the model is still loading") as caught:
                    call(message)
                assert caught.value.code() is Code.UNAVAILABLE
            until(server.is_ready, "the warm-up is over")
            assert stub.ServerReady(service_pb2.ServerReadyRequest()).ready
        until(lambda: watcher.heard == [Health.NOT_SERVING, Health.SERVING], "it is told")
        watcher.leave()


def test_one_who_watches_and_leaves_takes_nobody_along(tmp_path: Path) -> None:
    with serving(tmp_path, onnx_models.cancer_onnx()) as server, ExitStack() as stack:
        watchers = [Watcher(stack.enter_context(channel_to(server))) for _ in range(3)]
        until(lambda: all(each.heard == [Health.SERVING] for each in watchers), "all hear")
        watchers[0].leave()
        server.terminate()
        told = [Health.SERVING, Health.NOT_SERVING]
        until(lambda: all(each.heard == told for each in watchers[1:]), "the others are told")
        assert server.process.wait(10) == 0, "those who watch do not hold it up"


def test_sigterm_loses_no_call_and_ends_with_zero(tmp_path: Path) -> None:
    """Eight clients go on over the connections they have, until well after it is not ready."""
    setup = Setup(arguments=("--drain-seconds", "4"))
    with serving(tmp_path, LABOUR, setup) as server, ThreadPoolExecutor(9) as pool:
        codes: list[Code] = []
        enough = threading.Event()
        with stub_of(server) as stub:
            slow = pool.submit(code_of, stub.ModelInfer, labour(4 * A_WHILE))
            clients = [pool.submit(_ask, server, codes, enough) for _ in range(8)]
            until(lambda: len(codes) > 8, "calls flow")
            server.terminate()
            until(lambda: not server.is_ready(), "it is not ready")
            seen = len(codes)
            until(lambda: len(codes) > seen + 16, "it answers on")
            enough.set()
            for client in clients:
                client.result()
            assert slow.result() is Code.OK
        assert set(codes) == {Code.OK}
        assert server.process.wait(30) == 0


def _ask(server: Server, codes: list[Code], enough: threading.Event) -> None:
    with stub_of(server) as stub:
        while not enough.is_set():
            codes.append(code_of(stub.ModelInfer, labour(1)))


def test_a_call_in_flight_outlives_the_listener(tmp_path: Path) -> None:
    setup = Setup(arguments=("--drain-seconds", "0"))
    with (
        serving(tmp_path, LABOUR, setup) as server,
        stub_of(server) as stub,
        ThreadPoolExecutor(1) as pool,
    ):
        slow = pool.submit(code_of, stub.ModelInfer, labour(24 * A_WHILE))
        with channel_to(server) as channel:
            until(lambda: is_busy(server), "the call runs")
            server.terminate()
            until(lambda: not _is_reachable(channel), "it no longer listens")
        assert not slow.done()
        assert slow.result() is Code.OK
        assert server.process.wait(30) == 0


def _is_reachable(channel: grpc.Channel) -> bool:
    health = health_of(channel)
    return code_of(health.Check, ASKED, seconds=5) is Code.OK


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Server]:
    """Runs one call at a time and lets eight wait."""
    setup = Setup(arguments=("--cpus", "1", "--max-queue", "8"))
    with serving(tmp_path, LABOUR, setup) as server:
        yield server


def test_overload_is_told_at_once_and_health_is_not_queued(narrow: Server) -> None:
    with stub_of(narrow) as stub, ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(code_of, stub.ModelInfer, labour(A_WHILE)) for _ in range(14)]
        until(lambda: sum(each.done() for each in asked) == 5, "five are refused")
        assert stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=5).ready
        codes = [each.result() for each in asked]
        assert codes.count(Code.UNAVAILABLE) == 5
        assert codes.count(Code.OK) == 9


@pytest.mark.parametrize("how", ["deadline", "cancelled"])
def test_what_nobody_waits_for_is_not_computed(narrow: Server, how: str) -> None:
    """Eight calls that would take minutes wait behind one that runs, and are given up."""
    with stub_of(narrow) as stub, ThreadPoolExecutor(16) as pool:
        first = pool.submit(code_of, stub.ModelInfer, labour(10 * A_WHILE))
        until(lambda: is_busy(narrow), "the first runs")
        seconds = 0.5 if how == "deadline" else 60
        calls = [stub.ModelInfer.future(labour(100 * A_WHILE), timeout=seconds) for _ in range(8)]
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live, "behind them"
        if how == "cancelled":
            for call in calls:
                call.cancel()
        until(lambda: all(call.done() for call in calls), "they are over")
        expected = Code.CANCELLED if how == "cancelled" else Code.DEADLINE_EXCEEDED
        assert {call.code() for call in calls} == {expected}
        after = [pool.submit(code_of, stub.ModelInfer, labour(1)) for _ in range(8)]
        until(first.done, "the first is over")
        began = time.monotonic()
        assert [each.result() for each in after] == [Code.OK] * 8, "there was room for them"
        assert time.monotonic() - began < 10


def test_a_run_that_does_not_end_does_not_keep_the_process(tmp_path: Path) -> None:
    setup = Setup(arguments=("--drain-seconds", "0", "--finish-seconds", "0.5"))
    with serving(tmp_path, LABOUR, setup) as server, stub_of(server) as stub:
        endless = stub.ModelInfer.future(labour(1_000_000))
        until(lambda: is_busy(server), "it runs")
        server.terminate()
        assert server.process.wait(10) == 0
        assert endless.code() in {Code.CANCELLED, Code.UNAVAILABLE}


def test_a_message_that_is_too_large_is_refused(tmp_path: Path) -> None:
    setup = Setup(arguments=("--max-body-bytes", "100000"))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server, stub_of(server) as stub:
        assert code_of(stub.ModelInfer, rows(0, 500)) is Code.OK
        large = rows(0, 500, id="7" * 100_000)
        assert code_of(stub.ModelInfer, large) is Code.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(large, timeout=30, compression=grpc.Compression.Gzip)
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        assert len(gzip.compress(large.SerializeToString())) < 100_000
        assert code_of(stub.ModelInfer, rows(0, 1)) is Code.OK


def test_a_message_that_is_large_beside_its_raw_tensors_is_refused(tmp_path: Path) -> None:
    setup = Setup(arguments=("--max-json-bytes", "2000"))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server, stub_of(server) as stub:
        assert code_of(stub.ModelInfer, rows(0, 500)) is Code.OK
        assert code_of(stub.ModelInfer, rows(0, 1, id="7" * 2000)) is Code.INVALID_ARGUMENT


def test_one_connection_carries_sixteen_calls_at_a_time(cancer: Server) -> None:
    with channel_to(cancer) as channel, stub_of(cancer) as other:
        health = health_of(channel)
        watching = [health.Watch(ASKED) for _ in range(16)]
        for each in watching:
            assert next(each).status == Health.SERVING
        assert code_of(health.Check, ASKED, seconds=0.5) is Code.DEADLINE_EXCEEDED
        assert code_of(other.ModelInfer, rows(0, 1)) is Code.OK
        watching[0].cancel()
        assert code_of(health.Check, ASKED) is Code.OK
        for each in watching:
            each.cancel()


async def test_sixteen_busy_callers_on_one_connection_are_never_refused(cancer: Server) -> None:
    message = rows(0, 1).SerializeToString()
    async with grpc.aio.insecure_channel(cancer.grpc_address, options=APART) as channel:
        call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

        async def caller() -> None:
            for _ in range(150):
                assert await call(message)

        await asyncio.gather(*(caller() for _ in range(16)))


def test_connections_are_bounded(tmp_path: Path) -> None:
    setup = Setup(arguments=("--max-connections", "2"))
    onnx = onnx_models.cancer_onnx()
    with serving(tmp_path, onnx, setup) as server, ExitStack() as stack:
        stubs = [stack.enter_context(stub_of(server)) for _ in range(3)]
        assert [code_of(stub.ModelInfer, rows(0, 1)) for stub in stubs[:2]] == [Code.OK] * 2
        assert code_of(stubs[2].ModelInfer, rows(0, 1), seconds=2) is not Code.OK
        assert code_of(stubs[0].ModelInfer, rows(0, 1)) is Code.OK


def test_connections_are_renewed_and_no_call_is_lost(tmp_path: Path) -> None:
    setup = Setup(arguments=("--grpc-connection-seconds", "0.5"))
    onnx = onnx_models.cancer_onnx()
    with serving(tmp_path, onnx, setup) as server, channel_to(server) as channel:
        states: list[grpc.ChannelConnectivity] = []
        channel.subscribe(states.append)
        call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        message = rows(0, 1).SerializeToString()
        codes = set()
        deadline = time.monotonic() + 20
        while states.count(grpc.ChannelConnectivity.READY) < 4:
            assert time.monotonic() < deadline, states
            codes.add(code_of(call, message))
        assert codes == {Code.OK}


def test_a_port_that_is_taken_is_told(cancer: Server, tmp_path: Path) -> None:
    flag, port = "--grpc-port", cancer.grpc_port
    setup = Setup(arguments=(flag, str(port)), wait_ready=False)
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        assert server.process.wait(30) == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in server.log[0]
    assert f"choose another port with {flag}" in server.log[0]

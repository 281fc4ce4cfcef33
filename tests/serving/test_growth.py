"""What clients send leaves nothing behind in the process, in code that is not Python either."""

import contextlib
import re
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest

from e2e.fuzz.seeds import corpus
from tests.serving import grpc_calls, onnx_models
from tests.serving.grpc_calls import channel_to
from tests.serving.processes import Server, serving
from tests.serving.test_protocol import rows

ROUNDS = 30
#: Bytes. What the allocator holds goes up and down by some of them.
NOISE = 1_000_000


def resident(server: Server) -> int:
    """Bytes of memory that the process has."""
    status = Path(f"/proc/{server.worker}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def over_http(server: Server) -> None:
    """Predictions, requests for what is not there, and streams that end early or go wrong."""
    for last in range(1, 20):
        assert server.infer(rows(0, last)).status == 200
    for data in corpus()["http"]:
        for sent in (data[1:], data[1 : len(data) // 2], data[1:].replace(b"1", b"{")):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionError):
                    while connection.recv(65536):
                        pass


def over_grpc(server: Server) -> None:
    with channel_to(server) as channel:
        call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for last in range(1, 20):
            assert call(grpc_calls.rows(0, last).SerializeToString(), timeout=30)
        for data in corpus()["grpc"][::20]:
            for sent in (data[1:], data[1 : len(data) // 2]):
                with contextlib.suppress(grpc.RpcError):
                    call(sent, timeout=30)


@pytest.mark.parametrize("play", [over_http, over_grpc])
def test_memory_is_as_it_was(play: Any, tmp_path: Path) -> None:
    with serving(tmp_path, onnx_models.cancer_onnx()) as server:
        first, second = peak(server, play), peak(server, play)
        assert second - first < NOISE
        assert server.is_ready()


def peak(server: Server, play: Any) -> int:
    """The most that the process has had after a round: garbage is collected now and then."""
    most = 0
    for _ in range(ROUNDS):
        play(server)
        most = max(most, resident(server))
    return most

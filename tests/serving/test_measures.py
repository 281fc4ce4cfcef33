"""What clients counted is what /metrics shows, summed over workers."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.serving import grpc_calls, onnx_models
from tests.serving.grpc_calls import stub_of
from tests.serving.processes import Server, Setup, serving, until
from tests.serving.test_lifecycle import A_WHILE, LABOUR, labour
from tests.serving.test_protocol import rows

REQUESTS = "driftline_server_requests_total"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Server]:
    setup = Setup(
        arguments=("--workers", "2", "--cpus", "2", "--max-body-bytes", "100000"),
        environ=(("DRIFTLINE_REVISION", "m-1"), ("DRIFTLINE_DIGEST", "sha256:12")),
    )
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        yield server


def counted(server: Server, protocol: str) -> dict[str, float]:
    """Requests by code, those codes that there were."""
    found = {
        name.split('code="')[1].split('"')[0]: value
        for name, value in server.samples().items()
        if name.startswith(REQUESTS) and f'protocol="{protocol}"' in name
    }
    return {code: value for code, value in found.items() if value}


def test_sums_over_two_workers_are_what_clients_counted(pair: Server) -> None:
    for count in range(1, 41):
        assert pair.infer(rows(0, count % 4 + 1)).status == 200
    for body in (b"{", b'{"inputs": []}'):
        assert pair.infer(body).status == 400
    assert pair.call("POST", "/v2/models/else/infer", b"{}").status == 404
    assert pair.call("GET", "/v2/models/m/infer").status == 405
    assert pair.infer(b" " * 100_001).status == 413
    assert pair.infer(b"{}", {"content-encoding": "br"}).status == 415
    assert pair.get("/favicon.ico").status == 404, "and is none of ours"
    for _ in range(20):
        with stub_of(pair) as stub:
            stub.ModelInfer(grpc_calls.rows(0, 2), timeout=10)
    with stub_of(pair) as stub, pytest.raises(grpc.RpcError):
        stub.ModelInfer(grpc_calls.request([]), timeout=10)
    expected = {"200": 40, "400": 2, "404": 1, "405": 1, "413": 1, "415": 1}
    assert counted(pair, "http") == expected
    assert counted(pair, "grpc") == {"OK": 20, "INVALID_ARGUMENT": 1}
    samples = pair.samples()
    assert samples['driftline_server_request_seconds_count{protocol="http"}'] == 42
    assert samples['driftline_server_request_seconds_count{protocol="grpc"}'] == 21
    assert 0 < samples['driftline_server_request_seconds_sum{protocol="http"}'] < 60
    assert samples["driftline_server_batch_requests_sum"] == 60
    assert samples["driftline_server_batch_rows_sum"] == sum(n % 4 + 1 for n in range(1, 41)) + 40
    assert samples['driftline_server_batch_rows_bucket{le="4.0"}'] == 60
    about = 'digest="sha256:12",model="m",onnxruntime="'
    assert any(about in name and 'revision="m-1"' in name for name in samples)


def test_what_is_inside_shows_and_what_is_refused_is_counted(tmp_path: Path) -> None:
    setup = Setup(arguments=("--cpus", "1", "--max-queue", "2"))
    with serving(tmp_path, LABOUR, setup) as server:
        threads = [
            threading.Thread(target=server.infer, args=(labour(2 * A_WHILE),)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        until(lambda: counted(server, "http").get("503") == 5, "five are refused")
        until(lambda: server.samples()["driftline_server_in_flight"] == 3, "three are inside")
        until(lambda: server.samples()["driftline_server_queue_length"] == 2, "two of them wait")
        for thread in threads:
            thread.join()
        until(lambda: server.samples()["driftline_server_in_flight"] == 0, "none is")
        assert counted(server, "http") == {"200": 3, "503": 5}


def test_who_went_away_is_counted_as_such(tmp_path: Path) -> None:
    with serving(tmp_path, LABOUR) as server, stub_of(server) as stub:
        call = stub.ModelInfer.future(grpc_calls.labour(A_WHILE), timeout=60)
        until(lambda: server.samples()["driftline_server_in_flight"] == 1, "it runs")
        call.cancel()
        until(lambda: counted(server, "grpc") == {"CANCELLED": 1}, "it is counted")


def test_what_nobody_was_told_of_is_counted_when_the_worker_ends(tmp_path: Path) -> None:
    setup = Setup(arguments=("--tap", str(tmp_path / "nobody")))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        for _ in range(5):
            assert server.infer(rows(0, 1)).status == 200
        os.kill(server.worker, signal.SIGTERM)
        until(lambda: server.samples()["driftline_server_tap_dropped_total"] == 5, "it is told")

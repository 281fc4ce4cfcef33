"""Several workers and the supervisor that keeps them, in real processes."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckResponse as Health

from tests.serving import grpc_calls, onnx_models
from tests.serving.grpc_calls import channel_to, health_of, stub_of
from tests.serving.processes import Server, Setup, serving, until
from tests.serving.test_grpc_lifecycle import code_of
from tests.serving.test_lifecycle import A_WHILE, LABOUR, labour
from tests.serving.test_protocol import rows

TWO = ("--workers", "2", "--cpus", "2")
MEGABYTE = 1024**2


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Server]:
    """Serves the forest by two workers."""
    with serving(tmp_path, onnx_models.cancer_onnx(), Setup(arguments=TWO)) as server:
        yield server


class Clients:
    """Ask over and over, each time on a new connection, so that all workers have their share."""

    def __init__(self, server: Server, count: int) -> None:
        self.server = server
        self.statuses: list[int] = []
        self.broken = 0
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._enough.is_set():
            try:
                self.statuses.append(self.server.infer(rows(0, 1)).status)
            except (OSError, http.client.HTTPException):
                self.broken += 1

    def leave(self) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_killed_worker_is_replaced_while_the_other_answers_on(pair: Server) -> None:
    clients = Clients(pair, 4)
    until(lambda: len(clients.statuses) > 50, "requests flow")
    victim, other = pair.workers
    before = pair.samples()
    os.kill(victim, signal.SIGKILL)
    seen = len(clients.statuses)
    until(lambda: pair.samples()["driftline_server_worker_restarts_total"] == 1, "it is counted")
    assert pair.is_ready()
    until(lambda: pair.samples()["driftline_server_workers_ready"] == 2, "there are two again")
    until(lambda: len(clients.statuses) > seen + 50, "requests flow")
    clients.leave()
    assert set(clients.statuses) == {200}, "nobody met a worker that was not ready"
    assert clients.broken <= 4, "only who was connected to it"
    assert other in pair.workers
    assert victim not in pair.workers
    after = pair.samples()
    counters = [name for name in before if "_total" in name or "_bucket" in name]
    assert {name for name in counters if after[name] < before[name]} == set()
    (told,) = (line for line in pair.log if "ended by signal 9" in line)
    assert "starting it again in 0.1 s" in told


def test_without_the_supervisor_no_worker_stays(pair: Server) -> None:
    workers = pair.workers
    assert len(workers) == 2
    pair.process.kill()
    until(lambda: not any(map(is_alive, workers)), "they have left")


def test_a_worker_killed_before_all_were_ready_ends_the_server(tmp_path: Path) -> None:
    setup = Setup(arguments=TWO, wait_ready=False)
    with serving(tmp_path, onnx_models.labour(least=40 * A_WHILE), setup) as server:
        os.kill(server.workers[0], signal.SIGKILL)
        assert server.process.wait(30) == 128 + signal.SIGKILL, "as a single process would"


def test_the_pod_is_ready_only_when_all_workers_are(tmp_path: Path) -> None:
    setup = Setup(arguments=TWO, wait_ready=False)
    with serving(tmp_path, onnx_models.labour(least=4 * A_WHILE), setup) as server:
        stopped = server.workers[1]
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: server.samples()["driftline_server_workers_ready"] == 1, "one is ready")
        about = server.admin("/v2/health/ready")
        assert about.status == 503
        assert about.json == {"ready": False, "workers": 2, "workers_ready": 1}
        assert server.admin("/v2/health/live").status == 200
        os.kill(stopped, signal.SIGCONT)
        until(lambda: server.admin("/v2/health/ready").status == 200, "both are ready")
        assert server.samples()["driftline_server_workers_ready"] == 2
        assert server.samples()["driftline_server_load_seconds"] > 0


def test_every_worker_says_the_same_of_readiness(pair: Server) -> None:
    """Over as many connections as it takes to meet both, by HTTP and by gRPC."""
    assert {pair.get("/v2/health/ready").status for _ in range(32)} == {200}
    pair.terminate()
    until(lambda: pair.admin("/v2/health/ready").status == 503, "it is told to leave")
    assert {pair.get("/v2/health/ready").status for _ in range(32)} == {503}
    for _ in range(8):
        with channel_to(pair) as channel:
            answer = health_of(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert answer.status == Health.NOT_SERVING


@pytest.fixture
def patient_pair(tmp_path: Path) -> Iterator[Server]:
    """Two workers that take requests for some seconds after SIGTERM."""
    setup = Setup(arguments=(*TWO, "--drain-seconds", "4"))
    with serving(tmp_path, LABOUR, setup) as server:
        yield server


def test_sigterm_loses_no_request_of_two_workers(patient_pair: Server) -> None:
    server = patient_pair
    with ThreadPoolExecutor(16) as pool, stub_of(server) as stub:
        enough = threading.Event()
        told: list[object] = []

        def over_http() -> None:
            while not enough.is_set():
                told.append(server.infer(labour(1)).status)

        def over_grpc() -> None:
            with stub_of(server) as own:
                while not enough.is_set():
                    told.append(code_of(own.ModelInfer, grpc_calls.labour(1)))

        slow = pool.submit(server.infer, labour(A_WHILE))
        slow_call = pool.submit(code_of, stub.ModelInfer, grpc_calls.labour(A_WHILE))
        clients = [pool.submit(ask) for ask in (over_http, over_grpc) for _ in range(4)]
        until(lambda: len(told) > 16, "requests flow")
        server.terminate()
        until(lambda: not server.is_ready(), "it is not ready")
        seen = len(told)
        until(lambda: len(told) > seen + 16, "it answers on")
        enough.set()
        for client in clients:
            client.result()
        assert slow.result().status == 200
        assert slow_call.result() is grpc.StatusCode.OK
    assert set(told) == {200, grpc.StatusCode.OK}
    assert server.process.wait(30) == 0


def test_an_interrupt_from_the_keyboard_ends_it_as_sigterm_does(pair: Server) -> None:
    workers = pair.workers
    pair.process.send_signal(signal.SIGINT)
    assert pair.process.wait(30) == 0
    assert not any(map(is_alive, workers))


def test_a_model_that_cannot_load_says_why_once(tmp_path: Path) -> None:
    setup = Setup(arguments=TWO, wait_ready=False)
    with serving(tmp_path, b"this is a text", setup) as server:
        assert server.process.wait(30) == 1
    left = json.loads((tmp_path / "termination-log").read_text())
    assert left["reason"] == "ArtifactInvalid"
    assert sum("ArtifactInvalid" in line for line in server.log) == 1
    assert not any("Traceback" in line or "traceback" in line for line in server.log)


@pytest.mark.parametrize("flag", ["--port", "--grpc-port", "--admin-port"])
def test_a_port_that_is_taken_is_told(pair: Server, tmp_path: Path, flag: str) -> None:
    ports = {"--port": pair.port, "--grpc-port": pair.grpc_port, "--admin-port": pair.admin_port}
    setup = Setup(arguments=(flag, str(ports[flag])), wait_ready=False)
    other = tmp_path / "other"
    other.mkdir()
    with serving(other, onnx_models.cancer_onnx(), setup) as server:
        assert server.process.wait(30) == 1
    message = json.loads(server.log[-1])["message"]
    assert message.startswith(f"cannot listen on 127.0.0.1:{ports[flag]} (")
    assert message.endswith(f"choose another port with {flag}")


def test_a_connection_that_says_nothing_does_not_hold_the_supervisor_up(pair: Server) -> None:
    with socket.create_connection(("127.0.0.1", pair.admin_port)) as silent:
        silent.sendall(b"GET /metr")
        assert pair.admin("/v2/health/live").status == 200
        assert pair.admin("/v2").status == 404
        pair.terminate()
        assert pair.process.wait(30) == 0


def test_the_supervisor_is_small_and_knows_no_model(cancer: Server) -> None:
    maps = Path(f"/proc/{cancer.process.pid}/maps").read_text()
    assert "httptools" in maps, "what it does have shows there"
    for library in ("onnxruntime", "numpy", "grpc", "obstore", "aiohttp"):
        assert library not in maps, library
    assert pss(cancer.process.pid) < 40 * MEGABYTE


def test_an_idle_worker_with_trees_and_grpc_takes_little_memory(tmp_path: Path) -> None:
    with serving(tmp_path, onnx_models.cancer_onnx()) as server:
        assert server.grpc_port
        assert server.infer(rows(0, 1)).status == 200
        (worker,) = server.workers
        assert pss(worker) <= 130 * MEGABYTE


def pss(pid: int) -> int:
    """Bytes of memory, those shared with others counted in part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def test_nothing_of_the_working_directory_is_imported(tmp_path: Path) -> None:
    """A person may well have a numpy.py beside the model."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('not this one')\n")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with serving(tmp_path, onnx_models.cancer_onnx()) as server:
            assert server.infer(rows(0, 1)).status == 200
    finally:
        os.chdir(before)


def test_a_worker_that_is_told_to_leave_alone_is_replaced(pair: Server) -> None:
    began = time.monotonic()
    os.kill(pair.workers[0], signal.SIGTERM)
    until(lambda: pair.samples()["driftline_server_worker_restarts_total"] == 1, "it is replaced")
    until(lambda: pair.samples()["driftline_server_workers_ready"] == 2, "there are two again")
    assert pair.is_ready(), time.monotonic() - began

"""From the start to SIGTERM, in real processes."""

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving import onnx_models
from tests.serving.processes import (
    PROGRAM,
    Answer,
    Server,
    Setup,
    exchange,
    is_busy,
    serving,
    until,
)
from tests.serving.test_protocol import rows

#: So dear that it is computed on a thread, never in the event loop.
LABOUR = onnx_models.labour(least=5)
#: Rounds for some tenths of a second, on a machine with nothing else to do.
A_WHILE = 150


def labour(rounds: int) -> dict[str, object]:
    tensor = {"name": "rounds", "datatype": "INT64", "shape": [1], "data": [rounds]}
    return {"inputs": [tensor]}


def test_is_live_at_once_and_ready_only_when_the_model_has_answered(tmp_path: Path) -> None:
    setup = Setup(wait_ready=False)
    with serving(tmp_path, onnx_models.labour(least=8 * A_WHILE), setup) as server:
        assert server.get("/v2/health/live").status == 200
        for path in ("/v2/health/ready", "/v2/models/m/ready", "/v2/models/m"):
            assert server.get(path).status == 503, path
        early = server.infer(labour(1))
        assert (early.status, early.headers["retry-after"]) == (503, "1")
        assert early.error == "the model is still loading"
        until(server.is_ready, "the warm-up is over")
        assert server.get("/v2/models/m/ready").status == 200


def test_nothing_is_collected_about_the_user(tmp_path: Path) -> None:
    """ONNX Runtime keeps an id of the machine and a store of events, for its maker, unless told."""
    home = tmp_path / "home"
    home.mkdir()
    environ = (("HOME", str(home)), ("XDG_CACHE_HOME", str(home / "cache")))
    with serving(tmp_path, onnx_models.cancer_onnx(), Setup(environ=environ)) as server:
        assert server.infer(rows(0, 1)).status == 200
        assert list(home.rglob("*")) == []
        assert "telemetry" not in "".join(server.log)


def test_sigterm_while_loading_ends_it_cleanly(tmp_path: Path) -> None:
    setup = Setup(wait_ready=False)
    with serving(tmp_path, onnx_models.labour(least=A_WHILE), setup) as server:
        server.terminate()
        assert server.process.wait(30) == 0


BROKEN = {
    "no ONNX": (b"this is a text", "ONNX Runtime cannot load model.onnx.*Protobuf parsing failed"),
    "cut short": (onnx_models.cancer_onnx()[:5000], "ONNX Runtime cannot load model.onnx"),
    "empty": (b"", "ONNX Runtime cannot load model.onnx"),
    "no answer to a warm-up": (
        onnx_models.seven_only(),
        r"loads but does not answer a warm-up request \(x \[1\]\)",
    ),
    "maps for outputs": (onnx_models.cancer_onnx_with_maps(), "'zipmap': False"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_model_leaves_its_reason(tmp_path: Path, content: bytes, message: str) -> None:
    with serving(tmp_path, content, Setup(wait_ready=False)) as server:
        assert server.process.wait(30) == 1
    left = json.loads((tmp_path / "termination-log").read_text())
    assert left["reason"] == "ArtifactInvalid"
    assert re.search(message, left["message"])


def test_a_directory_without_a_model_names_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "iris.onnx").write_bytes(onnx_models.iris_onnx())
    (tmp_path / ".driftline").mkdir()
    log = tmp_path / "termination-log"
    command = [*PROGRAM, "serve", "--model-name", "m", "--model-dir", str(tmp_path)]
    ports = ["--port", "0", "--grpc-port", "0", "--admin-port", "0"]
    ended = subprocess.run(
        [*command, *ports, "--termination-log", str(log)],
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    message = json.loads(log.read_text())["message"]
    assert message.startswith("the artifact holds no model.onnx (found: iris.onnx)")


def test_sigterm_loses_no_request_and_ends_with_zero(tmp_path: Path) -> None:
    """Eight clients connect anew for each request, until well after it said that it is leaving."""
    setup = Setup(arguments=("--drain-seconds", "4"))
    with serving(tmp_path, LABOUR, setup) as server:
        answers: list[Answer] = []
        enough = threading.Event()
        with ThreadPoolExecutor(9) as pool:
            slow = pool.submit(server.infer, labour(A_WHILE))
            clients = [pool.submit(_ask, server, answers, enough) for _ in range(8)]
            until(lambda: len(answers) > 8, "requests flow")
            server.terminate()
            until(lambda: not server.is_ready(), "it is not ready")
            seen = len(answers)
            until(lambda: len(answers) > seen + 16, "it answers on")
            enough.set()
            for client in clients:
                client.result()
            assert slow.result().status == 200
        assert {answer.status for answer in answers} == {200}
        assert server.process.wait(30) == 0
        until(lambda: json.loads(server.log[-1])["message"] == "stopped", "the log says so")


def _ask(server: Server, answers: list[Answer], enough: threading.Event) -> None:
    while not enough.is_set():
        answers.append(server.infer(labour(1)))


def test_a_request_in_flight_outlives_the_listener(tmp_path: Path) -> None:
    setup = Setup(arguments=("--drain-seconds", "0"))
    with serving(tmp_path, LABOUR, setup) as server, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.infer, labour(4 * A_WHILE))
        until(lambda: is_busy(server), "the request runs")
        server.terminate()
        until(lambda: not _is_listening(server), "it no longer listens")
        assert not slow.done()
        assert slow.result().status == 200
        assert server.process.wait(30) == 0


def _is_listening(server: Server) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def test_kept_connections_are_told_to_close_while_draining(tmp_path: Path) -> None:
    setup = Setup(arguments=("--drain-seconds", "2"))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        connection = http.client.HTTPConnection(server.address, timeout=10)
        body = json.dumps(rows(0, 1)).encode()
        before = exchange(connection, "POST", "/v2/models/m/infer", body)
        assert "connection" not in before.headers
        server.terminate()
        until(lambda: not server.is_ready(), "it is not ready")
        after = exchange(connection, "POST", "/v2/models/m/infer", body)
        assert (after.status, after.headers["connection"]) == (200, "close")
        connection.close()


def test_overload_is_told_at_once_and_health_is_not_queued(tmp_path: Path) -> None:
    setup = Setup(arguments=("--cpus", "1", "--max-queue", "2"))
    with serving(tmp_path, LABOUR, setup) as server, ThreadPoolExecutor(8) as pool:
        running = [pool.submit(server.infer, labour(A_WHILE)) for _ in range(8)]
        until(lambda: sum(each.done() for each in running) == 5, "five are refused")
        assert server.is_ready()
        answers = [each.result() for each in running]
        refused = [answer for answer in answers if answer.status == 503]
        assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 5
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert refused[0].error.startswith("3 requests are running or waiting")
        assert server.infer(labour(1)).status == 200


def test_what_a_client_that_went_away_asked_for_is_not_computed(tmp_path: Path) -> None:
    setup = Setup(arguments=("--cpus", "1"))
    with serving(tmp_path, LABOUR, setup) as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.infer, labour(2 * A_WHILE))
        until(lambda: is_busy(server), "the first runs")
        connection = http.client.HTTPConnection(server.address, timeout=5)
        endless = json.dumps(labour(1_000_000)).encode()
        connection.request("POST", "/v2/models/m/infer", endless)
        time.sleep(0.1)
        connection.close()
        assert running.result().status == 200
        assert server.infer(labour(1)).status == 200


def test_a_run_that_does_not_end_does_not_keep_the_process(tmp_path: Path) -> None:
    setup = Setup(arguments=("--drain-seconds", "0", "--finish-seconds", "0.5"))
    with serving(tmp_path, LABOUR, setup) as server, ThreadPoolExecutor(1) as pool:
        endless = pool.submit(server.infer, labour(1_000_000))
        until(lambda: is_busy(server), "it runs")
        server.terminate()
        assert server.process.wait(10) == 0
        assert isinstance(endless.exception(10), OSError | http.client.HTTPException)


def test_a_client_that_goes_away_frees_its_place(tmp_path: Path) -> None:
    setup = Setup(arguments=("--cpus", "1", "--max-queue", "0"))
    with serving(tmp_path, LABOUR, setup) as server:
        connection = http.client.HTTPConnection(server.address, timeout=5)
        body = json.dumps(labour(A_WHILE)).encode()
        connection.request("POST", "/v2/models/m/infer", body)
        until(lambda: server.infer(labour(1)).status == 503, "it is busy")
        connection.close()
        until(lambda: server.infer(labour(1)).status == 200, "it is free again")

"""A real server beside a real monitor, and what happens when one of them is killed, or stuck."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from driftline_api.keys import render_keys
from driftline_api.monitor import Totals
from driftline_stats.drift.plan import Plan
from tests.serving import onnx_models
from tests.serving.keys import a_key
from tests.serving.monitor.processes import Watching, config_with, monitoring
from tests.serving.processes import Server, Setup, serving, until
from tests.serving.test_protocol import rows


@contextmanager
def serving_tapped(directory: Path, onnx: bytes | None = None) -> Iterator[Server]:
    setup = Setup(arguments=("--tap", str(directory / "tap")))
    with serving(directory, onnx or onnx_models.cancer_onnx(), setup) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving_tapped(tmp_path) as server:
        yield server


def beside(server: Server, directory: Path, *arguments: str) -> Watching:
    return Watching(
        directory=directory, tap=directory / "tap", server=server.port, arguments=arguments
    )


def ask(server: Server, times: int, last: int = 1) -> None:
    """Every answer must be right: nothing that befalls a monitor may be felt here."""
    request = json.dumps(rows(0, last)).encode()
    for _ in range(times):
        assert server.infer(request).status == 200


def accounts(totals: Totals) -> bool:
    return totals.offered == totals.seen + totals.dropped + totals.lost


def test_what_is_answered_is_seen_learned_and_counted(server: Server, tmp_path: Path) -> None:
    with monitoring(beside(server, tmp_path)) as monitor:
        assert monitor.configure().status == 204
        ask(server, 30, last=50)
        assert monitor.until_seen(30).baseline.sampled == 1500
        proposed = monitor.call("POST", "/plan")
        plan = Plan.from_json(proposed.content)
        assert len(plan.features) == 30 + 1 + 2
        assert monitor.configure(config_with(proposed.content)).status == 204
        ask(server, 10, last=50)
        found = monitor.until_seen(40)
    assert found.drift is not None
    assert (found.drift.plan, found.drift.rows) == (plan.digest, 500)
    assert accounts(found.totals)
    assert sum(each.seen for each in found.slots) == 40


def test_a_refused_request_is_seen_and_not_counted(server: Server, tmp_path: Path) -> None:
    with monitoring(beside(server, tmp_path)) as monitor:
        monitor.configure()
        assert server.infer({"inputs": []}).status == 400
        found = monitor.until_seen(1)
    assert (found.totals.rejected, found.totals.counted) == (1, 0)


def test_a_monitor_that_is_killed_is_felt_by_nobody(server: Server, tmp_path: Path) -> None:
    """What came while it was away is dropped by the server, and says so to the next one."""
    with monitoring(beside(server, tmp_path)) as first:
        first.configure()
        ask(server, 20)
        before = first.until_seen(20)
        first.signal(signal.SIGKILL)
        first.process.wait()
        ask(server, 20)
    with monitoring(beside(server, tmp_path)) as second:
        second.configure()
        ask(server, 20)
        after = second.until_seen(40)
    assert before.process != after.process
    assert before.totals.seen + after.totals.seen == 60
    assert accounts(before.totals)
    assert accounts(after.totals)


def test_a_stuck_monitor_is_felt_by_nobody_and_counts_what_it_missed(
    server: Server, tmp_path: Path
) -> None:
    """More than socket and queue hold: the oldest is dropped, and every inference accounted for."""
    with monitoring(beside(server, tmp_path)) as monitor:
        monitor.configure()
        ask(server, 5)
        monitor.until_seen(5)
        monitor.signal(signal.SIGSTOP)
        threads = [threading.Thread(target=ask, args=(server, 160, 500)) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        monitor.signal(signal.SIGCONT)
        found = monitor.until(
            lambda each: each.totals.offered == 645 and accounts(each.totals),
            "all is accounted for",
        )
    assert found.totals.dropped > 0
    assert found.totals.lost == 0


def test_a_server_that_is_killed_and_comes_back_is_counted_on(tmp_path: Path) -> None:
    with serving_tapped(tmp_path) as server, monitoring(beside(server, tmp_path)) as monitor:
        monitor.configure()
        ask(server, 10)
        monitor.until_seen(10)
        os.kill(server.worker, signal.SIGKILL)
        until(lambda: bool(server.workers) and server.is_ready(), "another worker is ready")
        ask(server, 10)
        found = monitor.until_seen(20)
        assert found.totals.offered == 20


def test_a_socket_that_was_removed_is_made_anew(server: Server, tmp_path: Path) -> None:
    tap = tmp_path / "tap"
    with monitoring(beside(server, tmp_path)) as monitor:
        monitor.configure()
        ask(server, 5)
        monitor.until_seen(5)
        tap.unlink()
        until(tap.exists, "the socket is there again")
        ask(server, 5)
        assert accounts(monitor.until_seen(10).totals)
        os.kill(server.worker, signal.SIGKILL)
        until(lambda: bool(server.workers) and server.is_ready(), "another worker is ready")
        ask(server, 5)
        monitor.until_seen(15)


def test_a_directory_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    late = tmp_path / "late"
    with serving(
        tmp_path, onnx_models.cancer_onnx(), Setup(arguments=("--tap", str(late / "tap")))
    ) as server:
        setup = Watching(directory=tmp_path, tap=late, server=server.port)
        threading.Timer(0.5, late.mkdir).start()
        with monitoring(
            Watching(directory=setup.directory, tap=late / "tap", server=server.port)
        ) as monitor:
            ask(server, 5)
            monitor.until_seen(5)
            shutil.rmtree(late)
            ask(server, 5)
            monitor.until_seen(10)


def test_an_orderly_end_holds_the_last_summary(server: Server, tmp_path: Path) -> None:
    setup = beside(server, tmp_path, "--hold-seconds", "30", "--finish-seconds", "30")
    with monitoring(setup) as monitor:
        monitor.configure()
        ask(server, 10)
        monitor.until_seen(10)
        monitor.signal(signal.SIGTERM)
        ask(server, 10)
        assert not monitor.summary().final
        server.terminate()
        found = monitor.until(lambda each: each.final, "it is final")
        assert (found.totals.seen, accounts(found.totals)) == (20, True)
        assert monitor.process.wait(30) == 0
    assert not (tmp_path / "tap").exists()


def test_a_monitor_with_keys_wants_a_token(server: Server, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    key = a_key(1)
    with monitoring(beside(server, tmp_path, "--keys", str(tmp_path / "keys"))) as monitor:
        assert monitor.call("GET", "/summary").status == 503
        (tmp_path / "keys" / "keys.json").write_text(render_keys([key]))
        until(lambda: monitor.call("GET", "/summary").status == 401, "the key is known")
        monitor.key = key
        assert monitor.summary().model == "m"


def test_nobody_else_is_let_in_without_keys(server: Server, tmp_path: Path) -> None:
    with monitoring(beside(server, tmp_path, "--host", "0.0.0.0")) as monitor:
        assert monitor.process.wait(30) == 1
    assert "anybody could ask; give --keys" in "".join(monitor.log)


def test_strings_of_clients_are_in_no_log(tmp_path: Path) -> None:
    def a_request(word: str) -> bytes:
        tensors = [
            {"name": "length", "datatype": "BYTES", "shape": [1, 1], "data": [word]},
            {"name": "width", "datatype": "FP32", "shape": [1, 1], "data": [0.2]},
        ]
        return json.dumps({"inputs": tensors}).encode()

    with (
        serving_tapped(tmp_path, onnx_models.iris_onnx()) as server,
        monitoring(beside(server, tmp_path)) as monitor,
    ):
        monitor.configure()
        for number in range(1200):
            server.infer(a_request(f"secret{number}"))
        monitor.until_seen(1200)
        proposed = monitor.call("POST", "/plan")
        assert proposed.status == 200
        monitor.configure(config_with(proposed.content))
        server.infer(a_request("secret"))
        monitor.until_seen(1201)
        monitor.signal(signal.SIGTERM)
        monitor.process.wait(30)
    assert "secret" not in "".join(monitor.log)
    assert "seen 1201" in "".join(monitor.log)

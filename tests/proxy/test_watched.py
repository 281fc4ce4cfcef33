"""A foreign server, the proxy and the real monitor: what a pod with `observe: Proxy` holds."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.proxy.processes import Proxied, foreign, proxying
from tests.serving.monitor.processes import RunningMonitor, Watching, monitoring

SIGNATURE = {
    "signature": {
        "features": [
            {"name": "age", "tensor": "X", "column": 0},
            {"name": "income", "tensor": "X", "column": 1},
        ],
        "prediction": {"task": "regression", "tensor": "Y"},
    }
}


def ask_often(proxied: Proxied, count: int) -> None:
    """Eight clients, each of which sees to its answers."""

    def ask(number: int) -> int:
        row = {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [number, 0.5]}
        predicted = {"name": "Y", "datatype": "FP32", "shape": [1], "data": [1.5]}
        return proxied.infer({"inputs": [row, predicted]}).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(count))) == {200}


def a_pod(directory: Path) -> Watching:
    (directory / "driftline.json").write_text(json.dumps(SIGNATURE))
    return Watching(directory=directory, tap=directory / "tap")


def reconciled(monitor: RunningMonitor, offered: int) -> int:
    """Wait until all that were offered are seen or known to be lost; returns those seen."""

    def is_so() -> bool:
        totals = monitor.summary().totals
        return totals.offered == offered == totals.seen + totals.dropped + totals.lost

    monitor.until(lambda _: is_so(), f"all {offered} are accounted for")
    return monitor.summary().totals.seen


def test_rows_of_a_foreign_server_are_counted(tmp_path: Path) -> None:
    with (
        foreign() as (port, _),
        proxying(tmp_path / "tap", port) as proxied,
        monitoring(a_pod(tmp_path)) as monitor,
    ):
        assert monitor.configure().status == 204
        monitor.until(lambda _: "driftline_monitor_info" in str(monitor.samples()), "it is up")
        ask_often(proxied, 100)
        found = monitor.until_seen(100)
        assert (found.totals.counted, found.totals.rows) == (100, 100)
        assert (found.model, found.faults.counts) == ("m", {})
        assert found.baseline.sampled == 100


def test_a_monitor_that_is_stopped_or_killed_costs_no_client_an_answer(tmp_path: Path) -> None:
    pod = a_pod(tmp_path)
    with foreign() as (port, _), proxying(tmp_path / "tap", port) as proxied:
        with monitoring(pod) as first:
            ask_often(proxied, 50)
            first.until_seen(50)
            first.signal(signal.SIGSTOP)
            ask_often(proxied, 200)
            first.signal(signal.SIGCONT)
            assert reconciled(first, 250) == 250
            first.signal(signal.SIGKILL)
            ask_often(proxied, 50)
        with monitoring(pod) as second:
            ask_often(proxied, 50)
            second.until_seen(50)
            assert proxied.counted("calls_total") == 350
            assert proxied.counted("tap_dropped_total") == 0

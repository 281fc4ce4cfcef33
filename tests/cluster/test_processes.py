"""Real processes, started, told apart and ended."""

import os
import sys
import time
from pathlib import Path

from e2e.cluster.processes import Running, children_of, command_line, is_alive, spawn, stop

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "echo.log"
    process = spawn(
        "echo", ["sh", "-c", "echo out; echo err >&2; echo $EXTRA"], log, {"EXTRA": "x"}
    )
    deadline = time.monotonic() + 10
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log.read_text().split() == ["out", "err", "x"]


def test_a_process_outlives_its_starters_session(tmp_path: Path) -> None:
    process = spawn("sleep", ["sleep", "60"], tmp_path / "log")
    try:
        assert os.getsid(process.pid) == process.pid
        assert process.pid in children_of([os.getpid()])
        deadline = time.monotonic() + 10
        while not command_line(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)  # it is still becoming what it is to run
        assert command_line(process.pid) == ["sleep", "60"]
    finally:
        stop([process])
    assert not is_alive(process)
    assert command_line(process.pid) == []


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn("deaf", [sys.executable, "-c", DEAF], log)
    deadline = time.monotonic() + 10
    while "deaf" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    stop([process], grace=0.2)
    assert not is_alive(process)


def test_stop_spares_a_process_with_the_same_number(tmp_path: Path) -> None:
    process = spawn("sleep", ["sleep", "60"], tmp_path / "log")
    try:
        stop([Running(name="sleep", pid=process.pid, started=process.started + 1)])
        assert is_alive(process)
    finally:
        stop([process])


def test_stop_may_be_repeated(tmp_path: Path) -> None:
    process = spawn("true", ["true"], tmp_path / "log")
    stop([process])
    stop([process])
    assert not is_alive(process)

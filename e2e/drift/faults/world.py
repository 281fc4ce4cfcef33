"""A model server, a monitor that is started again when it dies, and a client that never stops.

The processes are the real ones. What a pod has and this machine has not is stood in for by the
smallest thing that does the same: who starts a dead monitor again is a thread.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftline_api.monitor import MonitorConfig, Summary, Totals, parse
from e2e.drift.replay import Replay, Replaying
from e2e.kubectl import eventually

PROGRAM: Final = (sys.executable, "-m", "driftline_serving")
NAME: Final = "m"
#: As the kubelet waits before it starts a container again.
RESTART_SECONDS: Final = 1.0
POLL_SECONDS: Final = 1.0


class Process:
    """A program whose log is read."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], told: str) -> None:
        self.lines: list[str] = []
        self._told = told
        self.process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environ},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def port(self) -> int | None:
        """Return where it listens, once it says so."""
        found = re.search(self._told, "".join(self.lines))
        return int(found[1]) if found else None

    def lives(self) -> bool:
        """Tell whether it runs."""
        return self.process.poll() is None

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.lives():
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass(slots=True, kw_only=True)
class Monitors:
    """One monitor after the other, and what was last heard of each.

    Attributes:
        heard: the last summary of each process.
        starts: processes so far.
    """

    command: Sequence[str]
    environ: Mapping[str, str]
    heard: dict[str, Summary]
    starts: int = 0
    running: Process | None = None
    asking: bool = True

    def keep(self, ended: threading.Event) -> None:
        """Start it again whenever it dies, and ask it once a second, until told to stop."""
        while not ended.wait(POLL_SECONDS):
            if self.running is None or not self.running.lives():
                self._start(ended)
            elif self.asking:
                self.poll()

    def _start(self, ended: threading.Event) -> None:
        if self.running is not None:
            self.running.end()
            ended.wait(RESTART_SECONDS)
        self.starts += 1
        self.running = Process(self.command, self.environ, r"listening on port (\d+)")

    def poll(self) -> Summary | None:
        """Ask for a summary, as the operator does; None where none comes."""
        try:
            found: Summary = parse(Summary, self._ask("GET", "/summary"))
            if not found.config:
                self._ask("PUT", "/config", MonitorConfig().model_dump_json(by_alias=True))
        except (OSError, http.client.HTTPException, ValueError):
            return None
        self.heard[found.process] = found
        return found

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        port = self.running.port() if self.running else None
        if port is None:
            raise ConnectionRefusedError("the monitor does not listen yet")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ValueError(f"{path}: {answer.status} {content!r}")
        return content

    def end(self) -> None:
        """Kill the one that runs."""
        if self.running is not None:
            self.running.end()

    def totals(self) -> Totals:
        """Return the sums over all processes."""
        each = [summary.totals.model_dump() for summary in self.heard.values()]
        return Totals(**{name: sum(one[name] for one in each) for name in Totals.model_fields})


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What faults are done to.

    Attributes:
        tap: the socket.
        replay: the client.
        clock: a file that says how far the monitor's clock is off; None where that cannot be done.
        scratch: the monitor's directory for temporary files.
    """

    server: Process
    monitors: Monitors
    tap: Path
    replay: Replaying
    clock: Path | None
    scratch: Path

    def monitor(self) -> Process:
        """Return the monitor that runs now."""
        assert self.monitors.running is not None
        return self.monitors.running


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLog:
    """What a process printed."""

    process: Process

    def lines(self) -> list[str]:
        """Return it so far."""
        return list(self.process.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a world is made of.

    Attributes:
        model: directory with the artifact.
        scratch: an empty directory.
        rows: file with the rows to replay, and how many they are.
        rate: requests a second.
        faketime: the library that moves a process's clock, where it is to be had.
    """

    model: Path
    scratch: Path
    rows: Path
    last: int
    rate: float
    faketime: Path | None


@contextmanager
def world(setting: Setting) -> Iterator[World]:
    """Run server, monitor and client until the block ends; all of them work when it is entered."""
    tap, clock = setting.scratch / "tap", setting.scratch / "clock"
    with ExitStack() as stack:
        server = _ended(stack, _server(setting, tap))
        port = _listens(server)
        monitors = Monitors(
            command=_monitor(setting, tap, port),
            environ=_environ(setting, clock),
            heard={},
        )
        ended = threading.Event()
        keeper = threading.Thread(target=monitors.keep, args=(ended,))
        keeper.start()
        stack.callback(monitors.end)
        stack.callback(keeper.join)
        stack.callback(ended.set)
        eventually("the monitor counts", lambda: _counts(monitors), within=30)
        url = f"http://127.0.0.1:{port}/v2/models/{NAME}/infer"
        replay = Replay(url=url, source=str(setting.rows), last=setting.last, rate=setting.rate)
        client = _ended(stack, Process([sys.executable, *replay.command()], {}, "$^"))
        replaying = Replaying(told=ProcessLog(process=client))
        eventually("the client sends", replaying.accounts, within=30)
        yield World(
            server=server,
            monitors=monitors,
            tap=tap,
            replay=replaying,
            clock=clock if setting.faketime else None,
            scratch=setting.scratch,
        )


def _counts(monitors: Monitors) -> bool:
    return any(summary.config for summary in list(monitors.heard.values()))


def _ended(stack: ExitStack, process: Process) -> Process:
    stack.callback(process.end)
    return process


def _listens(process: Process) -> int:
    def port() -> int | None:
        assert process.lives(), "".join(process.lines)
        return process.port()

    found = eventually("the server listens", port, within=30)
    assert found is not None
    eventually("the server is ready", lambda: _is_ready(found), within=60)
    return found


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _server(setting: Setting, tap: Path) -> Process:
    command = [*PROGRAM, "serve", "--model-name", NAME, "--model-dir", str(setting.model)]
    command += ["--host", "127.0.0.1", "--port", "0", "--grpc-port", "0", "--admin-port", "0"]
    command += ["--workers", "1", "--tap", str(tap)]
    command += ["--termination-log", str(setting.scratch / "termination-log")]
    return Process(command, {}, r"listening on port (\d+)(?: and, for gRPC|; metrics)")


def _monitor(setting: Setting, tap: Path, server: int) -> list[str]:
    command = ["nice", "-n", "10", *PROGRAM, "monitor", "--model-name", NAME]
    command += ["--model-dir", str(setting.model), "--tap", str(tap)]
    command += ["--server", f"http://127.0.0.1:{server}", "--port", "0"]
    return [*command, "--hold-seconds", "0", "--finish-seconds", "1"]


def _environ(setting: Setting, clock: Path) -> dict[str, str]:
    environ = {"TMPDIR": str(setting.scratch), "DRIFTLINE_REVISION": "r1", "POD_UID": "p1"}
    if setting.faketime is None:
        return environ
    clock.write_text("+0\n")
    return environ | {
        "LD_PRELOAD": str(setting.faketime),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # Only the wall clock moves on a real machine.
        "DONT_FAKE_MONOTONIC": "1",
    }


def settled(world: World, sent: Callable[[], int]) -> Totals:
    """Wait until nothing is on its way any more, and return all that was heard."""
    last: tuple[int, Totals] | None = None
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        world.monitors.poll()
        now = (sent(), world.monitors.totals())
        if now == last:
            return now[1]
        last = now
        time.sleep(1.0)
    raise AssertionError(f"counts still move: {json.dumps(str(last))}")

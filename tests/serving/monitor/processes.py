"""A running `driftline-serving monitor`, and what an operator asks it."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from driftline_api.keys import ReceiptKey, monitor_token
from driftline_api.monitor import MonitorConfig, Summary, parse
from driftline_api.monitoring import Monitoring
from tests.serving.processes import PROGRAM, Answer, exchange, until


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How a monitor is started.

    Attributes:
        directory: where the model lies.
        tap: the socket.
        server: port of the model server.
        arguments: more of them.
        environ: more of it.
    """

    directory: Path
    tap: Path
    server: int = 1
    arguments: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()


class RunningMonitor:
    """A process, and requests to it."""

    def __init__(self, process: "subprocess.Popen[str]", log: list[str]) -> None:
        self.process = process
        self.log = log
        self.port = 0
        self.key: ReceiptKey | None = None

    def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """One request on a connection of its own, with a token if there is a key."""
        headers = {"authorization": f"Bearer {monitor_token(self.key)}"} if self.key else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def summary(self) -> Summary:
        answer = self.call("GET", "/summary")
        assert answer.status == 200, answer.content
        found: Summary = parse(Summary, answer.content)
        return found

    def configure(self, config: MonitorConfig | None = None) -> Answer:
        config = config or MonitorConfig(monitoring=Monitoring())
        return self.call("PUT", "/config", config.model_dump_json(by_alias=True).encode())

    def samples(self) -> dict[str, float]:
        lines = self.call("GET", "/metrics").content.decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def until(self, done: Callable[[Summary], bool], what: str) -> Summary:
        """Wait for a summary that is so, and return it."""
        found: list[Summary] = []

        def look() -> bool:
            found.append(self.summary())
            return done(found[-1])

        until(look, what)
        return found[-1]

    def until_seen(self, count: int) -> Summary:
        return self.until(lambda each: each.totals.seen >= count, f"{count} inferences are seen")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def monitoring(setup: Watching) -> Iterator[RunningMonitor]:
    """Watch a model called `m` until the block ends."""
    process = subprocess.Popen(
        [
            *PROGRAM, "monitor", "--model-name", "m", "--model-dir", str(setup.directory),
            "--tap", str(setup.tap), "--server", f"http://127.0.0.1:{setup.server}",
            "--port", "0", "--hold-seconds", "0", "--finish-seconds", "1", *setup.arguments,
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict(setup.environ)},
    )  # fmt: skip
    log: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=log.extend, args=(process.stderr,))
    reader.start()
    monitor = RunningMonitor(process, log)
    try:
        until(lambda: _find_port(monitor) or process.poll() is not None, "the monitor listens")
        until(lambda: setup.tap.exists() or process.poll() is not None, "the socket is there")
        yield monitor
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _find_port(monitor: RunningMonitor) -> bool:
    found = re.search(r"listening on port (\d+)", "".join(monitor.log))
    if found:
        monitor.port = int(found[1])
    return found is not None


def config_with(plan_text: bytes, monitoring_part: Monitoring | None = None) -> MonitorConfig:
    """A configuration that counts by a plan."""
    return MonitorConfig(monitoring=monitoring_part or Monitoring(), plan=json.loads(plan_text))

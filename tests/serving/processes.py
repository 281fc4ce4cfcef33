"""Real processes: the model server as a user starts it, and requests to it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "driftline_serving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The content as strict JSON: Python's own reader would let NaN pass."""
        return json.loads(self.content, parse_constant=_refuse_constant)

    @property
    def error(self) -> str:
        return str(self.json["error"])


def _refuse_constant(token: str) -> None:
    raise AssertionError(f"{token} is not JSON")


class Server:
    """A running `driftline-serving serve`."""

    def __init__(self, process: "subprocess.Popen[str]", model: str, log: list[str]) -> None:
        self.process = process
        self.model = model
        self.log = log
        self.port = 0
        self.grpc_port = 0
        self.admin_port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def workers(self) -> list[int]:
        """Their process ids."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    @property
    def worker(self) -> int:
        """The only one's process id."""
        (worker,) = self.workers
        return worker

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        return self._call(self.port, method, path, body, headers)

    def _call(self, port: int, *request: Any) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            return exchange(connection, *request)
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def admin(self, path: str) -> Answer:
        """GET from the supervisor."""
        return self._call(self.admin_port, "GET", path)

    def samples(self) -> dict[str, float]:
        """All that /metrics shows, by name and labels as they stand there."""
        lines = self.admin("/metrics").content.decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def infer(self, request: object, headers: Mapping[str, str] | None = None) -> Answer:
        """POST a request to the model, as JSON unless it is bytes already."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return self.call("POST", f"/v2/models/{self.model}/infer", body, headers)

    def is_ready(self) -> bool:
        try:
            return self.get("/v2/health/ready").status == 200
        except OSError:
            return False

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection that may be kept."""
    connection.request(method, path, body, dict(headers or {}))
    response = connection.getresponse()
    content = response.read()
    return Answer(
        status=response.status,
        headers={name.lower(): value for name, value in response.getheaders()},
        content=content,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a server is started, beside its model."""

    arguments: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    wait_ready: bool = True


@contextmanager
def serving(directory: Path, onnx: bytes, setup: Setup | None = None) -> Iterator[Server]:
    """Serve a model under the name `m`, by one worker unless told, until the block ends."""
    setup = setup or Setup()
    (directory / "model.onnx").write_bytes(onnx)
    process = subprocess.Popen(
        [
            *PROGRAM, "serve", "--model-name", "m", "--model-dir", str(directory),
            "--host", "127.0.0.1", "--port", "0", "--grpc-port", "0", "--admin-port", "0",
            "--workers", "1", "--drain-seconds", "0.3",
            "--termination-log", str(directory / "termination-log"), *setup.arguments,
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict(setup.environ)},
    )  # fmt: skip
    log: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=log.extend, args=(process.stderr,))
    reader.start()
    server = Server(process, "m", log)
    try:
        until(lambda: _find_port(server) or process.poll() is not None, "the server listens")
        if setup.wait_ready:
            until(server.is_ready, "the server is ready")
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _find_port(server: Server) -> bool:
    told = r"listening on port (\d+)(?: and, for gRPC, (\d+))?; metrics on (\d+)"
    found = re.search(told, "".join(server.log))
    if found:
        server.port, server.grpc_port, server.admin_port = (
            int(port or 0) for port in found.groups()
        )
    return found is not None


def until(done: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something that comes by itself."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def is_busy(server: Server) -> bool:
    """A request to infer has come through, and is not answered yet."""
    return server.samples()["driftline_server_in_flight"] >= 1

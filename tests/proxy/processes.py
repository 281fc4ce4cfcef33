"""The proxy as a pod starts it, and a server behind it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving.conftest import DIGEST, POD_IP, REVISION
from tests.serving.processes import PROGRAM, Server, until

ENVIRON = {"DRIFTLINE_REVISION": REVISION, "DRIFTLINE_DIGEST": DIGEST, "POD_IP": POD_IP}


@contextmanager
def foreign() -> Iterator[tuple[int, int]]:
    """A server that is not ours; gives its ports for HTTP and gRPC."""
    command = [sys.executable, "-m", "tests.proxy.foreign"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        http, grpc = map(int, process.stdout.readline().split())
        try:
            yield http, grpc
        finally:
            process.kill()


class Proxied(Server):
    """What is behind a proxy, asked through it."""

    def resident(self) -> int:
        """Bytes of memory that the proxy takes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def counted(self, name: str) -> int:
        """One of the proxy's figures."""
        return int(self.samples()[f"driftline_proxy_{name}"])

    @property
    def told(self) -> list[str]:
        """The messages of the log."""
        return [json.loads(line)["message"] for line in self.log]


@contextmanager
def proxying(tap: Path, http: int, grpc: int = 0, *more: str) -> Iterator[Proxied]:
    """Pass on to these ports until the block ends."""
    passes = [f"--pass=0:{port}" for port in (http, grpc) if port]
    process = subprocess.Popen(
        [
            *PROGRAM, "proxy", "--model-name", "m", "--host", "127.0.0.1", *passes,
            "--admin-port", "0", "--tap", str(tap), "--log-format", "json", *more,
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRON},
    )  # fmt: skip
    log: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=log.extend, args=(process.stderr,))
    reader.start()
    proxied = Proxied(process, "m", log)
    try:
        until(lambda: _find_ports(proxied) or process.poll() is not None, "the proxy listens")
        yield proxied
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _find_ports(proxied: Proxied) -> bool:
    text = "".join(proxied.log)
    admin = re.search(r"metrics on (\d+)", text)
    if admin is None:
        return False
    ports = [int(port) for port in re.findall(r"(\d+) to 127\.0\.0\.1:\d+", text)]
    proxied.port, proxied.admin_port = ports[0], int(admin[1])
    proxied.grpc_port = ports[1] if len(ports) > 1 else 0
    return True

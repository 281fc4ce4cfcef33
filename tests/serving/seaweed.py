"""A real S3 server on the loopback: SeaweedFS."""

import json
import os
import socket
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from tests.serving.processes import until

KEY, SECRET = "reader-key", "reader-secret-5f1c"
BUCKET = "models"
_PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seaweed:
    """Where it is, and what is in it."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )

    def put(self, key: str, content: bytes) -> None:
        obstore.put(self.store, key, content)

    def environ(
        self, port: int | None = None, changes: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The environment of a fetcher that may read; `port` leads it past a proxy."""
        settings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            **(changes or {}),
        }
        return {name: value for name, value in settings.items() if value}


@contextmanager
def seaweed(directory: Path) -> Iterator[Seaweed]:
    """Run one until the block ends."""
    identity = {
        "name": "reader",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = directory / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    command = [
        str(Path(sysconfig.get_path("scripts"), "weed")), "server",
        f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
        f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.localSocket={directory}/s3.sock", f"-filer.localSocket={directory}/filer.sock",
        "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20",
        *[
            f"-{name.partition('.')[0]}.port{'.grpc' if '.' in name else ''}={port}"
            for name, port in ports.items()
        ],
    ]  # fmt: skip
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, env=os.environ)
        try:
            server = Seaweed(port=ports["s3"])
            until(lambda: _takes_objects(server), "SeaweedFS takes objects", seconds=60)
            yield server
        finally:
            process.kill()  # an orderly end takes half a minute, and nothing is to be kept
            process.wait()


def _takes_objects(server: Seaweed) -> bool:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", server.port)) != 0:
            return False
    try:
        server.put("ready", b"yes")
    except (obstore.exceptions.BaseError, OSError):
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]

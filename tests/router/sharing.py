"""One of several real model servers on the same ports, as the workers of a pod are.

Run as `python -m tests.router.sharing NAME DIRECTORY HTTP_PORT GRPC_PORT`. It gives NAME for its
revision, so that answers tell who made them.
"""

import logging
import sys
from pathlib import Path

import uvloop

from driftline_serving.server.grpc.settings import GrpcSettings
from driftline_serving.server.http.transport import HttpSettings
from driftline_serving.server.run import ServeSettings, serve
from driftline_serving.server.service import Bounds, Identity


def settings(name: str, directory: str, http_port: str, grpc_port: str) -> ServeSettings:
    """Return how it serves."""
    host = "127.0.0.1"
    return ServeSettings(
        identity=Identity(model="m", revision=name),
        model_dir=Path(directory),
        bounds=Bounds(),
        http=HttpSettings(host=host, port=int(http_port), shared=True),
        grpc=GrpcSettings(host=host, port=int(grpc_port), shared=True),
        termination_log=Path(directory) / f"{name}.log",
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(uvloop.run(serve(settings(*sys.argv[1:]))))

"""One of several real model servers on the same ports, as the workers of a pod are.

Run as `python -m tests.router.sharing NAME DIRECTORY HTTP_PORT GRPC_PORT`. It gives NAME for its
revision, so that answers tell who made them.
"""

import logging
import sys
from pathlib import Path

import uvloop

from driftline_serving.server.board import Board
from driftline_serving.server.grpc.settings import GrpcSettings
from driftline_serving.server.http.transport import HttpSettings
from driftline_serving.server.measures import PLACES
from driftline_serving.server.run import Place, ServeSettings, serve
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
    )


def place() -> Place:
    """Return where a worker stands that has no supervisor: it is taken to be ready."""
    board = Board.create(1, PLACES)
    board.is_ready = True
    return Place(board=board, desk=board.desks[0], late=False)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(serve(settings(*sys.argv[1:]), place()))

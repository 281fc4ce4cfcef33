"""What the command line of a server takes; `command` makes settings of it, in each worker."""

import argparse
import os
from pathlib import Path
from typing import Final

from driftline_serving.arguments import not_negative, positive, seconds

#: The kernel has no room for more, unix(7).
_MOST_SOCKET: Final = 107


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all but where the model is, and what it is called."""
    _add_places(parser)
    _add_staffing(parser)
    _add_told(parser)
    _add_bounds(parser)
    _add_leaving(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add where the model is and what it is called, as a pod is told."""
    parser.add_argument("--model-name", required=True, help="the model's name in request paths")
    parser.add_argument(
        "--model-dir", type=Path, default=Path("/mnt/model"), help="holds model.onnx (%(default)s)"
    )


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="0.0.0.0", help="listen on (%(default)s)")  # noqa: S104 - a pod's server listens on the pod's address
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--grpc", action=argparse.BooleanOptionalAction, default=True, help="speak gRPC, too"
    )
    parser.add_argument(
        "--grpc-port", type=int, default=9000, help="0 takes a free one (%(default)s)"
    )
    parser.add_argument(
        "--admin-port",
        type=int,
        default=8081,
        help="of /metrics and of the health of all workers; 0 takes a free one (%(default)s)",
    )


def _add_staffing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cpus", type=positive, help="CPUs to use (default: the CPU limit, rounded down)"
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        help="threads that one run of the model uses; as many runs go on at a time as the CPUs"
        " have room for (%(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        help="processes, each with a copy of the model (default: as many as the CPUs have runs,"
        " fewer where the copies would take more than half of the memory)",
    )


def _add_told(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="DIR",
        help="holds keys.json, with which receipts are signed; read again when it changes"
        " (default: answers carry no receipt)",
    )
    parser.add_argument(
        "--tap",
        type=socket_path,
        metavar="SOCKET",
        help="Unix socket; who listens there is told of every inference (default: nobody is)",
    )


def socket_path(text: str) -> Path:
    """The path of a Unix socket."""
    if len(os.fsencode(text)) > _MOST_SOCKET:
        raise argparse.ArgumentTypeError(
            f"the path of a Unix socket has at most {_MOST_SOCKET} bytes"
        )
    return Path(text)


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-queue",
        type=not_negative,
        default=256,
        help="requests that may wait in a worker; more are answered 503 at once (%(default)s)",
    )
    parser.add_argument(
        "--max-body-bytes",
        type=positive,
        default=64 * 1024 * 1024,
        help="larger requests are answered 413 (%(default)s)",
    )
    parser.add_argument(
        "--max-json-bytes",
        type=positive,
        default=16 * 1024 * 1024,
        help="the same of what is JSON in them; large tensors come as binary data (%(default)s)",
    )
    parser.add_argument(
        "--max-connections",
        type=positive,
        default=4096,
        help="of a worker; further ones are answered 503 and closed (%(default)s)",
    )
    parser.add_argument(
        "--header-seconds",
        type=seconds,
        default=10.0,
        help="from the first byte of a request to the end of its headers (%(default)s)",
    )
    parser.add_argument(
        "--body-seconds",
        type=seconds,
        default=60.0,
        help="from there to the end of its body (%(default)s)",
    )
    parser.add_argument(
        "--request-seconds",
        type=seconds,
        default=60.0,
        help="a request that has waited longer is not computed, and answered 503 (%(default)s)",
    )
    parser.add_argument(
        "--grpc-connection-seconds",
        type=seconds,
        default=60.0,
        help="after which a client of gRPC is told to connect anew (%(default)s)",
    )


def _add_leaving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--drain-seconds",
        type=seconds,
        default=3.0,
        help="after SIGTERM: not ready, but still answering, for so long (%(default)s)",
    )
    parser.add_argument(
        "--finish-seconds",
        type=seconds,
        default=20.0,
        help="after that: how long requests in flight may take (%(default)s)",
    )

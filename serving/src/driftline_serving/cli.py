"""Arguments to settings, and errors to exit codes."""

import argparse
import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from driftline_serving import termination
from driftline_serving.artifact import fetch as artifact
from driftline_serving.artifact.local import PVC_MOUNT
from driftline_serving.artifact.location import parse
from driftline_serving.artifact.transfer import Patience
from driftline_serving.errors import ArtifactError

log = logging.getLogger(__name__)

N = TypeVar("N", int, float)
#: The kernel has no room for more, unix(7).
_MOST_SOCKET = 107


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        return int(arguments.command(arguments))
    except ArtifactError as error:
        termination.leave_failure(arguments.termination_log, error)
        return 1


def _serve(arguments: argparse.Namespace) -> int:
    from driftline_serving.server import command  # noqa: PLC0415 - spares the fetcher ONNX Runtime

    return command.run(arguments, os.environ)


def _fetch(arguments: argparse.Namespace) -> int:
    location = parse(arguments.uri)
    source = artifact.source_of(location, os.environ, arguments.pvc_mount)
    target = artifact.Target(arguments.target, arguments.digest)
    found = asyncio.run(artifact.fetch(source, location, target, _patience(arguments)))
    log.info("%s: %d bytes, %s", location.shown, found.size, found.digest)
    return 0


def _resolve(arguments: argparse.Namespace) -> int:
    location = parse(arguments.uri)
    source = artifact.source_of(location, os.environ, arguments.pvc_mount)
    found = asyncio.run(artifact.resolve(source, location, _patience(arguments)))
    log.info("%s: %d bytes, %s", location.shown, found.size, found.digest)
    termination.leave_resolved(arguments.termination_log, found.digest, found.size)
    return 0


def _patience(arguments: argparse.Namespace) -> Patience:
    return Patience(timeout=arguments.timeout, stall=arguments.stall_timeout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="driftline-serving", description="Serves a model, and fetches its artifact."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="serve a model by the Open Inference Protocol v2")
    _add_serve(serving)
    _add_grpc(serving)
    fetching = commands.add_parser("fetch", help="bring an artifact to local disk and verify it")
    _add_fetch(fetching)
    resolving = commands.add_parser("resolve", help="find out the digest of an artifact")
    _add_source(resolving)
    resolving.set_defaults(command=_resolve)
    for command in (serving, fetching, resolving):
        command.add_argument(
            "--termination-log",
            type=Path,
            default=Path(os.environ.get("TERMINATION_LOG", termination.DEFAULT_PATH)),
            help="where the result, or the reason of a failure, is left as JSON"
            " (or TERMINATION_LOG; default: %(default)s)",
        )
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_serve)
    parser.add_argument("--model-name", required=True, help="the model's name in request paths")
    parser.add_argument(
        "--model-dir", type=Path, default=Path("/mnt/model"), help="holds model.onnx (%(default)s)"
    )
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="DIR",
        help="holds keys.json, with which receipts are signed; read again when it changes"
        " (default: answers carry no receipt)",
    )
    parser.add_argument("--host", default="0.0.0.0", help="listen on (%(default)s)")  # noqa: S104 - a pod's server listens on the pod's address
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--cpus", type=_positive, help="CPUs to use (default: the CPU limit, rounded down)"
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        default=1,
        help="threads that one run of the model uses; as many runs go on at a time as the CPUs"
        " have room for (%(default)s)",
    )
    parser.add_argument(
        "--tap",
        type=_socket,
        metavar="SOCKET",
        help="Unix socket; who listens there is told of every inference (default: nobody is)",
    )
    _add_bounds(parser)
    _add_leaving(parser)


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-queue",
        type=_not_negative,
        default=256,
        help="requests that may wait; more are answered 503 at once (%(default)s)",
    )
    parser.add_argument(
        "--max-body-bytes",
        type=_positive,
        default=64 * 1024 * 1024,
        help="larger requests are answered 413 (%(default)s)",
    )
    parser.add_argument(
        "--max-json-bytes",
        type=_positive,
        default=16 * 1024 * 1024,
        help="the same of what is JSON in them; large tensors come as binary data (%(default)s)",
    )
    parser.add_argument(
        "--max-connections",
        type=_positive,
        default=4096,
        help="further ones are answered 503 and closed (%(default)s)",
    )
    parser.add_argument(
        "--header-seconds",
        type=_seconds,
        default=10.0,
        help="from the first byte of a request to the end of its headers (%(default)s)",
    )
    parser.add_argument(
        "--body-seconds",
        type=_seconds,
        default=60.0,
        help="from there to the end of its body (%(default)s)",
    )
    parser.add_argument(
        "--request-seconds",
        type=_seconds,
        default=60.0,
        help="a request that has waited longer is not computed, and answered 503 (%(default)s)",
    )


def _add_leaving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=3.0,
        help="after SIGTERM: not ready, but still answering, for so long (%(default)s)",
    )
    parser.add_argument(
        "--finish-seconds",
        type=_seconds,
        default=20.0,
        help="after that: how long requests in flight may take (%(default)s)",
    )


def _add_grpc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--grpc", action=argparse.BooleanOptionalAction, default=True, help="speak gRPC, too"
    )
    parser.add_argument(
        "--grpc-port", type=int, default=9000, help="0 takes a free one (%(default)s)"
    )
    parser.add_argument(
        "--grpc-connection-seconds",
        type=_seconds,
        default=60.0,
        help="after which a client of gRPC is told to connect anew (%(default)s)",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--uri",
        required=True,
        help="s3://bucket/key, https://host/path, pvc://claim/path or file:///path; with a slash at"
        " the end, all that lies below (not on the web)",
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=600.0, help="seconds for all of it (%(default)s)"
    )
    parser.add_argument(
        "--stall-timeout",
        type=_seconds,
        default=30.0,
        help="seconds without a byte before the connection is made anew (%(default)s)",
    )
    parser.add_argument(
        "--pvc-mount", type=Path, default=PVC_MOUNT, help="where the claim lies (%(default)s)"
    )


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_fetch)
    _add_source(parser)
    parser.add_argument("--target", type=Path, required=True, help="directory to bring it to")
    parser.add_argument("--digest", help="sha256:... that it must have")


def _socket(text: str) -> Path:
    if len(os.fsencode(text)) > _MOST_SOCKET:
        raise argparse.ArgumentTypeError(
            f"the path of a Unix socket has at most {_MOST_SOCKET} bytes"
        )
    return Path(text)


def _positive(text: str) -> int:
    return _at_least(1, int(text))


def _not_negative(text: str) -> int:
    return _at_least(0, int(text))


def _seconds(text: str) -> float:
    return _at_least(0.0, float(text))


def _at_least(least: N, value: N) -> N:
    if not value >= least:
        raise argparse.ArgumentTypeError(f"must be at least {least}")
    return value

"""Arguments to settings, and errors to exit codes."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from driftline_serving import logs, termination
from driftline_serving.arguments import seconds
from driftline_serving.artifact.local import PVC_MOUNT
from driftline_serving.errors import ArtifactError
from driftline_serving.monitor import options as monitor_options
from driftline_serving.proxy import options as proxy_options
from driftline_serving.server import options, supervisor


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    logs.configure(arguments.log_format, arguments.log_level)
    try:
        return int(arguments.command(arguments, os.environ))
    except ArtifactError as error:
        termination.leave_failure(arguments.termination_log, error)
        return 1


def _serve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    return supervisor.run(arguments, environ)


def _fetch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from driftline_serving.artifact import command  # noqa: PLC0415 - spares the server its libraries

    return command.fetch(arguments, environ)


def _resolve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from driftline_serving.artifact import command  # noqa: PLC0415 - the same

    return command.resolve(arguments, environ)


def _monitor(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    # More threads of numpy would take memory, and the CPU from the server beside us.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from driftline_serving.monitor import run  # noqa: PLC0415 - the same, and it imports numpy

    return run.run(arguments, environ)


def _proxy(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from driftline_serving.proxy import command  # noqa: PLC0415 - the same

    return command.proxy(arguments, environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="driftline-serving",
        description="Serves a model, fetches its artifact, and watches its traffic.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="serve a model by the Open Inference Protocol v2")
    options.add_model(serving)
    options.add_options(serving)
    serving.set_defaults(command=_serve)
    fetching = commands.add_parser("fetch", help="bring an artifact to local disk and verify it")
    _add_fetch(fetching)
    resolving = commands.add_parser("resolve", help="find out the digest of an artifact")
    _add_source(resolving)
    resolving.set_defaults(command=_resolve)
    monitoring = commands.add_parser("monitor", help="watch what a model server is asked")
    options.add_model(monitoring)
    monitor_options.add_options(monitoring)
    monitoring.set_defaults(command=_monitor)
    passing = commands.add_parser("proxy", help="pass requests on to a server that cannot tap")
    proxy_options.add_options(passing)
    passing.set_defaults(command=_proxy)
    for command in (serving, fetching, resolving, monitoring, passing):
        command.add_argument(
            "--termination-log",
            type=Path,
            default=Path(os.environ.get("TERMINATION_LOG", termination.DEFAULT_PATH)),
            help="where the result, or the reason of a failure, is left as JSON"
            " (or TERMINATION_LOG; default: %(default)s)",
        )
        logs.add_arguments(command)
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--uri",
        required=True,
        help="s3://bucket/key, https://host/path, pvc://claim/path or file:///path; with a slash at"
        " the end, all that lies below (not on the web)",
    )
    parser.add_argument(
        "--timeout", type=seconds, default=600.0, help="seconds for all of it (%(default)s)"
    )
    parser.add_argument(
        "--stall-timeout",
        type=seconds,
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

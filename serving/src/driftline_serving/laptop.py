"""`driftline-serve`: the model server without Kubernetes, for a person at a terminal."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from driftline_serving import logs
from driftline_serving.server import options, supervisor
from driftline_serving.server.formats import foreign

_DESCRIPTION: Final = """\
Serves the ONNX model in a directory by the Open Inference Protocol v2, over HTTP and gRPC: the same
server, with the same limits and answers, as in a cluster. Ctrl-C ends it.
"""
_EPILOG: Final = "example: driftline-serve --model models/fraud --workers 1"
MODEL_FILE: Final = "model.onnx"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if obstacle := _obstacle(arguments.model_dir):
        parser.error(obstacle)
    arguments.model_name = arguments.model_name or arguments.model_dir.resolve().name
    logs.configure(arguments.log_format, arguments.log_level)
    return supervisor.run(arguments, os.environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="driftline-serve",
        usage="driftline-serve --model DIR [option ...]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--model",
        dest="model_dir",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"directory that holds {MODEL_FILE}",
    )
    parser.add_argument(
        "--name", dest="model_name", help="the model's name in requests (default: the directory's)"
    )
    options.add_options(parser)
    logs.add_arguments(parser)
    # Nobody but this machine, no router that must hear that we leave, nobody who reads a message.
    parser.set_defaults(host="127.0.0.1", drain_seconds=0.0, termination_log=None, example=True)
    return parser


def _obstacle(directory: Path) -> str:
    """Return why nothing can be served from there, empty if something can be."""
    if directory.is_file():
        known = foreign(directory)
        what = f"{directory} is a file; give the directory that holds {MODEL_FILE}"
        return f"{what}. It {known}" if known else what
    if not directory.is_dir():
        return f"there is no directory {directory}; give the one that holds {MODEL_FILE}"
    return "" if (directory / MODEL_FILE).is_file() else _nothing_in(directory)


def _nothing_in(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    for path in files:
        if path.is_file() and (known := foreign(path)):
            return f"{directory} holds no {MODEL_FILE}, and {path.name} {known}"
    found = ", ".join(path.name for path in files[:10]) or "nothing"
    return f"{directory} holds no {MODEL_FILE} (found: {found})"


if __name__ == "__main__":
    sys.exit(main())

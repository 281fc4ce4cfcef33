"""What the command line of a monitor takes."""

import argparse
from pathlib import Path
from typing import Final

from driftline_api.names import MONITOR_PORT
from driftline_serving.arguments import seconds
from driftline_serving.server.options import socket_path

_LOOPBACK: Final = "127.0.0.1"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all but where the model is, and what it is called."""
    parser.add_argument(
        "--tap",
        type=socket_path,
        metavar="SOCKET",
        required=True,
        help="Unix socket on which servers tell what they answered; give them the same",
    )
    parser.add_argument(
        "--server",
        default="http://127.0.0.1:8080",
        metavar="URL",
        help="of the model server, which is asked for what the signature leaves out (%(default)s)",
    )
    parser.add_argument(
        "--host", help=f"listen on (all addresses; without --keys {_LOOPBACK} alone)"
    )
    parser.add_argument(
        "--port", type=int, default=MONITOR_PORT, help="0 takes a free one (%(default)s)"
    )
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="DIR",
        help="holds keys.json; who asks must show a token of one of them"
        " (default: who is on this machine needs none)",
    )
    _add_bounds(parser)


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cpu-share",
        type=share,
        default=0.25,
        help="of one CPU; beyond it fewer rows are counted (%(default)s)",
    )
    parser.add_argument(
        "--finish-seconds",
        type=seconds,
        default=25.0,
        help="after SIGTERM: how long servers may still tell (%(default)s)",
    )
    parser.add_argument(
        "--hold-seconds",
        type=seconds,
        default=10.0,
        help="after that: how long the last summary is there to be asked for (%(default)s)",
    )


def share(text: str) -> float:
    """A part of something, more than nothing."""
    value = float(text)
    if not 0 < value <= 64:
        raise argparse.ArgumentTypeError("must be more than 0, and at most 64")
    return value

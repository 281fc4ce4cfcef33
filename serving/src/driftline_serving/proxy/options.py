"""What the command line of the proxy takes."""

import argparse
from typing import Final

from driftline_api.names import PROXY_ADMIN_PORT
from driftline_serving.arguments import positive, seconds
from driftline_serving.proxy.passage import Passage
from driftline_serving.server.options import socket_path

_LAST_PORT: Final = 65_535


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them all."""
    parser.add_argument("--model-name", required=True, help="of the Model, for the monitor")
    parser.add_argument(
        "--pass",
        dest="passages",
        type=passage,
        action="append",
        required=True,
        metavar="PORT:SERVER-PORT",
        help="listen on PORT, 0 for a free one, and pass on to the server's; may be repeated."
        " HTTP/1.1 and HTTP/2, and so gRPC, are told apart by themselves",
    )
    parser.add_argument("--host", default="0.0.0.0", help="listen on (%(default)s)")  # noqa: S104 - a pod's proxy listens on the pod's address
    parser.add_argument(
        "--server-host", default="127.0.0.1", help="where the server is (%(default)s)"
    )
    parser.add_argument(
        "--tap",
        type=socket_path,
        metavar="SOCKET",
        help="Unix socket; who listens there is told of every inference (default: nobody is)",
    )
    parser.add_argument(
        "--admin-port",
        type=int,
        default=PROXY_ADMIN_PORT,
        help="of /metrics and /v2/health/live; 0 takes a free one (%(default)s)",
    )
    parser.add_argument(
        "--max-connections",
        type=positive,
        default=4096,
        help="of clients; further ones are closed at once (%(default)s)",
    )
    parser.add_argument(
        "--finish-seconds",
        type=seconds,
        default=25.0,
        help="after SIGTERM: how long connections may go on (%(default)s)",
    )


def passage(text: str) -> Passage:
    """Read `PORT:SERVER-PORT`.

    >>> passage("8086:8000")
    Passage(port=8086, server=8000)

    Raises:
        ArgumentTypeError: it is none.
    """
    words = text.split(":")
    if len(words) != 2 or not all(word.isascii() and word.isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is not PORT:SERVER-PORT, such as 8086:8000")
    port, server = map(int, words)
    if port > _LAST_PORT or not 0 < server <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r}: ports end at {_LAST_PORT}")
    if port == server:
        raise argparse.ArgumentTypeError(f"{text!r}: the proxy cannot listen where the server does")
    return Passage(port=port, server=server)

"""Ports that several workers share."""

import socket

from driftline_serving.errors import ListenError


def reserve(host: str, port: int, flag: str) -> socket.socket:
    """Return a socket that holds a port for our workers, and does not listen.

    Workers share a port by SO_REUSEPORT, and so would any other server of the same user, unnoticed:
    hence the look whether somebody listens there. A port that the system chooses is free.

    Args:
        host: The address.
        port: 0 for one that the system chooses.
        flag: That the port can be changed with.

    Raises:
        ListenError: the port is not to be had.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if port:
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError as error:
        raise unavailable(host, port, flag, error) from error
    return held


def unavailable(host: str, port: int, flag: str, error: OSError) -> ListenError:
    """Return how it is told that a port is not to be had."""
    why = error.strerror or error
    return ListenError(f"cannot listen on {host}:{port} ({why}); choose another port with {flag}")

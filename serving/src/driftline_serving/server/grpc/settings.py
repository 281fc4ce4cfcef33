"""Where the gRPC transport listens and what it bounds; to know it takes no gRPC."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSettings:
    """Where to listen and what to bound; port 0 takes a free one.

    Attributes:
        shared: with other processes of ours.
        body_bytes: of a message, as sent and unpacked.
        connections: at a time; further ones are closed.
        streams: calls at a time on one connection. A router opens another connection beyond, and
            so spreads its load over all who listen.
        connection_seconds: after which a connection is told to make room for a new one, for the
            same reason.
        last_seconds: that calls on such a connection may still take: as long as the router would
            wait for any.
        finish_seconds: that calls in flight may take once listening has ended.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a pod's server listens on the pod's address
    port: int = 9000
    shared: bool = False
    body_bytes: int = 64 * 1024 * 1024
    connections: int = 4096
    streams: int = 16
    connection_seconds: float = 60.0
    last_seconds: float = 300.0
    finish_seconds: float = 20.0

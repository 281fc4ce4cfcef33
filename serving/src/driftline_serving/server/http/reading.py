"""The request that is being read from a connection, piece by piece."""

from dataclasses import dataclass, field

from driftline_serving.server.http.messages import Request


@dataclass(slots=True)
class Reading:
    """The request that is being read.

    Attributes:
        begun: its first byte has come.
        request: is there once the headers have come to their end; what still comes by that name
            are trailers.
        raw_bytes: all that has come of it, but for what came in one piece with the one before.
    """

    begun: bool = False
    url: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    request: Request | None = None
    raw_bytes: int = 0
    header_bytes: int = 0
    body: bytes | bytearray = b""

    @property
    def headed(self) -> bool:
        """Whether the headers have come to their end."""
        return self.request is not None

    def add(self, piece: bytes) -> None:
        """Append to the body; most bodies come in one piece, and are not copied."""
        if not self.body:
            self.body = piece
        elif isinstance(self.body, bytearray):
            self.body += piece
        else:
            self.body = bytearray(self.body) + piece


def name_of(header: bytes) -> str:
    """Return the name of a header."""
    return _COMMON.get(header) or header.decode("latin-1").lower()


#: Names as clients and routers send them.
_COMMON = {
    spelled.encode(): spelled.lower()
    for name in (
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Driftline-Arm",
        "Driftline-Epoch",
        "Driftline-Slot",
        "Host",
        "Inference-Header-Content-Length",
        "User-Agent",
        "X-Envoy-Attempt-Count",
        "X-Envoy-Expected-Rq-Timeout-Ms",
        "X-Forwarded-Proto",
        "X-Request-Id",
    )
    for spelled in (name, name.lower())
}


def path_of(target: str) -> str:
    """Return the path of a request's target, of either form.

    >>> path_of("/v2?x=1"), path_of("http://host:80/v2"), path_of("http://host")
    ('/v2', '/v2', '/')
    """
    path = target.partition("?")[0]
    if path.startswith("/"):
        return path
    _, _, rest = path.partition("://")
    return "/" + rest.partition("/")[2]

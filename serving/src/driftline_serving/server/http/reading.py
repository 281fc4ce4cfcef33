"""The request that is being read from a connection, piece by piece."""

from driftline_serving.server.http.messages import Request


class Reading(Request):
    """A request that is not all there. What it has not got yet is as it says here.

    Attributes:
        begun: its first byte has come.
        headed: its headers have come to their end; what still comes by that name are trailers.
        raw_bytes: all that has come of it, but for what came in one piece with the one before.
        pieces: of the body, where there are several.
    """

    def __init__(self) -> None:
        self.method = self.path = ""
        self.headers = {}
        self.body = self.url = b""
        self.begun = self.headed = False
        self.raw_bytes = self.header_bytes = 0
        self.pieces: bytearray | None = None

    @property
    def body_bytes(self) -> int:
        """How much of the body is there."""
        return len(self.body if self.pieces is None else self.pieces)

    def add(self, piece: bytes) -> None:
        """Append to the body; most bodies come in one piece, and are not copied."""
        if self.pieces is not None:
            self.pieces += piece
        elif self.body:
            self.pieces = bytearray(self.body) + piece
        else:
            self.body = piece

    def end(self) -> None:
        """All of the body is there."""
        if self.pieces is not None:
            self.body, self.pieces = bytes(self.pieces), None


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

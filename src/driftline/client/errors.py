"""What can go wrong.

ClientError
|-- MisuseError    what was given cannot be sent; nothing was
|-- NotKeptError   the ledger has no prediction of this name
|-- RefusedError   the server says that the request is wrong: a 4xx
`-- AwayError      nobody answers, or the server cannot just now: try again later
"""


class ClientError(Exception):
    """Root of the tree."""


class MisuseError(ClientError):
    """What was given cannot be sent."""


class NotKeptError(ClientError):
    """The ledger has no prediction of this name: it was never kept, or too long ago."""


class RefusedError(ClientError):
    """The server refuses the request.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AwayError(ClientError):
    """Nobody answers, or the server cannot just now."""

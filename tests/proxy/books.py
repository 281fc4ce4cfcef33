"""A ledger whose entries can be looked at."""

from collections.abc import Sequence
from itertools import pairwise

from driftline_serving.proxy.calls import Answered, Ledger
from driftline_serving.proxy.relay import Watch

ID = "01900000-0001-7000-8000-00000000abcd"
ABOUT = {"driftline-revision": "m-7", "driftline-digest": "sha256:ab"}


class Book:
    """Takes what is told."""

    def __init__(self) -> None:
        self.calls: list[Answered] = []
        self.ledger = Ledger(ABOUT, lambda _: ID, self)

    def tell(self, call: Answered) -> None:
        self.calls.append(call)


def fed(watch: Watch, pieces: Sequence[tuple[str, bytes]]) -> tuple[bytes, bytes]:
    """What each end gets of what the other sends, piece by piece."""
    to_server = to_client = b""
    for end, piece in pieces:
        if end == "client":
            to_server += watch.from_client(piece)
        else:
            to_client += watch.from_server(piece)
    return to_server, to_client + watch.server_ended()


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The same, in pieces."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(marks)]

"""What others are told of the inference calls that this server answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import Array


@dataclass(eq=False, kw_only=True)
class Finished:
    """One inference call that is over.

    Attributes:
        protocol: by which it came: `http` or `grpc`.
        headers: that came with it, or gRPC's metadata; names in lower case.
        received: when it had arrived whole; Unix nanoseconds.
        prediction_id: under which its answer is known.
        request: what was asked, if it could be read.
        results: what the model answered, in the order of `request.outputs`; empty where it did not.
            Neither these arrays nor those of the request may be changed.
        status: what the client was told, as HTTP has it; 499: nobody waited for the answer.
        seconds: from `received` to the answer.
    """

    protocol: str
    headers: Mapping[str, str]
    received: int
    prediction_id: str
    request: InferRequest | None = None
    results: Sequence[Array] = ()
    status: int = 0
    seconds: float = 0.0


class Observer(Protocol):
    """Is told in the event loop, while others wait: it must be quick, and not fail."""

    def finished(self, call: Finished) -> None:
        """An inference call is over, however it ended."""

    def computed(self, requests: int, rows: int) -> None:
        """The model has run once, on so many requests that were joined, of so many rows."""

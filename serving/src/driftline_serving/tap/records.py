"""What is told of an inference call.

Named tuples, and no frozen dataclasses: one is made for every request, while others wait, and
columns are made of many of them at once.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from driftline_serving.server.tensors import Array, Datatype


class Omitted(NamedTuple):
    """A tensor that was too large to be told."""

    datatype: Datatype
    shape: tuple[int, ...]


class Stamp(NamedTuple):
    """What the router said of a request; empty or None where it said nothing."""

    arm: str = ""
    epoch: int | None = None
    slot: int | None = None


Tensors: TypeAlias = Mapping[str, Array | Omitted]


class Inference(NamedTuple):
    """One inference call that is over.

    Attributes:
        id: of the prediction, a UUID.
        request_id: the client's `x-request-id`, or empty.
        stamp: of the router.
        received_us: when the request had arrived whole, Unix microseconds.
        latency_us: from then to the answer, microseconds.
        status: what the client was told, as HTTP has it.
        inputs: by name; empty where the request could not be read.
        outputs: by name; empty where the model gave none.
    """

    id: str
    request_id: str
    stamp: Stamp
    received_us: int
    latency_us: int
    status: int
    inputs: Tensors
    outputs: Tensors


class Batch(NamedTuple):
    """The same of several, as columns: `Batch._make(zip(*inferences))`."""

    ids: Sequence[str]
    request_ids: Sequence[str]
    stamps: Sequence[Stamp]
    received_us: Sequence[int]
    latency_us: Sequence[int]
    statuses: Sequence[int]
    inputs: Sequence[Tensors]
    outputs: Sequence[Tensors]

    @property
    def length(self) -> int:
        """How many they are."""
        return len(self.ids)

    def part(self, first: int, last: int) -> "Batch":
        """Return those from the first to the one before the last."""
        return Batch._make(column[first:last] for column in self)


NOBODY = Batch((), (), (), (), (), (), (), ())

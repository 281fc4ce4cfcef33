"""A frame as a reader has it: in columns, as it came, or one inference after the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from uuid import UUID

from driftline_serving.server.tensors import Array, Datatype
from driftline_serving.tap.layout import Counters, Source
from driftline_serving.tap.records import Inference, Omitted, Stamp, Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One tensor of all inferences of a group. The arrays are views on the frame, and read-only.

    Attributes:
        datatype: of all of them.
        row: the shape of one row, which is all axes but the first; None if there are no axes.
        lengths: of the first axis, for each inference; None if there are no axes.
        values: all of them, one behind the other along the first axis, or one element for each
            inference if there are no axes; None if they were too large to be told.
    """

    datatype: Datatype
    row: tuple[int, ...] | None
    lengths: Array | None
    values: Array | None

    def tensors(self, count: int) -> list[Array | Omitted]:
        """Return the tensor of each of the `count` inferences."""
        if self.row is None or self.lengths is None:
            values = self.values
            if values is None:
                return [Omitted(self.datatype, ())] * count
            return [values[place : place + 1].reshape(()) for place in range(count)]
        lengths = self.lengths.tolist()
        if self.values is None:
            return [Omitted(self.datatype, (length, *self.row)) for length in lengths]
        return [self.values[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Consecutive inferences with the same tensors, but for the lengths of their first axes."""

    count: int
    inputs: Mapping[str, Column]
    outputs: Mapping[str, Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a worker has told at a time; see `records.Inference` for what the columns mean.

    Attributes:
        source: the worker.
        counters: of all that it has had so far.
        ids: UUIDs, uint8 of shape [count, 16].
        request_ids: one for each inference.
        received_us: int64.
        latency_us: int64.
        status: uint16.
        stamps: the different ones.
        stamp: which of them an inference has, uint16.
        groups: their tensors; the counts of all groups add up to that of the frame.
    """

    source: Source
    counters: Counters
    ids: Array
    request_ids: Sequence[str]
    received_us: Array
    latency_us: Array
    status: Array
    stamps: Sequence[Stamp]
    stamp: Array
    groups: Sequence[Group]

    @property
    def count(self) -> int:
        """How many inferences it tells of."""
        return len(self.ids)

    def inferences(self) -> Iterator[Inference]:
        """Return what was told, one by one; columns are cheaper."""
        columns = zip(
            [str(UUID(bytes=identifier.tobytes())) for identifier in self.ids],
            self.request_ids,
            [self.stamps[place] for place in self.stamp.tolist()],
            self.received_us.tolist(),
            self.latency_us.tolist(),
            self.status.tolist(),
            self._tensors(),
            strict=True,
        )
        for *facts, (inputs, outputs) in columns:
            yield Inference._make((*facts, inputs, outputs))

    def _tensors(self) -> Iterator[tuple[Tensors, Tensors]]:
        for group in self.groups:
            inputs, outputs = _rows(group.inputs, group.count), _rows(group.outputs, group.count)
            yield from zip(inputs, outputs, strict=True)


def _rows(columns: Mapping[str, Column], count: int) -> list[Tensors]:
    by_name = {name: column.tensors(count) for name, column in columns.items()}
    return [{name: tensors[row] for name, tensors in by_name.items()} for row in range(count)]

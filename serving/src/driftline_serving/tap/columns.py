"""Tensors of several inferences, laid one behind the other."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

from driftline_serving.server import tensor_binary
from driftline_serving.server.tensors import Array, Datatype
from driftline_serving.tap.records import Omitted, Tensors

DATATYPES: Final = {datatype.dtype: datatype for datatype in Datatype}

#: Datatype, shape of one row (None where there are no rows), and whether it is left out.
Kind: TypeAlias = tuple[Datatype, tuple[int, ...] | None, bool]


class Column(NamedTuple):
    """A tensor of several inferences, and the lengths of their first axes where they have one."""

    tensors: Sequence[Array | Omitted]
    lengths: Sequence[int]


Columns: TypeAlias = Mapping[str, Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Consecutive inferences with tensors of the same kinds."""

    count: int
    inputs: Columns
    outputs: Columns


def alike(inputs: Sequence[Tensors], outputs: Sequence[Tensors]) -> Group | None:
    """Return the one group that they are if their arrays have the same shapes: what is usual."""
    taken, given = _alike(inputs), _alike(outputs)
    if taken is None or given is None:
        return None
    return Group(count=len(inputs), inputs=taken, outputs=given)


def groups(inputs: Sequence[Tensors], outputs: Sequence[Tensors]) -> Iterator[Group]:
    """Return the groups that they are."""
    pairs = zip(inputs, outputs, strict=True)
    for _, run in groupby(pairs, lambda pair: (_kinds(pair[0]), _kinds(pair[1]))):
        some = list(run)
        yield Group(
            count=len(some),
            inputs=_gathered([each for each, _ in some]),
            outputs=_gathered([each for _, each in some]),
        )


def _alike(tensors: Sequence[Tensors]) -> Columns | None:
    first, count = tensors[0], len(tensors)
    if [len(each) for each in tensors].count(len(first)) < count:
        return None
    columns: dict[str, Column] = {}
    try:
        for name in first:
            # One that is left out has no dtype.
            arrays: list[Array] = [each[name] for each in tensors]  # type: ignore[misc]
            dtype, shape = arrays[0].dtype, arrays[0].shape
            if [each.dtype for each in arrays].count(dtype) < count:
                return None
            if [each.shape for each in arrays].count(shape) < count:
                return None
            columns[name] = Column(arrays, shape[:1] * count)
    except (KeyError, AttributeError):
        return None
    return columns


def _gathered(tensors: Sequence[Tensors]) -> Columns:
    columns = {name: [each[name] for each in tensors] for name in tensors[0]}
    return {
        name: Column(column, [each.shape[0] for each in column if each.shape])
        for name, column in columns.items()
    }


def _kinds(tensors: Tensors) -> list[tuple[str, Kind]]:
    return [(name, _kind(tensors[name])) for name in sorted(tensors)]


def _kind(tensor: Array | Omitted) -> Kind:
    row = tensor.shape[1:] if tensor.shape else None
    if isinstance(tensor, Omitted):
        return tensor.datatype, row, True
    return DATATYPES[tensor.dtype], row, False


def write(columns: Columns, blocks: list[bytes]) -> list[dict[str, object]]:
    """Append lengths and values to the blocks; return what the head says of them."""
    return [_write(name, column, blocks) for name, column in columns.items()]


def _write(name: str, column: Column, blocks: list[bytes]) -> dict[str, object]:
    datatype, row, omitted = _kind(column.tensors[0])
    if row is not None:
        blocks.append(struct.pack(f"<{len(column.lengths)}Q", *column.lengths))
    values = b"" if omitted else _values(column.tensors)  # type: ignore[arg-type]  # all arrays
    if not omitted:
        blocks.append(values)
    return {
        "name": name,
        "datatype": datatype,
        "row": row,
        "omitted": omitted,
        "bytes": len(values),
    }


def _values(arrays: Sequence[Array]) -> bytes:
    if arrays[0].dtype == object:
        return b"".join(map(tensor_binary.from_array, arrays))
    try:
        return b"".join(arrays)  # type: ignore[arg-type]  # to mypy, arrays are buffers from 3.12 on
    except TypeError:  # one of them does not lie in memory as it reads
        return b"".join(map(tensor_binary.from_array, arrays))

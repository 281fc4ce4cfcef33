"""Inferences as hypothesis draws them, and as tests of one thing build them."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from driftline_serving.server.tensors import Array, Datatype
from driftline_serving.tap.encode import Payload
from driftline_serving.tap.layout import Source
from driftline_serving.tap.portions import Allowance, portions
from driftline_serving.tap.queue import Waiting
from driftline_serving.tap.records import NOBODY, Batch, Inference, Omitted, Stamp, Tensors

SOURCE = Source(worker="0123456789abcdef", about={"model": "m", "revision": "r-1"})

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_WHOLE = st.integers(-(2**63), 2**63 - 1)
_SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def _arrays(datatype: Datatype) -> st.SearchStrategy[Array]:
    elements = _TEXT if datatype is Datatype.BYTES else None
    return npst.arrays(datatype.dtype, _SHAPES, elements=elements)


_DATATYPES = st.sampled_from(list(Datatype))
_OMITTED = st.builds(Omitted, _DATATYPES, st.lists(st.integers(0, 9), max_size=4).map(tuple))
_TENSORS = st.dictionaries(_TEXT, st.one_of(_DATATYPES.flatmap(_arrays), _OMITTED), max_size=3)
_STAMPS = st.builds(Stamp, _TEXT, st.none() | _WHOLE, st.none() | _WHOLE)

inferences = st.builds(
    Inference,
    id=st.uuids().map(str),
    request_id=_TEXT,
    stamp=_STAMPS,
    received_us=_WHOLE,
    latency_us=_WHOLE,
    status=st.integers(0, 2**16 - 1),
    inputs=_TENSORS,
    outputs=_TENSORS,
)


def a_batch(told: Sequence[Inference]) -> Batch:
    return Batch._make(zip(*told, strict=True)) if told else NOBODY


def waiting(told: Sequence[Inference], size: int = 1000) -> Waiting:
    return Waiting(count=len(told), size=lambda: size, batch=lambda: a_batch(told))


def payloads(told: Sequence[Inference], rate: float = 1e12) -> list[Payload]:
    """Frames but for their headers, with as many bytes a second as there are."""
    return list(portions(a_batch(told), SOURCE, Allowance(rate)))


def an_inference(number: int = 0, rows: int = 1) -> Inference:
    """One of a model of three columns; all that it holds follows from its number."""
    return Inference(
        id=str(UUID(int=number)),
        request_id="",
        stamp=Stamp("stable", 7, 1_700_000_000),
        received_us=1_700_000_000_000_000 + number,
        latency_us=1500,
        status=200,
        inputs={"X": np.full((rows, 3), number, np.float32)},
        outputs={"label": np.full(rows, number, np.int64)},
    )


def number_of(inference: Inference) -> int:
    """The number that it was made from."""
    return UUID(inference.id).int


def same(one: Inference, other: Inference) -> bool:
    """Equal in all, bit by bit where there are numbers."""
    return one[:6] == other[:6] and all(
        _same_tensors(a, b) for a, b in ((one.inputs, other.inputs), (one.outputs, other.outputs))
    )


def _same_tensors(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: Array | Omitted, other: Array | Omitted) -> bool:
    if isinstance(one, Omitted) or isinstance(other, Omitted):
        return isinstance(one, Omitted) and isinstance(other, Omitted) and one == other
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return (
        one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()
    )

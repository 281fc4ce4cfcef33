"""The bytes of a frame to what they say; docs/reference/tap.md has the format.

Whatever the bytes are, they become a frame or a FrameError, and cost no more memory than a small
multiple of their number.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from driftline_serving.errors import RequestError
from driftline_serving.server import tensor_binary
from driftline_serving.server.tensors import ANY_LENGTH, Array, Datatype, TensorSpec
from driftline_serving.tap.frame import Column, Frame, Group
from driftline_serving.tap.layout import (
    ALIGNMENT,
    CHECKSUM,
    HEADER_BYTES,
    MAGIC,
    MOST_BODY,
    MOST_HEAD,
    MOST_ROWS,
    PREFIX,
    START,
    VERSION,
    Counters,
    FrameError,
    Source,
)
from driftline_serving.tap.records import Stamp

#: numpy refuses more axes, and arrays that are larger than the address space even where an empty
#: axis leaves nothing of them.
_MOST_AXES: Final = 32
_LONGEST: Final = 2**40
_MOST_ELEMENTS: Final = 2**48
_ID_BYTES: Final = 16

#: There is one for each inference at most.
_FEW: Final = Field(max_length=MOST_ROWS)
_Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    """A later writer may say more than is read here."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _Tensor(_Part):
    name: str
    datatype: Datatype
    row: Annotated[list[_Count], Field(max_length=_MOST_AXES - 1)] | None
    omitted: bool
    bytes: _Count


class _Group(_Part):
    count: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    inputs: Annotated[list[_Tensor], FailFast()]
    outputs: Annotated[list[_Tensor], FailFast()]


class _Stamp(_Part):
    arm: str
    epoch: _Whole | None
    slot: _Whole | None


class _Head(_Part):
    worker: str
    about: dict[str, str]
    stamps: Annotated[list[_Stamp], _FEW, FailFast()] = []
    request_ids: Annotated[list[str], _FEW, FailFast()] = []
    groups: Annotated[list[_Group], _FEW, FailFast()] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the first bytes say of the others."""

    counters: Counters
    count: int
    head: int
    body: int
    prefix: bytes
    checksum: int


def check_start(start: bytes) -> None:
    """See what the first `START.size` bytes begin.

    Raises:
        FrameError: no frame, or one of another version.
    """
    magic, version, _ = START.unpack(start)
    if magic != MAGIC:
        raise FrameError(f"a frame begins with {MAGIC!r}, this with {magic!r}")
    if version != VERSION:
        raise FrameError(f"the frame is of version {version}, and only {VERSION} is known here")


def read_header(header: bytes) -> Header:
    """Read the first `HEADER_BYTES` of a frame.

    Raises:
        FrameError: they begin no frame, or one of another version or beyond all measure.
    """
    if len(header) != HEADER_BYTES:
        raise FrameError(f"a frame begins with {HEADER_BYTES} bytes, these are {len(header)}")
    check_start(header[: START.size])
    *_, offered, dropped, sent, count, head, body = PREFIX.unpack_from(header)
    if count > MOST_ROWS or head > MOST_HEAD or body > MOST_BODY:
        raise FrameError(
            f"the frame has {count} inferences, a head of {head} bytes and a body of {body}; at "
            f"most {MOST_ROWS}, {MOST_HEAD} and {MOST_BODY} are taken"
        )
    (checksum,) = CHECKSUM.unpack_from(header, PREFIX.size)
    return Header(
        counters=Counters(offered=offered, dropped=dropped, sent=sent),
        count=count,
        head=head,
        body=body,
        prefix=header[: PREFIX.size],
        checksum=checksum,
    )


def read_payload(header: Header, payload: bytes) -> Frame:
    """Read what follows the header.

    Raises:
        FrameError: it is not what the header announces, or makes no sense.
    """
    if len(payload) != header.head + header.body:
        raise FrameError(
            f"{header.head + header.body} bytes should follow the header, not {len(payload)}"
        )
    if zlib.crc32(header.prefix, zlib.crc32(payload)) != header.checksum:
        raise FrameError("the checksum is wrong: the frame has been damaged")
    try:
        head = _Head.model_validate_json(payload[: header.head])
    except ValidationError as error:
        raise FrameError(f"the head is not as it should be: {error}") from error
    blocks = _Blocks(memoryview(payload)[header.head :])
    frame = _frame(header, head, blocks)
    blocks.end()
    return frame


def decode(data: bytes) -> Frame:
    """Read one whole frame.

    Raises:
        FrameError: it is none.
    """
    return read_payload(read_header(data[:HEADER_BYTES]), data[HEADER_BYTES:])


class _Blocks:
    """The body, block by block."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._at = 0

    def take(self, length: int) -> memoryview:
        """Return the next block."""
        start, end = self._at, self._at + length
        self._at = end + -length % ALIGNMENT
        if self._at > len(self._body):
            raise FrameError(f"the body has {len(self._body)} bytes, but {self._at} are needed")
        return self._body[start:end]

    def numbers(self, dtype: str, count: int) -> Array:
        """Return the next block as so many numbers."""
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)

    def end(self) -> None:
        """See that nothing is left."""
        if self._at != len(self._body):
            raise FrameError(f"the body has {len(self._body)} bytes, and only {self._at} are used")


def _frame(header: Header, head: _Head, blocks: _Blocks) -> Frame:
    count = header.count
    if sum(group.count for group in head.groups) != count:
        raise FrameError(f"the groups do not hold {count} inferences")
    if len(head.request_ids) not in (0, count):
        raise FrameError(f"{len(head.request_ids)} request ids for {count} inferences")
    ids = blocks.numbers("u1", count * _ID_BYTES).reshape(count, _ID_BYTES)
    received, latency = blocks.numbers("<i8", count), blocks.numbers("<i8", count)
    status, stamp = blocks.numbers("<u2", count), blocks.numbers("<u2", count)
    if count and int(stamp.max()) >= len(head.stamps):
        raise FrameError(f"stamp {stamp.max()} of {len(head.stamps)}")
    return Frame(
        source=Source(worker=head.worker, about=head.about),
        counters=header.counters,
        ids=ids,
        request_ids=head.request_ids or [""] * count,
        received_us=received,
        latency_us=latency,
        status=status,
        stamps=[Stamp(each.arm, each.epoch, each.slot) for each in head.stamps],
        stamp=stamp,
        groups=[_group(group, blocks) for group in head.groups],
    )


def _group(group: _Group, blocks: _Blocks) -> Group:
    inputs = _columns(group.inputs, group.count, blocks)
    return Group(
        count=group.count, inputs=inputs, outputs=_columns(group.outputs, group.count, blocks)
    )


def _columns(tensors: Sequence[_Tensor], count: int, blocks: _Blocks) -> Mapping[str, Column]:
    columns = {tensor.name: _column(tensor, count, blocks) for tensor in tensors}
    if len(columns) < len(tensors):
        raise FrameError("two tensors of a group have one name")
    return columns


def _column(tensor: _Tensor, count: int, blocks: _Blocks) -> Column:
    row = None if tensor.row is None else tuple(tensor.row)
    lengths = None if row is None else blocks.numbers("<u8", count)
    shape = (count,) if lengths is None else (_total(tensor, lengths), *(row or ()))
    if prod(max(axis, 1) for axis in shape) > _MOST_ELEMENTS:
        raise FrameError(f"tensor {tensor.name!r}: shape {list(shape)} is larger than any")
    if tensor.omitted and tensor.bytes:
        raise FrameError(f"tensor {tensor.name!r} is omitted, and has data")
    values = None if tensor.omitted else _values(tensor, shape, blocks.take(tensor.bytes))
    return Column(datatype=tensor.datatype, row=row, lengths=lengths, values=values)


def _total(tensor: _Tensor, lengths: Array) -> int:
    if int(lengths.max()) > _LONGEST:
        raise FrameError(f"tensor {tensor.name!r}: a length is {lengths.max()}, larger than any")
    return int(lengths.sum())


def _values(tensor: _Tensor, shape: tuple[int, ...], raw: memoryview) -> Array:
    spec = TensorSpec(name=tensor.name, datatype=tensor.datatype, shape=(ANY_LENGTH,) * len(shape))
    try:
        return tensor_binary.to_array(spec, shape, raw)
    except RequestError as error:
        raise FrameError(f"a tensor's data are not as they should be: {error}") from error

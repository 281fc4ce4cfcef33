"""One tensor as raw bytes: the binary tensor data extension of the protocol.

Values lie in row-major order, little-endian; each element of BYTES is preceded by its length in
four bytes. https://github.com/kserve/open-inference-protocol, `extension_binary_data.md`.
"""

import struct
from collections.abc import Iterator
from math import prod

import numpy as np

from driftline_serving.errors import RequestError
from driftline_serving.server.tensors import Array, Datatype, TensorSpec

_LENGTH = struct.Struct("<I")


def to_array(spec: TensorSpec, shape: tuple[int, ...], raw: memoryview) -> Array:
    """The array that `raw` holds; a view on it, without a copy, unless it holds strings.

    Raises:
        RequestError: the bytes are too few, too many, or no UTF-8 where strings are expected.
    """
    if spec.datatype is Datatype.BYTES:
        return np.array(_strings(spec, shape, raw), dtype=object).reshape(shape)
    expected = prod(shape) * spec.datatype.dtype.itemsize
    if len(raw) != expected:
        raise RequestError(
            f"input {spec.name!r}: shape {list(shape)} of {spec.datatype} takes {expected} bytes, "
            f"the binary data has {len(raw)}"
        )
    if spec.datatype is Datatype.BOOL:
        return _booleans(spec, raw).reshape(shape)
    return np.frombuffer(raw, dtype=spec.datatype.dtype).reshape(shape)


def to_text(spec: TensorSpec, element: bytes | memoryview) -> str:
    """The string that one element of BYTES is.

    Raises:
        RequestError: it is no UTF-8.
    """
    try:
        return str(element, "utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"input {spec.name!r}: a BYTES element is not UTF-8, and ONNX strings are"
        ) from error


def from_array(array: Array) -> bytes:
    """The array's bytes."""
    if array.dtype != object:
        return np.ascontiguousarray(array).tobytes()
    encoded = [str(item).encode() for item in array.reshape(-1).tolist()]
    return b"".join(part for item in encoded for part in (_LENGTH.pack(len(item)), item))


def _booleans(spec: TensorSpec, raw: memoryview) -> Array:
    values = np.frombuffer(raw, dtype=np.uint8)
    if (values > 1).any():
        raise RequestError(f"input {spec.name!r}: a byte of BOOL is neither 0 nor 1")
    return values.view(np.bool_)


def _strings(spec: TensorSpec, shape: tuple[int, ...], raw: memoryview) -> list[str]:
    found = list(_elements(spec, raw))
    if len(found) != prod(shape):
        raise RequestError(
            f"input {spec.name!r}: shape {list(shape)} asks for {prod(shape)} strings, the binary "
            f"data holds {len(found)}"
        )
    return found


def _elements(spec: TensorSpec, raw: memoryview) -> Iterator[str]:
    at = 0
    while at < len(raw):
        start = at + _LENGTH.size
        end = start + (_LENGTH.unpack_from(raw, at)[0] if start <= len(raw) else 0)
        if max(start, end) > len(raw):
            raise RequestError(
                f"input {spec.name!r}: the binary data ends inside a string, at byte {len(raw)}"
            )
        yield to_text(spec, raw[start:end])
        at = end

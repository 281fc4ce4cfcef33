"""Requests as most of them are, read without asking what may be wrong with them.

One kind is read here: all inputs in JSON, in the protocol's plain form, and all outputs wanted.
Any other, right or wrong, is left to those who can say what is wrong with it, and what is read
here they would read the same.
"""

import struct
from collections.abc import Mapping
from itertools import chain
from math import prod
from typing import Any, Final

import numpy as np

from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import ANY_LENGTH, Array, Datatype, Signature, TensorSpec

_NUMBERS: Final = frozenset({int, float})
_INTEGERS: Final = frozenset({int})
#: How `struct` names a datatype, and of which types its values may be in Python.
_FORMS: Final[Mapping[Datatype, tuple[str, frozenset[type]]]] = {
    Datatype.FP16: ("e", _NUMBERS),
    Datatype.FP32: ("f", _NUMBERS),
    Datatype.FP64: ("d", _NUMBERS),
    Datatype.BOOL: ("?", frozenset({bool})),
    Datatype.INT8: ("b", _INTEGERS),
    Datatype.INT16: ("h", _INTEGERS),
    Datatype.INT32: ("i", _INTEGERS),
    Datatype.INT64: ("q", _INTEGERS),
    Datatype.UINT8: ("B", _INTEGERS),
    Datatype.UINT16: ("H", _INTEGERS),
    Datatype.UINT32: ("I", _INTEGERS),
    Datatype.UINT64: ("Q", _INTEGERS),
}
#: What comes of reading anything else.
_OTHER_ERRORS: Final = (LookupError, TypeError, ValueError, OverflowError, struct.error)


class _OtherError(ValueError):
    """This is not an ordinary request."""


def read_ordinary(parsed: Any, signature: Signature) -> InferRequest | None:
    """Read a request that was parsed; None if it is not an ordinary one."""
    try:
        return _request(parsed, signature)
    except _OTHER_ERRORS:
        return None


def _request(parsed: Any, signature: Signature) -> InferRequest:
    given, request_id, specs = parsed["inputs"], parsed.get("id"), signature.input_specs
    if "outputs" in parsed or "parameters" in parsed or len(given) != len(specs):
        raise _OtherError
    if request_id is not None and type(request_id) is not str:
        raise _OtherError
    inputs: dict[str, Array] = {}
    for tensor in given:
        spec = specs[tensor["name"]]
        if tensor["datatype"] != spec.datatype or "parameters" in tensor:
            raise _OtherError
        inputs[spec.name] = _array(spec, tensor["shape"], tensor["data"])
    if len(inputs) != len(specs):
        raise _OtherError
    return InferRequest(id=request_id, inputs=inputs, outputs=signature.all_values)


def _array(spec: TensorSpec, shape: Any, data: Any) -> Array:
    if type(shape) is not list or type(data) is not list or len(shape) != len(spec.shape):
        raise _OtherError
    for axis, wanted in zip(shape, spec.shape, strict=True):
        if type(axis) is not int or axis < 1 or wanted not in (ANY_LENGTH, axis):
            raise _OtherError
    if len(shape) > 1 and type(data[0]) is list:
        data = _unnested(shape, data)
    form, types = _FORMS[spec.datatype]
    if len(data) != prod(shape) or not types.issuperset(map(type, data)):
        raise _OtherError
    packed = struct.pack(f"<{len(data)}{form}", *data)
    return np.frombuffer(packed, dtype=spec.datatype.dtype).reshape(shape)


def _unnested(shape: list[int], data: list[Any]) -> list[Any]:
    if len(shape) != 2 or set(map(type, data)) != {list} or set(map(len, data)) != {shape[1]}:
        raise _OtherError
    return list(chain.from_iterable(data))

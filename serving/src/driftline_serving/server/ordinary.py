"""Requests as most of them are, read without asking what may be wrong with them.

One kind is read here: all inputs in JSON, in the protocol's plain form, and all outputs wanted.
Any other, right or wrong, is left to those who can say what is wrong with it, and what is read
here they would read the same.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np

from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import ANY_LENGTH, Array, Datatype, Signature

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """An input of the model, as it is looked at here.

    Attributes:
        form: how `struct` names the datatype.
        types: of its values in Python.
    """

    datatype: str
    shape: tuple[int, ...]
    form: str
    types: frozenset[type]
    dtype: np.dtype[Any]


@lru_cache(maxsize=8)
def _known(signature: Signature) -> Mapping[str, _Known]:
    """Return the inputs of the model; none if there are strings among them."""
    if any(spec.datatype is Datatype.BYTES for spec in signature.inputs):
        return {}
    return {
        spec.name: _Known(
            datatype=spec.datatype.value,
            shape=spec.shape,
            form=_FORMS[spec.datatype][0],
            types=_FORMS[spec.datatype][1],
            dtype=spec.datatype.dtype,
        )
        for spec in signature.inputs
    }


class _OtherError(ValueError):
    """This is not an ordinary request."""


def read_ordinary(parsed: Any, signature: Signature) -> InferRequest | None:
    """Read a request that was parsed; None if it is not an ordinary one."""
    try:
        return _request(parsed, signature)
    except _OTHER_ERRORS:
        return None


def _request(parsed: Any, signature: Signature) -> InferRequest:
    given, request_id, known = parsed["inputs"], parsed.get("id"), _known(signature)
    if "outputs" in parsed or "parameters" in parsed:
        raise _OtherError
    if not known or len(given) != len(known):
        raise _OtherError
    if request_id is not None and type(request_id) is not str:
        raise _OtherError
    inputs: dict[str, Array] = {}
    for tensor in given:
        name = tensor["name"]
        if "parameters" in tensor or name in inputs:
            raise _OtherError
        inputs[name] = _array(known[name], tensor)
    return InferRequest(id=request_id, inputs=inputs, outputs=signature.all_values)


def _array(known: _Known, tensor: Mapping[str, Any]) -> Array:
    shape, data = tensor["shape"], tensor["data"]
    if type(shape) is not list or type(data) is not list or tensor["datatype"] != known.datatype:
        raise _OtherError
    size = 1
    for axis, wanted in zip(shape, known.shape, strict=True):
        if type(axis) is not int or axis < 1 or wanted not in (ANY_LENGTH, axis):
            raise _OtherError
        size *= axis
    if len(shape) > 1 and type(data[0]) is list:
        data = _unnested(shape, data)
    if len(data) != size or not known.types.issuperset(map(type, data)):
        raise _OtherError
    return np.frombuffer(struct.pack(f"<{size}{known.form}", *data), known.dtype).reshape(shape)


def _unnested(shape: list[int], data: list[Any]) -> list[Any]:
    if len(shape) != 2 or set(map(type, data)) != {list} or set(map(len, data)) != {shape[1]}:
        raise _OtherError
    return list(chain.from_iterable(data))

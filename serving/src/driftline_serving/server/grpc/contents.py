"""One tensor in the typed fields of `InferTensorContents`, to numpy and back."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np

from driftline_serving.errors import RequestError
from driftline_serving.server.grpc.open_inference_pb2 import InferTensorContents
from driftline_serving.server.request import out_of_range
from driftline_serving.server.tensor_binary import to_text
from driftline_serving.server.tensors import Array, Datatype, TensorSpec

#: The field in which values of a datatype stand. FP16 has none.
_FIELDS: Final = {
    Datatype.BOOL: "bool_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}
#: What a field holds, where it is wider than some datatype whose values stand in it.
_WIDE: Final = {"uint_contents": np.dtype(np.uint32), "int_contents": np.dtype(np.int32)}


def to_array(spec: TensorSpec, shape: tuple[int, ...], contents: InferTensorContents) -> Array:
    """Build the array that the contents stand for.

    Raises:
        RequestError: they stand in another field, or their number or range is not as the shape
            and the datatype say.
    """
    field = _FIELDS.get(spec.datatype)
    if field is None:
        raise RequestError(
            f"input {spec.name!r}: contents has no field for {spec.datatype}; send all inputs in "
            "raw_input_contents"
        )
    _check_others(spec, field, contents)
    values: Sequence[Any] = getattr(contents, field)
    if len(values) != prod(shape):
        raise RequestError(
            f"input {spec.name!r}: shape {list(shape)} asks for {prod(shape)} values, {field} "
            f"holds {len(values)}"
        )
    if spec.datatype is Datatype.BYTES:
        flat = np.array([to_text(spec, value) for value in values], dtype=object)
    else:
        flat = _numbers(spec, field, values)
    return flat.reshape(shape)


def fill(contents: InferTensorContents, datatype: Datatype, array: Array) -> None:
    """Write the array's values into the field of their datatype; not for FP16."""
    values = array.reshape(-1).tolist()
    if datatype is Datatype.BYTES:
        values = [str(value).encode() for value in values]
    getattr(contents, _FIELDS[datatype]).extend(values)


def _check_others(spec: TensorSpec, field: str, contents: InferTensorContents) -> None:
    others = [found.name for found, _ in contents.ListFields() if found.name != field]
    if others:
        raise RequestError(
            f"input {spec.name!r}: {spec.datatype} goes in {field}, and {', '.join(others)} "
            "is filled"
        )


def _numbers(spec: TensorSpec, field: str, values: Sequence[Any]) -> Array:
    dtype = spec.datatype.dtype
    found = np.fromiter(values, dtype=_WIDE.get(field, dtype), count=len(values))
    if found.dtype == dtype:
        return found
    limits = np.iinfo(dtype)
    if ((found < limits.min) | (found > limits.max)).any():
        raise out_of_range(spec)
    return found.astype(dtype)

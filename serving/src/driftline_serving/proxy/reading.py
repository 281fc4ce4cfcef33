"""Tensors of calls whose bodies were passed on: they say themselves what they are.

What a server takes need not be right here: a tensor that cannot be read is told without its values,
and a message that cannot be read, without its tensors.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError

from driftline_serving.errors import RequestError
from driftline_serving.proxy.calls import Answered, Said
from driftline_serving.server import tensor_binary, tensor_json
from driftline_serving.server.codec import Body, parse_json, split
from driftline_serving.server.grpc import contents
from driftline_serving.server.grpc.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from driftline_serving.server.grpc.outline import check_outline
from driftline_serving.server.packing import WBITS, unpacked
from driftline_serving.server.tensors import Array, Datatype, TensorSpec
from driftline_serving.tap.records import Omitted, Tensors

#: Bytes of JSON, and of fields of gRPC, beyond which a message is not read: others wait meanwhile.
MOST_READ_BYTES: Final = 256 * 1024
#: Of a body that was packed.
_MOST_UNPACKED_BYTES: Final = 1024 * 1024
_MOST_AXES: Final = 32
_MOST_TENSORS: Final = 4096
#: Before a message of gRPC: whether it is packed, and its length.
_PREFIX_BYTES: Final = 5
_JSON_LENGTH: Final = "inference-header-content-length"
_LONGEST: Final = 2**40
_NOTHING: Final[Tensors] = {}
_DATATYPES: Final[Mapping[object, Datatype]] = {each.value: each for each in Datatype}

_Read: TypeAlias = Callable[[bytes, Mapping[str, str], str], Tensors]

#: What may go wrong with a message of any sort.
_ERRORS: Final = (
    RequestError, DecodeError, ValueError, TypeError, OverflowError, KeyError, IndexError,
    AttributeError, RecursionError,
)  # fmt: skip


def tensors_of(call: Answered) -> tuple[Tensors, Tensors]:
    """Return the inputs and the outputs of a call, empty where they cannot be read."""
    read = _of_grpc if call.protocol == "grpc" else _of_http
    return _tried(read, call.request, "inputs"), _tried(read, call.response, "outputs")


def _tried(read: _Read, said: Said, member: str) -> Tensors:
    if not said.content:
        return _NOTHING
    try:
        return read(said.content, said.headers, member)
    except _ERRORS:
        return _NOTHING


def _of_http(content: bytes, headers: Mapping[str, str], member: str) -> Tensors:
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        content = unpacked(content, WBITS[coding], _MOST_UNPACKED_BYTES)
    length = headers.get(_JSON_LENGTH)
    text, raw = split(Body(content=content, json_length=int(length) if length else None))
    if len(text) > MOST_READ_BYTES:
        return _NOTHING
    parsed = parse_json(text)
    entries = parsed.get(member) if isinstance(parsed, dict) else None
    return _json_tensors(entries, raw) if isinstance(entries, list) else _NOTHING


def _json_tensors(entries: Sequence[Any], raw: memoryview) -> Tensors:
    found: dict[str, Array | Omitted] = {}
    at = 0
    for entry in entries[:_MOST_TENSORS]:
        size = entry.get("parameters", {}).get("binary_data_size")
        spec = _spec(entry["name"], entry["datatype"], entry["shape"])
        if spec and size is None:
            found[spec.name] = _values(tensor_json.to_array, spec, entry.get("data"))
        elif spec:
            found[spec.name] = _values(tensor_binary.to_array, spec, raw[at : at + size])
        at += size or 0
    return found


def _of_grpc(content: bytes, headers: Mapping[str, str], member: str) -> Tensors:
    message = _message(content, headers)
    if member == "inputs":
        check_outline(message, MOST_READ_BYTES)
        request = ModelInferRequest.FromString(message)
        return _grpc_tensors(request.inputs, request.raw_input_contents)
    response = ModelInferResponse.FromString(message)
    return _grpc_tensors(response.outputs, response.raw_output_contents)


def _message(content: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the one message in the body of a call.

    Raises:
        ValueError: there is another number of them, or it is packed in a way that is not known.
    """
    is_packed, length = content[0], int.from_bytes(content[1:_PREFIX_BYTES])
    if length != len(content) - _PREFIX_BYTES:
        raise ValueError
    message = content[_PREFIX_BYTES:]
    if not is_packed:
        return message
    return unpacked(message, WBITS[headers.get("grpc-encoding", "")], _MOST_UNPACKED_BYTES)


def _grpc_tensors(given: Sequence[Any], raw: Sequence[bytes]) -> Tensors:
    if len(given) > _MOST_TENSORS or (raw and len(raw) != len(given)):
        return _NOTHING
    found: dict[str, Array | Omitted] = {}
    for index, each in enumerate(given):
        spec = _spec(each.name, each.datatype, list(each.shape))
        if spec and raw:
            found[spec.name] = _values(tensor_binary.to_array, spec, memoryview(raw[index]))
        elif spec:
            found[spec.name] = _values(contents.to_array, spec, each.contents)
    return found


def _spec(name: object, datatype: object, shape: object) -> TensorSpec | None:
    """Return what a tensor says that it is; None for a datatype that the tap has no name for.

    Raises:
        ValueError: it says nothing that makes sense.
    """
    if not isinstance(name, str) or not isinstance(shape, list) or len(shape) > _MOST_AXES:
        raise ValueError
    if not all(type(axis) is int and 0 <= axis < _LONGEST for axis in shape):
        raise ValueError
    if datatype not in _DATATYPES:
        return None
    return TensorSpec(name=name, datatype=_DATATYPES[datatype], shape=tuple(shape))


def _values(read: Callable[..., Array], spec: TensorSpec, data: object) -> Array | Omitted:
    try:
        return read(spec, spec.shape, data)
    except _ERRORS:
        return Omitted(spec.datatype, spec.shape)

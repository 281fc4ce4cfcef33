"""Bodies of the Open Inference Protocol v2 (REST) to arrays, and arrays to bodies."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isinf

import orjson

from driftline_serving.errors import RequestError
from driftline_serving.server import tensor_binary, tensor_json
from driftline_serving.server.fields import Fields
from driftline_serving.server.ordinary import read_ordinary
from driftline_serving.server.provenance import PARAMETER
from driftline_serving.server.request import (
    MOST_JSON_BYTES,
    InferRequest,
    check_complete,
    check_input_parameters,
    check_output,
    check_output_parameters,
    check_tensor,
    expected_input,
)
from driftline_serving.server.tensors import Array, Signature, TensorSpec, WantedOutput

#: Tokens that orjson refuses, being none of JSON's; Python's own reader takes them.
_BARE_TOKENS = (b"NaN", b"Infinity")
#: What orjson writes for NaN and the infinities, and we for nothing.
_NULL = b"null"
_NOTHING = memoryview(b"")
#: Characters of an integer that 64 bits may hold.
_LONGEST_INTEGER = 20


@dataclass(slots=True, init=False)
class Body:
    """A body as a transport moves it.

    Attributes:
        content: the bytes.
        json_length: the value of `Inference-Header-Content-Length`: how many of the bytes are
            JSON, where tensors follow as raw bytes; None where all of it is JSON.
        unpack: undoes what the bytes are packed with, before anything else; None where they are
            not. It may raise RequestError.
    """

    content: bytes
    json_length: int | None
    unpack: Callable[[bytes], bytes] | None

    def __init__(
        self,
        *,
        content: bytes,
        json_length: int | None = None,
        unpack: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.content = content
        self.json_length = json_length
        self.unpack = unpack


def decode_request(
    body: Body, signature: Signature, json_bytes: int = MOST_JSON_BYTES
) -> InferRequest:
    """Read a request, of whose body at most `json_bytes` may be JSON.

    Raises:
        RequestError: it is not a request that this model can be asked.
    """
    if body.unpack:
        body = Body(content=body.unpack(body.content), json_length=body.json_length)
    header, raw = split(body)
    if len(header) > json_bytes:
        raise RequestError(
            f"more than {json_bytes} bytes of the body are JSON; send large tensors as binary data",
            413,
        )
    parsed = parse_json(header)
    if not raw and (ordinary := read_ordinary(parsed, signature)):
        return ordinary
    request = Fields(parsed, "the request")
    request_id = request.optional("id", str)
    return InferRequest(
        id=request_id,
        inputs=_decode_inputs(request.objects("inputs"), raw, signature),
        outputs=_decode_outputs(request, signature),
        with_provenance=request.parameter(PARAMETER, bool) or False,
    )


def encode_response(
    request: InferRequest,
    results: Sequence[Array],
    about: Mapping[str, object],
    signature: Signature,
) -> Body:
    """Write the response: `results` stand in the order of `request.outputs`.

    Args:
        request: What was asked.
        results: What the model answered.
        about: Further members of the response, such as the model's name and version.
        signature: The model's.
    """
    tails: list[bytes] = []
    outputs: list[dict[str, object]] = []
    values: list[tuple[dict[str, object], Array]] = []
    for wanted, array in zip(request.outputs, results, strict=True):
        output: dict[str, object] = {
            "name": wanted.name,
            "datatype": signature.output_datatypes[wanted.name],
            "shape": array.shape,
        }
        if wanted.binary:
            tails.append(tensor_binary.from_array(array))
            output["parameters"] = {"binary_data_size": len(tails[-1])}
        else:
            values.append((output, array))
        outputs.append(output)
    named = about if request.id is None else {**about, "id": request.id}
    response = {**named, "outputs": outputs}
    header = _written(response, values)
    if not tails:
        return Body(content=header)
    return Body(content=b"".join((header, *tails)), json_length=len(header))


def _written(
    response: Mapping[str, object], outputs: Sequence[tuple[dict[str, object], Array]]
) -> bytes:
    """Write a response with the data of its outputs, each beside the object that it belongs to."""
    for output, array in outputs:
        output["data"] = tensor_json.finite(array)
    header = orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY)
    if _NULL not in header:
        return header
    for output, array in outputs:
        output["data"] = tensor_json.from_array(array)
    return orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY)


def split(body: Body) -> tuple[bytes, memoryview]:
    """Return what is JSON in a body, and what follows it.

    Raises:
        RequestError: the JSON would end beyond the body.
    """
    if body.json_length is None:
        return body.content, _NOTHING
    if not 0 <= body.json_length <= len(body.content):
        raise RequestError(
            f"Inference-Header-Content-Length is {body.json_length}, but the body has "
            f"{len(body.content)} bytes"
        )
    return body.content[: body.json_length], memoryview(body.content)[body.json_length :]


def parse_json(header: bytes) -> object:
    """Read JSON, and the bare tokens for numbers that Python writes.

    Raises:
        RequestError: it is none.
    """
    try:
        return orjson.loads(header)
    except orjson.JSONDecodeError as error:
        if any(token in header for token in _BARE_TOKENS):
            return _parse_with_bare_tokens(header)
        raise RequestError(f"the body is not valid JSON: {error}") from error


def _parse_with_bare_tokens(header: bytes) -> object:
    try:
        parsed: object = json.loads(header, parse_float=_fraction, parse_int=_integer)
        # Python's reader also takes what is no text: half of a surrogate pair. Nothing could say it
        # again.
        orjson.dumps(parsed)
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {error}") from error
    return parsed


def _fraction(text: str) -> float:
    """Read a number as orjson does: Python's own reader takes one that is too large for infinity.

    Raises:
        ValueError: no double holds it.
    """
    value = float(text)
    if isinf(value):
        raise ValueError("number is infinity when parsed as double")
    return value


def _integer(text: str) -> object:
    """Do the same for one without a fraction: beyond 64 bits, it is a double."""
    if len(text) <= _LONGEST_INTEGER and -(2**63) <= int(text) < 2**64:
        return int(text)
    return _fraction(text)


def _decode_inputs(
    inputs: Sequence[Fields], raw: memoryview, signature: Signature
) -> dict[str, Array]:
    specs = signature.input_specs
    arrays: dict[str, Array] = {}
    consumed = 0
    for given in inputs:
        name = given.required("name", str)
        spec = expected_input(name, specs, arrays)
        given = given.named(f"input {name!r}")  # noqa: PLW2901 - from here on it is known by name
        size = given.parameter("binary_data_size", int)
        shape = _checked_shape(given, spec)
        if size is None:
            arrays[name] = tensor_json.to_array(spec, shape, given.required("data", list))
        else:
            arrays[name] = tensor_binary.to_array(spec, shape, _slice(raw, consumed, size, name))
            consumed += size
    check_complete(specs, arrays)
    if consumed != len(raw):
        raise RequestError(
            f"the body has {len(raw)} bytes after its JSON, the inputs' binary_data_size add up to "
            f"{consumed}"
        )
    return arrays


def _slice(raw: memoryview, start: int, size: int, name: str) -> memoryview:
    if size < 0 or start + size > len(raw):
        raise RequestError(
            f"input {name!r}: binary_data_size is {size}, but {len(raw) - start} bytes are left "
            "after the JSON (is Inference-Header-Content-Length set?)"
        )
    return raw[start : start + size]


def _checked_shape(given: Fields, spec: TensorSpec) -> tuple[int, ...]:
    check_input_parameters(given.where, given.has_parameter)
    datatype, shape = given.required("datatype", str), given.integers("shape")
    check_tensor(spec, datatype, shape)
    return shape


def _decode_outputs(request: Fields, signature: Signature) -> tuple[WantedOutput, ...]:
    binary_by_default = request.parameter("binary_data_output", bool) or False
    known = [spec.name for spec in signature.outputs]
    asked = request.objects("outputs") if request.has("outputs") else ()
    if not asked:
        return tuple(WantedOutput(name=name, binary=binary_by_default) for name in known)
    wanted: dict[str, WantedOutput] = {}
    for output in asked:
        name = output.required("name", str)
        check_output(name, known, wanted)
        wanted[name] = _wanted(output.named(f"output {name!r}"), name, binary_by_default)
    return tuple(wanted.values())


def _wanted(output: Fields, name: str, binary_by_default: bool) -> WantedOutput:
    check_output_parameters(output.where, output.has_parameter)
    binary = output.parameter("binary_data", bool)
    return WantedOutput(name=name, binary=binary_by_default if binary is None else binary)

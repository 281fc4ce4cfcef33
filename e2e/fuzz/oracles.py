"""What must hold whatever bytes come: each oracle takes bytes, and raises if it does not hold.

The first byte chooses among models, so that one corpus serves them all.
"""

import json
import re
from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Final

import numpy as np

from driftline_serving.errors import RequestError
from driftline_serving.server.codec import Body, decode_request, encode_response
from driftline_serving.server.grpc import codec as grpc_codec
from driftline_serving.server.grpc.open_inference_pb2 import ModelInferRequest
from driftline_serving.server.grpc.outline import check_outline
from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec
from e2e.fuzz import reference, wire

ABOUT: Final = {"model_name": "m", "model_version": "1"}
MOST_BYTES: Final = 1_000_000
#: What is said of a body that is none; where it broke, too, which depends on its length.
NOT_JSON: Final = "the body is not valid JSON"


def _spec(name: str, datatype: Datatype, *shape: int) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _models() -> tuple[Signature, ...]:
    """Return models that give back what they get: of each datatype, and of several inputs."""
    inputs = [
        (_spec("a", Datatype.FP32, -1, 2), _spec("b", Datatype.INT64, -1)),
        (_spec("x", Datatype.FP32, -1, 3),),
        (_spec("x", Datatype.FP64),),
        (_spec("x", Datatype.FP16, 2, -1, 2),),
        *((_spec("x", datatype, -1),) for datatype in Datatype),
        *((_spec("x", datatype, -1, -1),) for datatype in Datatype),
    ]
    return tuple(Signature(inputs=each, outputs=each) for each in inputs)


MODELS: Final = _models()


class Broken(AssertionError):  # noqa: N818 - what fails is not this
    """Something does not hold that must."""


def json_body(data: bytes) -> None:
    """A body that is JSON is read as a naive reader would, or refused like there.

    And it means the same with `"outputs": null`, which says nothing: most requests are read on a
    short path, and those that say anything of outputs on a long one.
    """
    if not data:
        return
    content, model = data[1:], MODELS[data[0] % len(MODELS)]
    _check_body(content, None, model)
    if longer := _with_outputs(content):
        _check_alike(_decoded(content, model), _decoded(longer, model))


def binary_body(data: bytes) -> None:
    """The same of a body with raw bytes after its JSON, whose length stands in two bytes."""
    if len(data) >= 3:
        length = int.from_bytes(data[1:3], "big")
        _check_body(data[3:], length, MODELS[data[0] % len(MODELS)])


def message(data: bytes) -> None:
    """A message of gRPC is a request for the model, or refused."""
    if not data:
        return
    model = MODELS[data[0] % len(MODELS)]
    try:
        check_outline(data[1:], MOST_BYTES)
        request = grpc_codec.decode_request(grpc_codec.parse(ModelInferRequest, data[1:]), model)
    except RequestError as error:
        _check_refusal(error)
        return
    _check_request(request, model)
    results = [request.inputs[wanted.name] for wanted in request.outputs]
    response = grpc_codec.encode_response(request, results, ABOUT, model)
    again = ModelInferRequest(raw_input_contents=response.raw_output_contents)
    for output in response.outputs:
        again.inputs.add().MergeFromString(output.SerializeToString())
    if len(results) == len(model.outputs):
        _check_same(grpc_codec.decode_request(again, model).inputs, request.inputs)


def connection(data: bytes) -> None:
    """Bytes of HTTP are answered by whole responses, the same however they are cut."""
    if not data:
        return
    whole = wire.responses([data[1:]])
    cut = wire.responses(list(wire.pieces(data[1:], seed=data[0])))
    for one, other in zip_longest(whole, cut):
        if one != other:
            raise Broken(f"in one piece: {one}; in several: {other}")


ORACLES: Final[Mapping[str, Callable[[bytes], None]]] = {
    "json": json_body, "binary": binary_body, "grpc": message, "http": connection,
}  # fmt: skip


def _check_body(content: bytes, json_length: int | None, model: Signature) -> None:
    try:
        expected = reference.read(content, json_length, model)
    except reference.Refused:
        expected = None
    try:
        request = decode_request(Body(content=content, json_length=json_length), model)
    except RequestError as error:
        _check_refusal(error)
        if expected is not None:
            raise Broken(f"refused: {error}") from error
        return
    if expected is None:
        raise Broken(f"taken as {request}")
    _check_request(request, model)
    _check_same(request.inputs, expected)
    _check_response(request, model)


def _with_outputs(content: bytes) -> bytes | None:
    """Return a body with `"outputs": null`; None if it is no object, or may name them already."""
    ending = re.search(rb"[^{\s]\s*}\s*$", content)
    if not ending or b"outputs" in content or b"\\" in content:
        return None
    return content[: ending.start() + 1] + b',"outputs":null}'


def _decoded(content: bytes, model: Signature) -> InferRequest | RequestError:
    try:
        return decode_request(Body(content=content), model)
    except RequestError as error:
        return error


def _check_alike(one: InferRequest | RequestError, other: InferRequest | RequestError) -> None:
    if isinstance(one, InferRequest) and isinstance(other, InferRequest):
        if (one.id, one.outputs) != (other.id, other.outputs):
            raise Broken(f"{one} on the short path, {other} on the long one")
        _check_same(one.inputs, other.inputs)
    elif str(one) != str(other) and not str(one).startswith(NOT_JSON):
        raise Broken(f"{one} on the short path, {other} on the long one")


def _check_refusal(error: RequestError) -> None:
    if not (400 <= error.status < 500 and str(error)):
        raise Broken(f"{error.status}: {error}")


def _check_request(request: InferRequest, model: Signature) -> None:
    for spec in model.inputs:
        array = request.inputs[spec.name]
        if array.dtype != spec.datatype.dtype or not spec.admits(array.shape):
            raise Broken(f"{spec.name}: {array.dtype}, {array.shape}")


def _check_response(request: InferRequest, model: Signature) -> None:
    """The response is strict JSON and, read as a request, the same arrays."""
    results = [request.inputs[wanted.name] for wanted in request.outputs]
    body = encode_response(request, results, ABOUT, model)
    header = json.loads(body.content[: body.json_length], parse_constant=_refuse)
    if header.get("id") != request.id:
        raise Broken(f"id {header.get('id')!r}")
    if len(results) == len(model.outputs):
        again = json.dumps({"inputs": header["outputs"]}).encode()
        tail = b"" if body.json_length is None else body.content[body.json_length :]
        read = reference.read(again + tail, len(again), model)
        _check_same(read, request.inputs)


def _refuse(token: str) -> None:
    raise Broken(f"{token} is not JSON")


def _check_same(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    for name, array in expected.items():
        if not same(found[name], array):
            raise Broken(f"{name}: {found[name]} for {array}")


def same(one: Array, other: Array) -> bool:
    """Whether arrays are equal in type, shape and value; NaN is equal to NaN, not -0.0 to 0.0."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool((one == other).all())
    alike = (one == other) & (np.signbit(one) == np.signbit(other))
    return bool((alike | (np.isnan(one) & np.isnan(other))).all())

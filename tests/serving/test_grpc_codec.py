"""What the messages of gRPC become, and the way back."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as theirs

from driftline_serving.errors import RequestError
from driftline_serving.server import codec as rest
from driftline_serving.server.grpc import open_inference_pb2 as ours
from driftline_serving.server.grpc.codec import decode_request, encode_response, parse
from driftline_serving.server.grpc.open_inference_pb2 import ModelInferRequest
from driftline_serving.server.grpc.outline import check_outline
from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import Array, Datatype, Signature, WantedOutput
from tests.serving.test_codec import PAIR, echo, same, spec, tensors

ABOUT = {"model_name": "m", "model_version": "1"}


@given(tensors(), st.booleans())
def test_what_is_written_is_read_back(tensor: tuple[Datatype, Array], raw: bool) -> None:
    datatype, array = tensor
    signature = echo(datatype, array.ndim)
    raw = raw or datatype is Datatype.FP16
    wanted = InferRequest(id="7", inputs={}, outputs=(WantedOutput(name="x", binary=raw),))
    response = encode_response(wanted, [array], ABOUT, signature)
    assert (response.id, response.model_name, response.model_version) == ("7", "m", "1")
    assert len(response.raw_output_contents) == raw
    assert response.outputs[0].HasField("contents") == (not raw)
    request = ModelInferRequest(raw_input_contents=response.raw_output_contents)
    for output in response.outputs:
        given = parse(ModelInferRequest.InferInputTensor, output.SerializeToString())
        request.inputs.append(given)
    assert same(decode_request(request, signature).inputs["x"], array)


A: dict[str, Any] = {"name": "a", "datatype": "FP32", "shape": [1, 2]}
B: dict[str, Any] = {"name": "b", "datatype": "INT64", "shape": [1]}
VALUES: dict[str, Any] = {"a": {"fp32_contents": [1, 2]}, "b": {"int64_contents": [3]}}
RAW = [np.array([1, 2], np.float32).tobytes(), np.array([3], np.int64).tobytes()]


def typed(*tensors_: dict[str, Any], **members: Any) -> ModelInferRequest:
    inputs = [{"contents": VALUES.get(each.get("name", "")), **each} for each in tensors_]
    return ModelInferRequest(inputs=inputs, **members)


def raw_of(*raw: bytes) -> ModelInferRequest:
    return ModelInferRequest(inputs=[A, B], raw_input_contents=raw)


REGION = {"parameters": {"shared_memory_region": {"string_param": "r"}}}
SHARED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no name": ([{**A, "name": ""}, B], r"inputs\[0\]: name is missing"),
    "unknown input": ([{**A, "name": "c"}, B], "unknown input 'c'; the model takes 'a', 'b'"),
    "given twice": ([A, A, B], "input 'a' is given twice"),
    "one is missing": ([B], "missing input 'a'; the model takes 'a', 'b'"),
    "no datatype": ([{**A, "datatype": ""}, B], "input 'a': datatype is missing"),
    "wrong datatype": ([{**A, "datatype": "FP64"}, B], "datatype is FP64, the model takes FP32"),
    "shape below zero": ([{**A, "shape": [-1, 2]}, B], "input 'a': shape must be an array of int"),
    "wrong rank": ([{**A, "shape": [2]}, B], r"shape has 1 axes, the model takes \[-1, 2\]"),
    "wrong length": ([{**A, "shape": [1, 3]}, B], r"shape is \[1, 3\], the model takes \[-1, 2\]"),
    "huge shape": ([{**A, "shape": [2**60, 2]}, B], "shape .* is larger than any request"),
    "shared memory": ([{**A, **REGION}, B], "input 'a': shared memory is not supported"),
}


@pytest.mark.parametrize(("inputs", "message"), SHARED.values(), ids=SHARED)
def test_mistakes_are_told_in_the_words_of_rest(inputs: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(RequestError, match=message) as over_grpc:
        decode_request(typed(*inputs), PAIR)
    data = {"a": [1, 2], "b": [3]}
    as_json = [
        {
            **{name: value for name, value in each.items() if value},
            "data": data.get(each["name"]),
            "parameters": dict.fromkeys(each.get("parameters", ()), "r"),
        }
        for each in inputs
    ]
    body = rest.Body(content=json.dumps({"inputs": as_json}).encode())
    with pytest.raises(RequestError) as over_rest:
        rest.decode_request(body, PAIR)
    assert str(over_grpc.value) == str(over_rest.value)


MISTAKES: dict[str, tuple[ModelInferRequest, str]] = {
    "too few values": (
        typed({**A, "contents": {"fp32_contents": [1]}}, B),
        r"shape \[1, 2\] asks for 2 values, fp32_contents holds 1",
    ),
    "no values": (typed({**A, "contents": None}, B), "fp32_contents holds 0"),
    "values in another field": (
        typed({**A, "contents": {"fp64_contents": [1, 2]}}, B),
        "input 'a': FP32 goes in fp32_contents, and fp64_contents is filled",
    ),
    "too few raw tensors": (
        raw_of(RAW[0]),
        "raw_input_contents holds 1 tensors for 2 inputs; it holds all of them, or none",
    ),
    "too many raw tensors": (raw_of(*RAW, b""), "raw_input_contents holds 3 tensors for 2"),
    "raw and typed": (
        typed(A, B, raw_input_contents=RAW),
        "input 'a': contents is filled, and so is raw_input_contents",
    ),
    "too few bytes": (
        raw_of(RAW[0][:-1], RAW[1]),
        r"shape \[1, 2\] of FP32 takes 8 bytes, the binary data has 7",
    ),
    "unknown output": (
        typed(A, B, outputs=[{"name": "x"}]),
        "unknown output 'x'; the model gives 'y', 'z'",
    ),
    "output without a name": (typed(A, B, outputs=[{}]), r"outputs\[0\]: name is missing"),
    "output twice": (
        typed(A, B, outputs=[{"name": "y"}, {"name": "y"}]),
        "output 'y' is asked for twice",
    ),
    "classification": (
        typed(
            A, B,
            outputs=[{"name": "y", "parameters": {"classification": {"int64_param": 1}}}],
        ),
        "output 'y': the parameter classification is not supported",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_say_what_was_expected(request_: ModelInferRequest, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        decode_request(request_, PAIR)


def test_the_examples_above_are_right_but_for_their_mistake() -> None:
    for request in (typed(A, B), raw_of(*RAW)):
        decoded = decode_request(request, PAIR)
        assert same(decoded.inputs["a"], np.array([[1, 2]], np.float32))
        assert same(decoded.inputs["b"], np.array([3], np.int64))
        assert [wanted.name for wanted in decoded.outputs] == ["y", "z"]
        assert decoded.id is None


NARROW = [d for d in Datatype if d.dtype.kind in "iu" and d.dtype.itemsize < 4]


@pytest.mark.parametrize("datatype", NARROW)
def test_values_beyond_a_narrow_integer_are_refused(datatype: Datatype) -> None:
    limits = np.iinfo(datatype.dtype)
    field = "int_contents" if limits.min else "uint_contents"

    def read(values: list[int]) -> Array:
        tensor = {"name": "x", "datatype": datatype, "shape": [len(values)]}
        request = ModelInferRequest(inputs=[{**tensor, "contents": {field: values}}])
        return decode_request(request, echo(datatype, 1)).inputs["x"]

    assert read([int(limits.min), int(limits.max)]).tolist() == [limits.min, limits.max]
    for beyond in {int(limits.max) + 1, int(limits.min) - 1} - {-1}:
        with pytest.raises(RequestError, match=f"a value is out of range for {datatype}"):
            read([0, beyond])


def test_a_string_that_is_no_utf_8_is_refused_in_either_form() -> None:
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1]}
    as_values = ModelInferRequest(inputs=[{**tensor, "contents": {"bytes_contents": [b"\xff"]}}])
    as_raw = ModelInferRequest(inputs=[tensor], raw_input_contents=[b"\1\0\0\0\xff"])
    for request in (as_values, as_raw):
        with pytest.raises(RequestError, match="input 'x': a BYTES element is not UTF-8"):
            decode_request(request, echo(Datatype.BYTES, 1))


def test_fp16_goes_in_raw_and_comes_out_raw() -> None:
    tensor = {"name": "x", "datatype": "FP16", "shape": [1]}
    request = ModelInferRequest(inputs=[{**tensor, "contents": {"fp32_contents": [1]}}])
    with pytest.raises(RequestError, match="no field for FP16; send all inputs in raw_input_con"):
        decode_request(request, echo(Datatype.FP16, 1))
    mixed = Signature(
        inputs=(spec(Datatype.FP32, name="x"),),
        outputs=(spec(Datatype.FP16, name="half"), spec(Datatype.FP32, name="whole")),
    )
    scalar = ModelInferRequest(
        inputs=[{"name": "x", "datatype": "FP32", "contents": {"fp32_contents": [1]}}]
    )
    assert [each.binary for each in decode_request(scalar, mixed).outputs] == [True, True]
    scalar.outputs.add(name="whole")
    assert [each.binary for each in decode_request(scalar, mixed).outputs] == [False]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        decode_request(parse(ModelInferRequest, data), PAIR)
    except RequestError:
        return


MOST = 100_000
BOMBS: dict[str, bytes] = {
    "empty inputs": b"\x2a\x00" * MOST,
    "empty raw tensors": b"\x3a\x00" * MOST,
    "unknown numbers": b"\x78\x01" * MOST,
    "unknown words": b"\x7d\x00\x00\x00\x00" * MOST,
    "values": typed({**A, "contents": {"fp32_contents": [0] * MOST}}).SerializeToString(),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_message_that_would_unfold_to_many_times_its_size_is_refused(bomb: bytes) -> None:
    assert ModelInferRequest.FromString(bomb), "it would be read"
    with pytest.raises(RequestError, match="are not in raw_input_contents") as caught:
        check_outline(bomb, MOST)
    assert caught.value.status == 413


def test_raw_tensors_may_be_large() -> None:
    large = typed(A, B, raw_input_contents=[bytes(10 * MOST)]).SerializeToString()
    check_outline(large, MOST)


@given(st.binary(max_size=200))
def test_any_bytes_have_an_outline(data: bytes) -> None:
    check_outline(data, 100 * 200)


@given(st.lists(st.binary(max_size=300), max_size=5), st.text(max_size=300))
def test_the_outline_weighs_what_is_beside_raw_tensors(raw: list[bytes], name: str) -> None:
    data = ModelInferRequest(id=name, raw_input_contents=raw).SerializeToString()
    beside = ModelInferRequest(id=name).ByteSize()
    cost = beside + 64 * (len(raw) + bool(name))
    check_outline(data, cost)
    if cost:
        with pytest.raises(RequestError):
            check_outline(data, cost - 1)


MESSAGES = sorted(ours.DESCRIPTOR.message_types_by_name)


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_those_of_tritons_client_on_the_wire(name: str) -> None:
    mine = ours.DESCRIPTOR.message_types_by_name[name]
    assert wire(mine) <= wire(theirs.DESCRIPTOR.message_types_by_name[name])


def wire(message: Descriptor) -> set[tuple[object, ...]]:
    """Return what of a message's fields can be seen in bytes, and the names by which they go."""
    found = {_field(field) for field in message.fields}
    return found.union(*(wire(nested) for nested in message.nested_types))


def _field(field: FieldDescriptor) -> tuple[object, ...]:
    kind = field.message_type.full_name if field.message_type else ""
    return field.full_name, field.number, field.type, field.is_repeated, kind


def test_the_methods_are_those_of_tritons_client() -> None:
    mine = ours.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    other = theirs.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for method in mine.methods:
        assert other[method.name].input_type.full_name == method.input_type.full_name
        assert other[method.name].output_type.full_name == method.output_type.full_name


def test_the_generated_files_are_what_the_proto_says() -> None:
    command = [sys.executable, "-m", "driftline_serving.server.grpc.generate", "--check"]
    subprocess.run(command, check=True, timeout=60)

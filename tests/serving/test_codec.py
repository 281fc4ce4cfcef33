"""What the protocol's bodies become, and the way back."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from driftline_serving.errors import RequestError
from driftline_serving.server.codec import Body, decode_request, encode_response
from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import (
    ANY_LENGTH,
    Array,
    Datatype,
    Signature,
    TensorSpec,
    WantedOutput,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def spec(datatype: Datatype, *shape: int, name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def echo(datatype: Datatype, rank: int) -> Signature:
    tensor = spec(datatype, *[ANY_LENGTH] * rank)
    return Signature(inputs=(tensor,), outputs=(tensor,))


@st.composite
def tensors(draw: st.DrawFn) -> tuple[Datatype, Array]:
    datatype = draw(st.sampled_from(list(Datatype)))
    elements = TEXT if datatype is Datatype.BYTES else None
    return datatype, draw(npst.arrays(datatype.dtype, draw(SHAPES), elements=elements))


def same(one: Array, other: Array) -> bool:
    """Equal in value, shape and type; NaN is equal to NaN, and -0.0 is not 0.0."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool((one == other).all())
    signs = np.signbit(one) == np.signbit(other)
    return bool((((one == other) & signs) | (np.isnan(one) & np.isnan(other))).all())


@given(tensors(), st.booleans())
def test_what_is_written_is_read_back(tensor: tuple[Datatype, Array], binary: bool) -> None:
    datatype, array = tensor
    signature = echo(datatype, array.ndim)
    wanted = InferRequest(id="7", inputs={}, outputs=(WantedOutput(name="x", binary=binary),))
    body = encode_response(wanted, [array], {"model_name": "m"}, signature)
    header = strict_json(body.content[: body.json_length])
    assert (header["id"], header["model_name"]) == ("7", "m")
    as_request = json.dumps({"inputs": header["outputs"]}).encode()
    tail = b"" if body.json_length is None else body.content[body.json_length :]
    length = len(as_request) if binary else None
    again = decode_request(Body(content=as_request + tail, json_length=length), signature)
    assert same(again.inputs["x"], array)


@given(tensors())
def test_nested_data_means_the_same_as_flat(tensor: tuple[Datatype, Array]) -> None:
    datatype, array = tensor
    finite = np.nan_to_num(array) if datatype.is_float else array
    nested = read(datatype, array.shape, finite.tolist() if array.ndim else [finite.item()])
    assert same(nested, read(datatype, array.shape, finite.reshape(-1).tolist()))


def read(datatype: Datatype, shape: tuple[int, ...], data: object) -> Array:
    header = {"name": "x", "datatype": datatype.value, "shape": shape, "data": data}
    content = json.dumps({"inputs": [header]}).encode()
    return decode_request(Body(content=content), echo(datatype, len(shape))).inputs["x"]


def strict_json(content: bytes) -> Any:
    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    return json.loads(content, parse_constant=refuse)


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.FP32, Datatype.FP64])
def test_nan_and_infinity_are_values_and_the_body_stays_json(datatype: Datatype) -> None:
    array = np.array([1.5, np.nan, np.inf, -np.inf], dtype=datatype.dtype)
    wanted = InferRequest(id=None, inputs={}, outputs=(WantedOutput(name="x", binary=False),))
    body = encode_response(wanted, [array], {}, echo(datatype, 1))
    assert strict_json(body.content)["outputs"][0]["data"] == [1.5, "NaN", "Infinity", "-Infinity"]


def test_bare_nan_tokens_of_python_clients_are_read() -> None:
    read_back = read(Datatype.FP32, (3,), [float("nan"), float("inf"), -1])
    assert same(read_back, np.array([np.nan, np.inf, -1], dtype=np.float32))


def with_and_without_nan(number: str) -> list[Array | str]:
    """What becomes of a number alone, and beside a bare NaN, which another parser reads."""
    found: list[Array | str] = []
    for data in (f"[{number}, 0]", f"[{number}, NaN]"):
        tensor = f'{{"name": "x", "datatype": "FP64", "shape": [2], "data": {data}}}'
        try:
            body = Body(content=f'{{"inputs": [{tensor}]}}'.encode())
            found.append(decode_request(body, echo(Datatype.FP64, 1)).inputs["x"][:1])
        except RequestError as error:
            found.append(str(error).partition(":")[0])
    return found


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 400, "9" * 5000, "-" + "9" * 400, "1" + "0" * 400 + ".5"]
)
def test_a_number_that_no_double_holds_is_refused_also_beside_nan(number: str) -> None:
    assert with_and_without_nan(number) == ["the body is not valid JSON"] * 2


@pytest.mark.parametrize(
    "number",
    ["0", "-0", "-0.0", "1e-400", str(2**53 + 1), str(-(2**63) - 1), str(2**64), "9" * 300],
)
def test_a_number_means_the_same_beside_nan(number: str) -> None:
    alone, beside = with_and_without_nan(number)
    assert isinstance(alone, np.ndarray)
    assert isinstance(beside, np.ndarray)
    assert same(alone, beside)


@pytest.mark.parametrize(
    ("datatype", "lowest", "highest"),
    [(d, np.iinfo(d.dtype).min, np.iinfo(d.dtype).max) for d in Datatype if d.dtype.kind in "iu"],
)
def test_integers_keep_every_bit_at_both_ends(
    datatype: Datatype, lowest: int, highest: int
) -> None:
    assert read(datatype, (2,), [lowest, highest]).tolist() == [lowest, highest]
    for beyond in (lowest - 1, highest + 1):
        with pytest.raises(RequestError, match=r"input 'x': .*(out of range|integers)"):
            read(datatype, (1,), [beyond])


PAIR = Signature(
    inputs=(spec(Datatype.FP32, -1, 2, name="a"), spec(Datatype.INT64, -1, name="b")),
    outputs=(spec(Datatype.FP32, -1, name="y"), spec(Datatype.FP32, -1, name="z")),
)
A = {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
B = {"name": "b", "datatype": "INT64", "shape": [1], "data": [3]}


def with_a(**changes: object) -> dict[str, object]:
    changed = {**A, **changes}
    return {"inputs": [{k: v for k, v in changed.items() if v is not ...}, B]}


MISTAKES: dict[str, tuple[object, str]] = {
    "not an object": ([], "the request must be an object"),
    "no inputs": ({}, "the request: inputs is missing"),
    "inputs are no array": ({"inputs": {}}, "inputs must be an array"),
    "an input is no object": ({"inputs": [1]}, r"inputs\[0\] must be an object"),
    "id is a number": ({"id": 1, "inputs": [A, B]}, "id must be a string"),
    "no name": (with_a(name=...), r"inputs\[0\]: name is missing"),
    "unknown input": (with_a(name="c"), "unknown input 'c'; the model takes 'a', 'b'"),
    "given twice": ({"inputs": [A, A, B]}, "input 'a' is given twice"),
    "one is missing": ({"inputs": [B]}, "missing input 'a'; the model takes 'a', 'b'"),
    "no datatype": (with_a(datatype=...), "input 'a': datatype is missing"),
    "wrong datatype": (with_a(datatype="FP64"), "input 'a': datatype is FP64, .* FP32"),
    "made-up datatype": (with_a(datatype="F"), "input 'a': datatype is F, the model takes FP32"),
    "no shape": (with_a(shape=...), "input 'a': shape is missing"),
    "shape of fractions": (with_a(shape=[1.0, 2]), "input 'a': shape must be an array of int"),
    "shape below zero": (with_a(shape=[-1, 2]), "input 'a': shape must be an array of int"),
    "shape of booleans": (with_a(shape=[True, 2]), "input 'a': shape must be an array of int"),
    "wrong rank": (with_a(shape=[2]), r"input 'a': shape has 1 axes, the model takes \[-1, 2\]"),
    "wrong length": (with_a(shape=[1, 3]), r"shape is \[1, 3\], the model takes \[-1, 2\]"),
    "huge shape": (with_a(shape=[2**60, 2]), "shape .* is larger than any request"),
    "no data": (with_a(data=...), "input 'a': data is missing"),
    "data is no array": (with_a(data=3), "input 'a': data must be an array"),
    "too few values": (with_a(data=[1]), r"shape \[1, 2\] asks for 2 values, data holds 1"),
    "too many values": (with_a(data=[1, 2, 3]), "asks for 2 values, data holds 3"),
    "too many rows": (with_a(data=[[1, 2], [3, 4]]), "holds 2 items on axis 0, .* asks for 1"),
    "a ragged row": (with_a(shape=[2, 2], data=[[1, 2], [3]]), "holds 1 items on axis 1"),
    "nested here only": (with_a(shape=[2, 2], data=[[1, 2], 3]), "nested 1 deep in one place"),
    "nested too deep": (with_a(data=[[[1], [2]]]), "expected numbers for FP32, .*arrays"),
    "null for a number": (with_a(data=[1, None]), "expected numbers for FP32, .*holds null"),
    "a word for a number": (with_a(data=[1, "two"]), 'got the string "two"'),
    "true for a number": (with_a(data=[1, True]), "expected numbers for FP32, .*true or false"),
    "too large for FP32": (with_a(data=[1, 1e39]), "a value is out of range for FP32"),
    "too large for a double": (with_a(data=[1, 10**400]), "valid JSON|out of range for FP32"),
    "fraction for an integer": (
        {"inputs": [A, {**B, "data": [3.0]}]},
        "input 'b': expected integers for INT64, data also holds fractions",
    ),
    "NaN for an integer": (
        {"inputs": [A, {**B, "data": ["NaN"]}]},
        "input 'b': expected integers for INT64, data also holds strings",
    ),
    "unknown output": (
        {"inputs": [A, B], "outputs": [{"name": "q"}]},
        "unknown output 'q'; the model gives 'y', 'z'",
    ),
    "output asked for twice": (
        {"inputs": [A, B], "outputs": [{"name": "y"}, {"name": "y"}]},
        "output 'y' is asked for twice",
    ),
    "classification": (
        {"inputs": [A, B], "outputs": [{"name": "y", "parameters": {"classification": 2}}]},
        "output 'y': the parameter classification is not supported",
    ),
    "shared memory": (
        with_a(parameters={"shared_memory_region": "r"}),
        "input 'a': shared memory is not supported",
    ),
    "parameters are no object": (with_a(parameters=[]), "parameters must be an object"),
    "bytes that are not there": (
        with_a(parameters={"binary_data_size": 8}),
        "input 'a': binary_data_size is 8, but 0 bytes are left",
    ),
    "bytes below zero": (with_a(parameters={"binary_data_size": -8}), "binary_data_size is -8"),
}


@pytest.mark.parametrize(("request_", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_what_was_expected(request_: object, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        decode_request(Body(content=json.dumps(request_).encode()), PAIR)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'{"inputs": [NaN', b"NaN " * 9, b"[" * 100_000 + b"NaN", b'"\\ud800"'],
)
def test_what_is_not_json_is_told_so(content: bytes) -> None:
    with pytest.raises(RequestError, match="not valid JSON"):
        decode_request(Body(content=content), PAIR)


def test_members_that_are_null_count_as_left_out() -> None:
    request = {"id": None, "parameters": None, "inputs": [A, B], "outputs": None}
    decoded = decode_request(Body(content=json.dumps(request).encode()), PAIR)
    assert (decoded.id, [wanted.name for wanted in decoded.outputs]) == (None, ["y", "z"])


STRINGS = echo(Datatype.BYTES, 1)


def test_a_model_of_strings_misses_its_input_too() -> None:
    with pytest.raises(RequestError, match="missing input 'x'; the model takes 'x'"):
        decode_request(Body(content=b'{"inputs": []}'), STRINGS)


def binary_strings(raw: bytes, shape: tuple[int, ...] = (1,)) -> list[str]:
    tensor = {"name": "x", "datatype": "BYTES", "shape": shape,
              "parameters": {"binary_data_size": len(raw)}}  # fmt: skip
    header = json.dumps({"inputs": [tensor]}).encode()
    body = Body(content=header + raw, json_length=len(header))
    return list(decode_request(body, STRINGS).inputs["x"])


def framed(*items: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def test_binary_strings_may_hold_anything_but_broken_utf8() -> None:
    assert binary_strings(framed(b"", "ü\0".encode()), (2,)) == ["", "ü\0"]
    with pytest.raises(RequestError, match="not UTF-8"):
        binary_strings(framed(b"\xff"))


@pytest.mark.parametrize("raw", [b"\1\0\0", framed(b"abc")[:-1], b"\xff\xff\xff\xff"])
def test_binary_strings_that_end_early_are_refused(raw: bytes) -> None:
    with pytest.raises(RequestError, match="ends inside a string"):
        binary_strings(raw)


def test_binary_strings_are_counted() -> None:
    with pytest.raises(RequestError, match="asks for 1 strings, the binary data holds 2"):
        binary_strings(framed(b"a", b"b"))


@pytest.mark.parametrize("other", ["NaN", "plain"])
def test_a_string_that_is_no_unicode_is_refused(other: str) -> None:
    tensor = {"name": "x", "datatype": "BYTES", "shape": [2], "data": [other, "\ud800"]}
    with pytest.raises(RequestError, match="not valid"):
        decode_request(Body(content=json.dumps({"inputs": [tensor]}).encode()), STRINGS)


@pytest.mark.parametrize("side", [2**31, 2**62, 2**63, 2**70])
def test_an_empty_tensor_of_absurd_shape_is_refused(side: int) -> None:
    with pytest.raises(RequestError, match="input 'x': shape"):
        read(Datatype.FP32, (0, side, side), [])


def test_a_byte_that_is_no_boolean_is_refused() -> None:
    tensor = {"name": "x", "datatype": "BOOL", "shape": [1], "parameters": {"binary_data_size": 1}}
    header = json.dumps({"inputs": [tensor]}).encode()
    with pytest.raises(RequestError, match="neither 0 nor 1"):
        decode_request(
            Body(content=header + b"\2", json_length=len(header)), echo(Datatype.BOOL, 1)
        )


@given(st.binary(max_size=200), st.none() | st.integers(0, 250))
def test_no_bytes_at_all_do_worse_than_be_refused(content: bytes, json_length: int | None) -> None:
    with pytest.raises(RequestError):
        decode_request(Body(content=content, json_length=json_length), PAIR)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), JSON_VALUES)
def test_no_value_in_any_place_does_worse_than_be_refused(member: str, value: object) -> None:
    body = Body(content=json.dumps({"inputs": [{**A, member: value}, B]}).encode())
    try:
        decoded = decode_request(body, PAIR)
    except RequestError:
        return
    assert decoded.inputs["a"].dtype == np.float32

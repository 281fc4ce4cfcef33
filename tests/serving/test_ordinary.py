"""What is read quickly is read as those would read it who ask what is wrong."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.errors import RequestError
from driftline_serving.server import codec
from driftline_serving.server.codec import Body, decode_request
from driftline_serving.server.ordinary import read_ordinary
from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import ANY_LENGTH, Datatype, Signature
from tests.serving.test_codec import JSON_VALUES, PAIR, A, B, echo, same, spec

#: Where a datatype ends, and what is beside it.
EDGES: list[Any] = [
    0,
    -0.0,
    1,
    True,
    127,
    128,
    255,
    256,
    2**15,
    2**16,
    2**31,
    2**32,
    2**63,
    2**64,
    10**300,
]
EDGES += [65504, 65519.99, 65520, 3.4028235e38, 3.4028235677973366e38, 1e39, 5e-324, 1e-45, 0.1]
EDGES += [-129, -(2**31) - 1, -(2**63) - 1, "NaN", None, float("nan"), float("inf")]


def explained(content: bytes, signature: Signature) -> InferRequest | RequestError:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(codec, "read_ordinary", lambda *_: None)
        try:
            return decode_request(Body(content=content), signature)
        except RequestError as error:
            return error


def agree(content: bytes, signature: Signature) -> InferRequest | None:
    """Check that both ways lead to the same, and return what the quick one says."""
    slow = explained(content, signature)
    try:
        quick = read_ordinary(codec.parse_json(content), signature)
    except RequestError:
        return None
    if quick is None:
        return None
    assert isinstance(slow, InferRequest), slow
    assert (quick.id, quick.outputs) == (slow.id, slow.outputs)
    assert quick.inputs.keys() == slow.inputs.keys()
    for name, array in quick.inputs.items():
        assert same(array, slow.inputs[name])
    return quick


@given(st.sampled_from(list(Datatype)), st.lists(st.sampled_from(EDGES), min_size=1, max_size=3))
def test_every_value_becomes_the_same(datatype: Datatype, values: list[Any]) -> None:
    tensor = {"name": "x", "datatype": datatype.value, "shape": [len(values)], "data": values}
    agree(json.dumps({"inputs": [tensor]}).encode(), echo(datatype, 1))


@given(
    st.sampled_from(["name", "datatype", "shape", "data", "parameters"]),
    JSON_VALUES | st.lists(st.integers(-1, 3), max_size=3),
)
def test_every_oddity_of_a_tensor_ends_the_same(member: str, value: object) -> None:
    agree(json.dumps({"inputs": [{**A, member: value}, B]}).encode(), PAIR)


@given(st.sampled_from(["id", "inputs", "outputs", "parameters", "more"]), JSON_VALUES)
def test_every_oddity_of_a_request_ends_the_same(member: str, value: object) -> None:
    agree(json.dumps({"inputs": [A, B], member: value}).encode(), PAIR)


@given(st.lists(st.lists(st.integers(0, 9) | st.lists(st.integers(0, 9)), max_size=3), max_size=3))
def test_nesting_ends_the_same(data: list[Any]) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": data}
    agree(json.dumps({"inputs": [tensor]}).encode(), echo(Datatype.FP32, 2))


def test_the_ordinary_request_is_read_quickly() -> None:
    rows = Signature(inputs=(spec(Datatype.FP32, ANY_LENGTH, 2),), outputs=PAIR.outputs)
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2]}
    for data in ([1, 2, 3, 4.5], [[1, 2], [3, 4.5]]):
        content = json.dumps({"id": "7", "inputs": [{**tensor, "data": data}]}).encode()
        found = agree(content, rows)
        assert found is not None
        assert found.inputs["x"].tolist() == [[1, 2], [3, 4.5]]
        assert found.inputs["x"].dtype == np.float32

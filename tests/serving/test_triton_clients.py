"""Judged by clients that we did not write: Triton's four, unmodified, asked the same questions."""

import asyncio
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from driftline_serving.server.tensors import Array, Datatype
from tests.serving import onnx_models
from tests.serving.conftest import REVISION
from tests.serving.processes import Server

ROWS = onnx_models.cancer_rows()[0][:40]
NAMES = ["probabilities", "label"]


class Client:
    """One of the four: of HTTP or gRPC, that blocks or is awaited."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.is_grpc = ".grpc" in module.__name__

    def call(self, server: Server, method: str, *args: Any, **more: Any) -> Any:
        """Call a method of the client on a connection of its own."""
        address = server.grpc_address if self.is_grpc else server.address
        kind: Any = self.module.InferenceServerClient

        async def awaited() -> Any:
            async with kind(address) as made:
                return await getattr(made, method)(*args, **more)

        if self.module.__name__.endswith(".aio"):
            return asyncio.run(awaited())
        with kind(address) as made:
            return getattr(made, method)(*args, **more)

    def infer(self, server: Server, inputs: dict[str, Array], **more: Any) -> Any:
        return self.call(
            server, "infer", "m", [self._input(*each) for each in inputs.items()], **more
        )

    def _input(self, name: str, array: Array) -> Any:
        made = self.module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        return made.set_data_from_numpy(array)

    def wanted(self, names: Sequence[str]) -> list[Any]:
        return [self.module.InferRequestedOutput(name) for name in names]

    def names_in(self, found: Any) -> list[str]:
        response = found.get_response()
        if self.is_grpc:
            return [output.name for output in response.outputs]
        return [output["name"] for output in response["outputs"]]

    def member(self, found: Any, name: str) -> Any:
        """A member of the whole response."""
        response = found.get_response()
        return getattr(response, name) if self.is_grpc else response[name]


ALL = {
    module.__name__.removeprefix("tritonclient."): Client(module)
    for module in (
        tritonclient.http, tritonclient.http.aio, tritonclient.grpc, tritonclient.grpc.aio
    )
}  # fmt: skip


@pytest.fixture(params=ALL)
def client(request: pytest.FixtureRequest) -> Client:
    return ALL[request.param]


def test_health(client: Client, cancer: Server) -> None:
    assert client.call(cancer, "is_server_live")
    assert client.call(cancer, "is_server_ready")
    assert client.call(cancer, "is_model_ready", "m")
    assert client.call(cancer, "is_model_ready", "m", REVISION)
    if client.is_grpc:
        with pytest.raises(InferenceServerException, match="unknown model 'other'"):
            client.call(cancer, "is_model_ready", "other")
    else:
        assert not client.call(cancer, "is_model_ready", "other")


def test_metadata(client: Client, cancer: Server) -> None:
    more = {"as_json": True} if client.is_grpc else {}
    server = client.call(cancer, "get_server_metadata", **more)
    assert server == {
        "name": "driftline", "version": "0.1.0", "extensions": ["binary_tensor_data"],
    }  # fmt: skip
    for version in ("", REVISION):
        model = client.call(cancer, "get_model_metadata", "m", version, **more)
        assert (model["name"], model["versions"]) == ("m", [REVISION])
        assert model["platform"] == "onnxruntime_onnx"
        tensors = [
            (each["name"], each["datatype"], [int(axis) for axis in each["shape"]])
            for each in model["inputs"] + model["outputs"]
        ]
        assert tensors == [
            ("X", "FP32", [-1, 30]), ("label", "INT64", [-1]), ("probabilities", "FP32", [-1, 2]),
        ]  # fmt: skip


def test_predicts(client: Client, cancer: Server) -> None:
    found = client.infer(cancer, {"X": ROWS}, request_id="r-ü")
    assert client.member(found, "id") == "r-ü"
    assert client.member(found, "model_version") == REVISION
    assert client.names_in(found) == ["label", "probabilities"]
    forest = onnx_models.cancer_forest()
    np.testing.assert_array_equal(found.as_numpy("label"), forest.predict(ROWS))
    expected = forest.predict_proba(ROWS)
    np.testing.assert_allclose(found.as_numpy("probabilities"), expected, atol=1e-5)


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], NAMES[:1], NAMES[1:]])
def test_outputs_come_as_asked_for_and_in_that_order(
    client: Client, cancer: Server, names: list[str]
) -> None:
    found = client.infer(cancer, {"X": ROWS}, outputs=client.wanted(names))
    assert client.names_in(found) == names


def test_a_version_can_be_named(client: Client, cancer: Server) -> None:
    found = client.infer(cancer, {"X": ROWS}, model_version=REVISION)
    assert found.as_numpy("label").shape == (40,)
    with pytest.raises(InferenceServerException, match="unknown version '9' of 'm'") as caught:
        client.infer(cancer, {"X": ROWS}, model_version="9")
    assert caught.value.status() == ("StatusCode.NOT_FOUND" if client.is_grpc else "404")


def test_every_datatype(client: Client, mirror: Server) -> None:
    """Thirteen inputs and outputs at once."""
    given = {d.value.lower(): onnx_models.samples(d) for d in Datatype}
    found = client.infer(mirror, {f"in_{name}": array for name, array in given.items()})
    for name, array in given.items():
        back = found.as_numpy(f"out_{name}")
        assert back.shape == (2, 2)
        np.testing.assert_array_equal(as_text(back), array)


def as_text(array: Array) -> Array:
    """The client gives strings as bytes, where they came so."""
    if array.dtype != object:
        return array
    words = [item.decode() if isinstance(item, bytes) else item for item in array.flat]
    return np.array(words, object).reshape(array.shape)


def test_strings(client: Client, iris: Server) -> None:
    words, widths, _ = onnx_models.iris_strings()
    found = client.infer(iris, {"length": words, "width": widths})
    expected = onnx_models.iris_pipeline().predict(np.hstack([words, widths.astype(object)]))
    assert as_text(found.as_numpy("label")).tolist() == expected.tolist()


def test_an_empty_batch_has_empty_answers(client: Client, cancer: Server) -> None:
    found = client.infer(cancer, {"X": ROWS[:0]})
    assert found.as_numpy("label").shape == (0,)
    assert found.as_numpy("probabilities").shape == (0, 2)


def everything(**arrays: Array) -> dict[str, Array]:
    """Inputs for the mirror, of which most are of no interest."""
    blank = {d.value.lower(): np.zeros((1, 1), d.dtype) for d in Datatype}
    blank["bytes"][:] = ""
    return {f"in_{name}": array for name, array in {**blank, **arrays}.items()}


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 0), (0, 3), (300, 5)])
def test_axes_may_be_of_any_length(client: Client, mirror: Server, shape: tuple[int, int]) -> None:
    array = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    found = client.infer(mirror, everything(int32=array), outputs=client.wanted(["out_int32"]))
    np.testing.assert_array_equal(found.as_numpy("out_int32"), array)


@pytest.mark.filterwarnings("ignore:Sending a large body directly")  # what aiohttp thinks of it
def test_large_bodies(client: Client, mirror: Server) -> None:
    """12 MB each way, of numbers and of strings."""
    numbers = np.random.default_rng(0).random((1500, 2000), np.float32)
    words = np.full((20, 5), "ü" * 60_000, object)
    wanted = client.wanted(["out_fp32", "out_bytes"])
    found = client.infer(mirror, everything(fp32=numbers, bytes=words), outputs=wanted)
    np.testing.assert_array_equal(found.as_numpy("out_fp32"), numbers)
    np.testing.assert_array_equal(as_text(found.as_numpy("out_bytes")), words)


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compressed_requests(client: Client, cancer: Server, compression: str) -> None:
    if client.is_grpc:
        more = {"compression_algorithm": compression}
    else:
        names = ("request_compression_algorithm", "response_compression_algorithm")
        more = dict.fromkeys(names, compression)
    found = client.infer(cancer, {"X": ROWS}, **more)
    assert found.as_numpy("label").shape == (40,)


def test_parameters_that_nobody_knows_are_passed_over(client: Client, cancer: Server) -> None:
    parameters = {"number": 7, "text": "x", "truth": True}
    found = client.infer(
        cancer, {"X": ROWS}, parameters=parameters, sequence_id=7, sequence_start=True, priority=1
    )
    assert found.as_numpy("label").shape == (40,)


MISTAKES = {
    "unknown input": ({"Y": ROWS}, "unknown input 'Y'; the model takes 'X'"),
    "datatype": ({"X": ROWS.astype(np.float64)}, "datatype is FP64, the model takes FP32"),
    "shape": ({"X": ROWS[:, :29].copy()}, r"shape is \[40, 29\], the model takes \[-1, 30\]"),
    "rank": ({"X": ROWS[0]}, r"shape has 1 axes, the model takes \[-1, 30\]"),
    "one too many": ({"X": ROWS, "Y": ROWS}, "unknown input 'Y'; the model takes 'X'"),
}


@pytest.mark.parametrize(("given", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told(
    client: Client, cancer: Server, given: dict[str, Array], message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message) as caught:
        client.infer(cancer, given)
    expected = "StatusCode.INVALID_ARGUMENT" if client.is_grpc else "400"
    assert caught.value.status() == expected


def test_classification_is_refused(client: Client, cancer: Server) -> None:
    wanted = [client.module.InferRequestedOutput("probabilities", class_count=2)]
    with pytest.raises(InferenceServerException, match="parameter classification is not supported"):
        client.infer(cancer, {"X": ROWS}, outputs=wanted)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_over_http_tensors_are_values_or_bytes_as_the_client_likes(
    cancer: Server, binary_in: bool, binary_out: bool | None
) -> None:
    made = tritonclient.http.InferInput("X", [40, 30], "FP32")
    made.set_data_from_numpy(ROWS, binary_data=binary_in)
    wanted = [
        tritonclient.http.InferRequestedOutput(name, binary_data=binary_out) for name in NAMES
    ]
    asked = {} if binary_out is None else {"outputs": wanted}
    with tritonclient.http.InferenceServerClient(cancer.address) as client:
        found = client.infer("m", [made], **asked)
    forest = onnx_models.cancer_forest()
    np.testing.assert_array_equal(found.as_numpy("label"), forest.predict(ROWS))
    expected = forest.predict_proba(ROWS)
    np.testing.assert_allclose(found.as_numpy("probabilities"), expected, atol=1e-5)


def test_every_datatype_as_values(mirror: Server) -> None:
    """But for FP16, which the client sends as bytes only."""
    given = {d.value.lower(): onnx_models.samples(d) for d in Datatype}
    inputs = []
    for name, array in given.items():
        made = tritonclient.http.InferInput(f"in_{name}", [2, 2], np_to_triton_dtype(array.dtype))
        inputs.append(made.set_data_from_numpy(array, binary_data=name == "fp16"))
    outputs = [
        tritonclient.http.InferRequestedOutput(f"out_{name}", binary_data=False) for name in given
    ]
    with tritonclient.http.InferenceServerClient(mirror.address) as client:
        found = client.infer("m", inputs, outputs=outputs)
    for name, array in given.items():
        np.testing.assert_array_equal(as_text(found.as_numpy(f"out_{name}")), array)

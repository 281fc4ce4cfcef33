"""gRPC judged by a client that we did not write: Triton's, unmodified, sync and aio."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from driftline_serving.server.tensors import Array, Datatype
from tests.serving import onnx_models
from tests.serving.conftest import REVISION
from tests.serving.processes import Server
from tests.serving.test_triton_client import samples


@pytest.fixture
def client(cancer: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(cancer.grpc_address) as client:
        yield client


def tensor(name: str, array: Array) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return made.set_data_from_numpy(array)


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.is_model_ready("m", REVISION)
    with pytest.raises(InferenceServerException, match="unknown model 'other'"):
        client.is_model_ready("other")
    server = client.get_server_metadata()
    assert (server.name, list(server.extensions)) == ("driftline", ["binary_tensor_data"])
    model = client.get_model_metadata("m")
    assert (model.name, list(model.versions)) == ("m", [REVISION])
    assert model.platform == "onnxruntime_onnx"
    assert list(model.inputs[0].shape) == [-1, 30]
    assert [(each.name, each.datatype) for each in model.outputs] == [
        ("label", "INT64"), ("probabilities", "FP32"),
    ]  # fmt: skip


@pytest.mark.parametrize("names", [["probabilities", "label"], ["label"], None])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_predicts(
    client: triton.InferenceServerClient, names: list[str] | None, compression: str | None
) -> None:
    rows, _ = onnx_models.cancer_rows()
    wanted = names and [triton.InferRequestedOutput(name) for name in names]
    found = client.infer(
        "m",
        [tensor("X", rows[:40])],
        outputs=wanted,
        request_id="r1",
        compression_algorithm=compression,
    )
    response = found.get_response()
    assert (response.id, response.model_version) == ("r1", REVISION)
    given = [output.name for output in response.outputs]
    assert given == (names or ["label", "probabilities"])
    forest = onnx_models.cancer_forest()
    np.testing.assert_array_equal(found.as_numpy("label"), forest.predict(rows[:40]))
    if "probabilities" in given:
        expected = forest.predict_proba(rows[:40])
        np.testing.assert_allclose(found.as_numpy("probabilities"), expected, atol=1e-5)


def test_every_datatype(mirror: Server) -> None:
    given = {d.value.lower(): samples(d) for d in Datatype}
    inputs = [tensor(f"in_{name}", array) for name, array in given.items()]
    with triton.InferenceServerClient(mirror.grpc_address) as client:
        found = client.infer("m", inputs)
    for name, array in given.items():
        back = found.as_numpy(f"out_{name}")
        if name == "bytes":
            assert [item.decode() for item in back.flat] == array.reshape(-1).tolist()
        else:
            np.testing.assert_array_equal(back, array)


def test_strings(iris: Server) -> None:
    words, widths, _ = onnx_models.iris_strings()
    with triton.InferenceServerClient(iris.grpc_address) as client:
        found = client.infer("m", [tensor("length", words), tensor("width", widths)])
    expected = onnx_models.iris_pipeline().predict(np.hstack([words, widths.astype(object)]))
    assert [label.decode() for label in found.as_numpy("label")] == expected.tolist()


def test_an_empty_batch_has_empty_answers(client: triton.InferenceServerClient) -> None:
    found = client.infer("m", [tensor("X", np.empty((0, 30), np.float32))])
    assert found.as_numpy("label").shape == (0,)
    assert found.as_numpy("probabilities").shape == (0, 2)


def test_mistakes_are_told(client: triton.InferenceServerClient) -> None:
    rows, _ = onnx_models.cancer_rows()
    mistakes = {
        "unknown input 'Y'": tensor("Y", rows[:1]),
        "datatype is FP64": tensor("X", rows[:1].astype(np.float64)),
        r"shape is \[1, 29\]": tensor("X", rows[:1, :29].copy()),
    }
    for message, mistake in mistakes.items():
        with pytest.raises(InferenceServerException, match=message) as caught:
            client.infer("m", [mistake])
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


async def test_the_asynchronous_client(cancer: Server) -> None:
    rows, _ = onnx_models.cancer_rows()
    async with triton_aio.InferenceServerClient(cancer.grpc_address) as client:
        assert await client.is_server_ready()
        made = triton_aio.InferInput("X", [3, 30], "FP32").set_data_from_numpy(rows[:3])
        found = await client.infer("m", [made])
    expected = onnx_models.cancer_forest().predict(rows[:3])
    np.testing.assert_array_equal(found.as_numpy("label"), expected)

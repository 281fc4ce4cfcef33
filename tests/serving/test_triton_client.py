"""Judged by a client that we did not write: Triton's, unmodified, sync and aio."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from driftline_serving.server.tensors import Array, Datatype
from tests.serving import onnx_models
from tests.serving.conftest import REVISION
from tests.serving.processes import Server


@pytest.fixture
def client(cancer: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(cancer.address) as client:
        yield client


def tensor(name: str, array: Array, *, binary: bool) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return made.set_data_from_numpy(array, binary_data=binary)


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.is_model_ready("m", REVISION)
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "driftline"
    assert client.get_model_metadata("m")["inputs"][0]["shape"] == [-1, 30]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_predicts(
    client: triton.InferenceServerClient, binary_in: bool, binary_out: bool | None
) -> None:
    rows, _ = onnx_models.cancer_rows()
    names = ["probabilities", "label"]
    wanted = None
    if binary_out is not None:
        wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in names]
    found = client.infer(
        "m", [tensor("X", rows[:40], binary=binary_in)], outputs=wanted, request_id="r1"
    )
    forest = onnx_models.cancer_forest()
    assert found.get_response()["id"] == "r1"
    np.testing.assert_array_equal(found.as_numpy("label"), forest.predict(rows[:40]))
    np.testing.assert_allclose(
        found.as_numpy("probabilities"), forest.predict_proba(rows[:40]), atol=1e-5
    )


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client: triton.InferenceServerClient, algorithm: str) -> None:
    rows, _ = onnx_models.cancer_rows()
    found = client.infer(
        "m",
        [tensor("X", rows[:5], binary=True)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert found.as_numpy("label").shape == (5,)


def samples(datatype: Datatype) -> Array:
    if datatype is Datatype.BYTES:
        return np.array([["", "a"], ["ü", "long " * 50]], dtype=object)
    if datatype is Datatype.BOOL:
        return np.array([[True, False], [False, True]])
    if datatype.is_float:
        return np.array([[0.5, np.nan], [np.inf, -np.inf]], dtype=datatype.dtype)
    limits = np.iinfo(datatype.dtype)
    return np.array([[limits.min, limits.max], [1, 0]], dtype=datatype.dtype)


@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype(mirror: Server, binary: bool) -> None:
    given = {d.value.lower(): samples(d) for d in Datatype}
    # The client itself sends FP16 in binary form only.
    inputs = [
        tensor(f"in_{name}", array, binary=binary or name == "fp16")
        for name, array in given.items()
    ]
    outputs = [triton.InferRequestedOutput(f"out_{name}", binary_data=binary) for name in given]
    with triton.InferenceServerClient(mirror.address) as client:
        found = client.infer("m", inputs, outputs=outputs)
    for name, array in given.items():
        back = found.as_numpy(f"out_{name}")
        assert back.shape == (2, 2)
        if name == "bytes":
            words = [item.decode() if isinstance(item, bytes) else item for item in back.flat]
            assert words == array.reshape(-1).tolist()
        else:
            np.testing.assert_array_equal(back, array)


def test_mistakes_are_told(client: triton.InferenceServerClient) -> None:
    rows, _ = onnx_models.cancer_rows()
    mistakes = {
        "unknown input 'Y'": tensor("Y", rows[:1], binary=True),
        "datatype is FP64": tensor("X", rows[:1].astype(np.float64), binary=True),
        r"shape is \[1, 29\]": tensor("X", rows[:1, :29].copy(), binary=True),
    }
    for message, mistake in mistakes.items():
        with pytest.raises(InferenceServerException, match=message) as caught:
            client.infer("m", [mistake])
        assert caught.value.status() == "400"


async def test_the_asynchronous_client(cancer: Server) -> None:
    rows, _ = onnx_models.cancer_rows()
    async with triton_aio.InferenceServerClient(cancer.address) as client:
        assert await client.is_server_ready()
        made = triton_aio.InferInput("X", [3, 30], "FP32").set_data_from_numpy(rows[:3])
        found = await client.infer("m", [made])
    expected = onnx_models.cancer_forest().predict(rows[:3])
    np.testing.assert_array_equal(found.as_numpy("label"), expected)

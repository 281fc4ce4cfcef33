"""A server that cannot tap, asked through a real proxy by clients that we did not write."""

import asyncio
import gzip
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.grpc import service_pb2_grpc

from driftline_serving.server.prediction_id import pod_hash, pod_of
from driftline_serving.server.tensors import Datatype
from driftline_serving.tap.records import Omitted, Stamp
from tests.proxy.processes import Proxied, foreign, proxying
from tests.serving import grpc_calls
from tests.serving.conftest import DIGEST, POD_IP, REVISION
from tests.serving.processes import exchange
from tests.serving.tap_readers import Told, listening

STAMPS = {"driftline-arm": "canary", "driftline-epoch": "12", "driftline-slot": "1700000005"}
NUMBERS = np.array([[0.5, float("nan")], [1.5, -2.0]], np.float32)
WORDS = np.array(["é", ""], object)
NOT_TEXT = np.array([b"\xff\xfe"], object)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxied") / "tap"


@pytest.fixture(scope="module")
def proxied(path: Path) -> Iterator[Proxied]:
    with foreign() as ports, proxying(path, *ports) as server:
        yield server


def request(values: Any, shape: list[int]) -> dict[str, Any]:
    return {"inputs": [{"name": "X", "datatype": "FP32", "shape": shape, "data": values}]}


async def test_a_call_is_told_as_it_was_answered(proxied: Proxied, path: Path) -> None:
    told = Told()
    async with listening(path, told):
        headers = {**STAMPS, "x-request-id": "order-17"}
        asked = request([[0.5, "NaN"], [1.5, -2.0]], [2, 2])
        answer = await asyncio.to_thread(proxied.infer, asked, headers)
        await told.until_seen(1)
    (found,) = told.inferences
    about = {"model": "m", "revision": REVISION, "digest": DIGEST}
    assert told.frames[-1].source.about == about
    assert answer.json["outputs"] == asked["inputs"]
    assert answer.headers["driftline-revision"] == REVISION
    assert answer.headers["driftline-digest"] == DIGEST
    assert found.id == answer.headers["driftline-prediction-id"]
    assert pod_of(found.id) == pod_hash(POD_IP)
    assert (found.request_id, found.status, found.stamp) == (
        "order-17",
        200,
        Stamp("canary", 12, 1_700_000_005),
    )
    assert 0 < found.latency_us < 60_000_000
    assert found.received_us // 1000 - int(found.id.replace("-", "")[:12], 16) in range(2000)
    np.testing.assert_array_equal(found.inputs["X"], NUMBERS)
    np.testing.assert_array_equal(found.outputs["X"], NUMBERS)


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
async def test_tritons_client_of_http(
    proxied: Proxied, path: Path, packed: str | None, binary: bool
) -> None:
    def ask() -> Any:
        inputs = [
            tritonclient.http.InferInput("X", [2, 2], "FP32").set_data_from_numpy(
                NUMBERS[:, :1].repeat(2, 1), binary_data=binary
            ),
            tritonclient.http.InferInput("W", [2], "BYTES").set_data_from_numpy(
                WORDS, binary_data=binary
            ),
        ]
        with tritonclient.http.InferenceServerClient(proxied.address) as client:
            assert client.is_server_ready()
            return client.infer("m", inputs, request_compression_algorithm=packed)

    told = Told()
    async with listening(path, told):
        await asyncio.to_thread(ask)
        await told.until_seen(1)
    (found,) = told.inferences
    np.testing.assert_array_equal(found.inputs["X"], NUMBERS[:, :1].repeat(2, 1))
    words = found.inputs["W"]
    assert isinstance(words, np.ndarray)
    assert words.tolist() == WORDS.tolist()


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
async def test_tritons_client_of_grpc(proxied: Proxied, path: Path, packed: str | None) -> None:
    def ask() -> Any:
        given = {"X": NUMBERS, "W": WORDS, "B": NOT_TEXT}
        inputs = []
        for name, array in given.items():
            kind = "FP32" if array.dtype == np.float32 else "BYTES"
            made = tritonclient.grpc.InferInput(name, list(array.shape), kind)
            inputs.append(made.set_data_from_numpy(array))
        with tritonclient.grpc.InferenceServerClient(proxied.grpc_address) as client:
            assert client.is_server_ready()
            return client.infer("m", inputs, compression_algorithm=packed, headers=STAMPS)

    told = Told()
    async with listening(path, told):
        answer = await asyncio.to_thread(ask)
        await told.until_seen(1)
    np.testing.assert_array_equal(answer.as_numpy("X"), NUMBERS)
    (found,) = told.inferences
    assert (found.status, found.stamp.epoch) == (200, 12)
    for tensors in (found.inputs, found.outputs):
        np.testing.assert_array_equal(tensors["X"], NUMBERS)
        words = tensors["W"]
        assert isinstance(words, np.ndarray)
        assert words.tolist() == WORDS.tolist()
        assert tensors["B"] == Omitted(Datatype.BYTES, (1,))


async def test_trailers_of_grpc_say_who_answered(proxied: Proxied, path: Path) -> None:
    def ask(channel: grpc.Channel, inputs: int) -> dict[str, str]:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked = grpc_calls.request([{"name": "X", "datatype": "FP32", "shape": [1]}] * inputs)
        try:
            _, call = stub.ModelInfer.with_call(asked)
        except grpc.RpcError as error:
            call = error
        return dict(call.trailing_metadata())

    told = Told()
    async with listening(path, told):
        with grpc_calls.channel_to(proxied) as channel:
            answers = [await asyncio.to_thread(ask, channel, inputs) for inputs in (1, 0, 1)]
        await told.until_seen(3)
    ids = [answer.get("driftline-prediction-id") for answer in answers]
    assert [each.status for each in told.inferences] == [200, 400, 200]
    assert ids == [told.inferences[0].id, None, told.inferences[2].id]
    assert {answer["driftline-revision"] for answer in answers} == {REVISION}


async def test_a_connection_is_kept(proxied: Proxied, path: Path) -> None:
    def ask() -> list[int]:
        connection = http.client.HTTPConnection(proxied.address, timeout=60)
        before = proxied.counted("connections")
        found = []
        for number in range(20):
            body = json.dumps(request([number], [1])).encode()
            answer = exchange(connection, "POST", "/v2/models/m/infer", body)
            found.append(answer.json["outputs"][0]["data"][0])
        assert proxied.counted("connections") == before + 1
        connection.close()
        return found

    told = Told()
    async with listening(path, told):
        assert await asyncio.to_thread(ask) == list(range(20))
        await told.until_seen(20)
    assert [float(np.asarray(each.inputs["X"])[0]) for each in told.inferences] == list(range(20))


async def test_a_body_in_chunks_arrives_as_it_was_sent(proxied: Proxied, path: Path) -> None:
    def ask() -> Any:
        connection = http.client.HTTPConnection(proxied.address, timeout=60)
        text = json.dumps(request([1.0, 2.0], [2])).encode()
        pieces = iter([text[:10], text[10:11], text[11:]])
        connection.request("POST", "/v2/models/m/infer", pieces, encode_chunked=True)
        found = json.loads(connection.getresponse().read())
        connection.close()
        return found

    told = Told()
    async with listening(path, told):
        assert (await asyncio.to_thread(ask))["outputs"][0]["data"] == [1.0, 2.0]
        await told.until_seen(1)
    np.testing.assert_array_equal(told.inferences[0].inputs["X"], [1.0, 2.0])


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"[]",
        b'{"inputs": 1}',
        gzip.compress(b"x"),
        b'{"inputs": [{"name": 1, "datatype": "FP32", "shape": [1], "data": [1]}]}',
        b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [-1], "data": [1]}]}',
        b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "parameters": 3}]}',
    ],
)
async def test_what_cannot_be_read_is_seen_all_the_same(
    proxied: Proxied, path: Path, body: bytes
) -> None:
    told = Told()
    async with listening(path, told):
        await asyncio.to_thread(proxied.infer, body)
        await told.until_seen(1)
    assert told.inferences[0].inputs == {}


async def test_a_tensor_that_is_wrong_is_told_without_its_values(
    proxied: Proxied, path: Path
) -> None:
    asked = request(["x"], [1])
    asked["inputs"].append({"name": "Y", "datatype": "INT64", "shape": [2], "data": [1, 2]})
    asked["inputs"].append({"name": "Z", "datatype": "BF16", "shape": [1], "data": [1]})
    told = Told()
    async with listening(path, told):
        await asyncio.to_thread(proxied.infer, asked)
        await told.until_seen(1)
    inputs = told.inferences[0].inputs
    assert inputs["X"] == Omitted(Datatype.FP32, (1,))
    np.testing.assert_array_equal(inputs["Y"], [1, 2])
    assert "Z" not in inputs


async def test_replays_and_other_requests_are_told_to_nobody(proxied: Proxied, path: Path) -> None:
    told = Told()
    async with listening(path, told):
        asked = request([1.0], [1])
        replayed = await asyncio.to_thread(proxied.infer, asked, {"driftline-replay": "1"})
        assert replayed.status == 200
        assert (await asyncio.to_thread(proxied.get, "/v2/health/ready")).json == {"ready": True}
        assert (await asyncio.to_thread(proxied.get, "/v2/models/m")).status == 404
        await asyncio.to_thread(proxied.infer, asked, {"x-request-id": "last"})
        await told.until_seen(1)
    assert [each.request_id for each in told.inferences] == ["last"]

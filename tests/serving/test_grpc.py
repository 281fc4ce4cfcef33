"""The protocol's methods over gRPC: what they answer, and with which status they refuse."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tritonclient.grpc import service_pb2

from driftline_serving.errors import InferenceError, RequestError, UnavailableError
from driftline_serving.server.grpc.codec import MessageQuestion
from driftline_serving.server.grpc.methods import status_of
from driftline_serving.server.grpc.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from driftline_serving.server.http.messages import Request, Response
from driftline_serving.server.http.routes import Routes
from driftline_serving.server.prediction_id import pod_hash, pod_of
from driftline_serving.server.service import Bounds, Identity, InferenceService
from driftline_serving.server.tensors import Datatype
from tests.serving import onnx_models, test_protocol
from tests.serving.conftest import DIGEST, POD_IP, REVISION
from tests.serving.grpc_calls import channel_to, health_of, probabilities, request, rows, stub_of
from tests.serving.processes import Server, Setup, serving
from tests.serving.test_batcher import FAST, Doubler

Code = grpc.StatusCode


@pytest.fixture(name="stub")
def _stub(cancer: Server) -> Iterator[Any]:
    with stub_of(cancer) as stub:
        yield stub


def test_each_prediction_says_who_made_it(stub: Any) -> None:
    calls = [stub.ModelInfer.with_call(rows(0, 1, id=f"ü-{n}")) for n in range(3)]
    told = [dict(call.trailing_metadata()) for _, call in calls]
    ids = {each["driftline-prediction-id"] for each in told}
    assert len(ids) == 3
    assert {pod_of(identifier) for identifier in ids} == {pod_hash(POD_IP)}
    assert {each["driftline-revision"] for each in told} == {REVISION}
    assert {each["driftline-digest"] for each in told} == {DIGEST}
    assert [response.id for response, _ in calls] == ["ü-0", "ü-1", "ü-2"]
    assert calls[0][0].model_name == "m"
    assert calls[0][0].model_version == REVISION


FIELDS = {
    "BOOL": "bool_contents", "BYTES": "bytes_contents", "FP32": "fp32_contents",
    "FP64": "fp64_contents", "INT64": "int64_contents", "UINT64": "uint64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
}  # fmt: skip


def test_every_datatype_goes_in_and_out_in_its_field(typed_mirror: Server) -> None:
    given = {}
    inputs = []
    for name, field in FIELDS.items():
        values = onnx_models.samples(Datatype(name)).reshape(-1).tolist()
        given[name] = [v.encode() for v in values] if name == "BYTES" else values
        tensor = {"name": f"in_{name.lower()}", "datatype": name, "shape": [2, 2]}
        inputs.append({**tensor, "contents": {field: given[name]}})
    with stub_of(typed_mirror) as stub:
        response = stub.ModelInfer(request(inputs))
    assert not response.raw_output_contents
    found = {output.datatype: output for output in response.outputs}
    for name, field in FIELDS.items():
        assert found[name].name == f"out_{name.lower()}"
        assert list(found[name].shape) == [2, 2]
        back = list(getattr(found[name].contents, field))
        np.testing.assert_array_equal(back, given[name])


def test_raw_in_raw_out_and_typed_in_typed_out(stub: Any) -> None:
    data = onnx_models.cancer_rows()[0][:2]
    contents = {"fp32_contents": data.reshape(-1)}
    tensor = {"name": "X", "datatype": "FP32", "shape": [2, 30], "contents": contents}
    typed = stub.ModelInfer(request([tensor], outputs=[{"name": "probabilities"}]))
    raw = stub.ModelInfer(rows(0, 2))
    assert not raw.outputs[0].HasField("contents")
    as_values = np.array(typed.outputs[0].contents.fp32_contents, np.float32).reshape(2, 2)
    np.testing.assert_array_equal(as_values, probabilities(raw))


def test_large_requests_and_answers_are_right(mirror: Server) -> None:
    names = [datatype.value for datatype in Datatype]
    blank = {name: np.zeros((1, 1), Datatype(name).dtype) for name in names if name != "BYTES"}
    large = {**blank, "FP32": np.random.default_rng(0).random((700, 1000), np.float32)}
    inputs = [
        {
            "name": f"in_{name.lower()}",
            "datatype": name,
            "shape": large.get(name, blank["FP32"]).shape,
        }
        for name in names
    ]
    raw = [large[name].tobytes() if name != "BYTES" else b"\0\0\0\0" for name in names]
    with stub_of(mirror) as stub:
        response = stub.ModelInfer(request(inputs, raw))
    assert [output.name for output in response.outputs] == [f"out_{n.lower()}" for n in names]
    assert list(response.raw_output_contents) == raw


REFUSED: dict[str, tuple[Any, Code, str]] = {
    "another model": (
        rows(0, 1, model_name="other"), Code.NOT_FOUND, "unknown model 'other'; this server has 'm'"
    ),
    "another version": (
        rows(0, 1, model_version="9"), Code.NOT_FOUND, f"unknown version '9' of 'm'; .*{REVISION}"
    ),
    "no inputs": (request([]), Code.INVALID_ARGUMENT, "missing input 'X'; the model takes 'X'"),
    "another name, and a long one": (
        request([{"name": "Y" * 100_000}]), Code.INVALID_ARGUMENT, "^unknown input 'YYY.*Y…$"
    ),
    "too few bytes": (
        request([{"name": "X", "datatype": "FP32", "shape": [1, 30]}], [b"1234"]),
        Code.INVALID_ARGUMENT,
        r"shape \[1, 30\] of FP32 takes 120 bytes, the binary data has 4",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("mistake", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_mistakes_have_their_status(stub: Any, mistake: Any, code: Code, message: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(mistake, timeout=30)
    assert caught.value.code() is code
    assert re.search(message, str(caught.value.details()))


def test_metadata_and_readiness_of_other_models_are_not_found(stub: Any) -> None:
    kinds = (service_pb2.ModelReadyRequest, service_pb2.ModelMetadataRequest)
    for method, kind in zip((stub.ModelReady, stub.ModelMetadata), kinds, strict=True):
        asked = kind(name="m", version="9")
        with pytest.raises(grpc.RpcError) as caught:
            method(asked, timeout=30)
        assert caught.value.code() is Code.NOT_FOUND
        assert method(kind(name="m", version=REVISION), timeout=30)


def test_bytes_that_are_no_message_are_the_clients_mistake(cancer: Server) -> None:
    with channel_to(cancer) as channel:
        for method in ("ModelInfer", "ModelReady", "ModelMetadata"):
            call: Any = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            for junk in (b"\xff", b"\xff" * 200_000):
                with pytest.raises(grpc.RpcError) as caught:
                    call(junk, timeout=30)
                assert caught.value.code() is Code.INVALID_ARGUMENT
                assert re.search(f"this is not a {method}Request", str(caught.value.details()))


def test_a_method_that_is_not_there_is_unimplemented(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=30)
    assert caught.value.code() is Code.UNIMPLEMENTED


def test_values_that_the_model_refuses_are_the_clients_mistake(tmp_path: Path) -> None:
    with serving(tmp_path, onnx_models.pair_adder()) as server, stub_of(server) as stub:
        pair = [
            {"name": name, "datatype": "FP32", "shape": [length]}
            for name, length in (("a", 2), ("b", 3))
        ]
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(request(pair, [bytes(8), bytes(12)]), timeout=30)
        assert caught.value.code() is Code.INVALID_ARGUMENT
        assert re.search("the model does not accept these values", str(caught.value.details()))


def test_every_kind_of_error_has_a_status() -> None:
    assert status_of(RequestError("")) is Code.INVALID_ARGUMENT
    assert status_of(RequestError("", status=404)) is Code.NOT_FOUND
    assert status_of(RequestError("", status=413)) is Code.INVALID_ARGUMENT
    assert status_of(UnavailableError("")) is Code.UNAVAILABLE
    assert status_of(InferenceError("")) is Code.INTERNAL


def test_health_knows_the_server_and_the_service(cancer: Server) -> None:
    with channel_to(cancer) as channel:
        health = health_of(channel)
        for name in ("", "inference.GRPCInferenceService"):
            asked = health_pb2.HealthCheckRequest(service=name)
            assert health.Check(asked, timeout=30).status == health_pb2.HealthCheckResponse.SERVING
        unknown = health_pb2.HealthCheckRequest(service="unknown")
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(unknown, timeout=30)
        assert caught.value.code() is Code.NOT_FOUND
        first = next(iter(health.Watch(unknown, timeout=30)))
        assert first.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def test_a_client_that_knows_nothing_can_ask_what_there_is(cancer: Server) -> None:
    with channel_to(cancer) as channel:
        described = ProtoReflectionDescriptorDatabase(channel)
        assert set(described.get_services()) == {
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            "inference.GRPCInferenceService",
        }
        pool = DescriptorPool(described)
        for service in described.get_services():
            assert pool.FindServiceByName(service).methods
        method = pool.FindMethodByName("inference.GRPCInferenceService.ModelMetadata")
        asked, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call: Any = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelMetadata",
            request_serializer=asked.SerializeToString,
            response_deserializer=answer.FromString,
        )
        assert call(asked(name="m")).versions == [REVISION]


def test_both_transports_answer_everybody_with_his_own(cancer: Server, stub: Any) -> None:
    """Both transports are asked at once, for different rows; none gets another's answer."""
    expected = onnx_models.cancer_forest().predict_proba(onnx_models.cancer_rows()[0])

    def over_grpc(first: int) -> None:
        found = probabilities(stub.ModelInfer(rows(first, first + 1 + first % 3)))
        np.testing.assert_allclose(found, expected[first : first + 1 + first % 3], atol=1e-5)

    def over_http(first: int) -> None:
        answer = cancer.infer(test_protocol.rows(first, first + 1))
        found = test_protocol.outputs(answer.json)["probabilities"]["data"]
        np.testing.assert_allclose(found, expected[first], atol=1e-5)

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(how, n) for n in range(200) for how in (over_grpc, over_http)]
        for each in asked:
            each.result()


class Kept:
    """An exchange without a connection."""

    def __init__(self, replied: "asyncio.Future[Response]") -> None:
        self.replied = replied
        self.reply = replied.set_result
        self.abandon: Callable[[], None] | None = None
        self.response: Response | None = None


async def test_calls_of_both_transports_are_one_batch() -> None:
    engine = Doubler()
    service = InferenceService(Identity(model="m"), Bounds())
    service.serve(engine, FAST)
    loop = asyncio.get_running_loop()
    json_body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[3]}]}'
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 1]}
    message = ModelInferRequest(
        model_name="m", inputs=[tensor], raw_input_contents=[np.array([5, 6], np.float32).tobytes()]
    )
    over_http = Kept(loop.create_future())
    request = Request(method="POST", path="/v2/models/m/infer", body=json_body)
    Routes(service, 1000).answer(request, over_http)  # type: ignore[arg-type]  # has all that is used
    over_grpc = MessageQuestion(message.SerializeToString(), {}, service)
    service.infer("m", None, over_grpc)
    assert b'"data":[6.0]' in (await over_http.replied).body
    result = await over_grpc.result
    assert isinstance(result, bytes)
    response = ModelInferResponse.FromString(result)
    assert np.frombuffer(response.raw_output_contents[0], np.float32).tolist() == [10, 12]
    assert engine.batches == [3]
    service.close()


def test_without_grpc_nothing_of_it_is_there(tmp_path: Path) -> None:
    with serving(tmp_path, onnx_models.pair_adder(), Setup(arguments=("--no-grpc",))) as server:
        assert server.grpc_port == 0
        assert "cygrpc" not in Path(f"/proc/{server.worker}/maps").read_text()

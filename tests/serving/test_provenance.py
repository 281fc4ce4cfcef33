"""What an answer says of itself, over both protocols, and what of a request comes back with it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from hypothesis import given
from hypothesis import strategies as st

from driftline_api.keys import ReceiptKey
from driftline_serving.errors import InferenceError, RequestError
from driftline_serving.receipt import verify
from driftline_serving.server.http.routes import Routes
from driftline_serving.server.provenance import passed_on
from driftline_serving.server.service import Bounds, Identity, InferenceService
from tests.serving import onnx_models
from tests.serving.conftest import DIGEST, IDENTITY, REVISION
from tests.serving.grpc_calls import rows, stub_of
from tests.serving.keys import Volume, a_key
from tests.serving.processes import Server, Setup, serving, until

ROUTED = {"driftline-arm": "canary", "driftline-epoch": "41", "driftline-slot": "1767225600"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SENT = {"x-request-id": "req/17", "traceparent": PARENT, "tracestate": "rojo=00f067aa0ba902b7"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """A server with a key, and the volume that it reads it from."""

    server: Server
    volume: Volume
    key: ReceiptKey


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    directory = tmp_path_factory.mktemp("keyed")
    volume, key = Volume(directory / "keys"), a_key(now=datetime.now(UTC), days=1)
    volume.hold(key)
    setup = Setup(arguments=("--keys", str(volume.directory)), environ=IDENTITY.environ)
    with serving(directory, onnx_models.cancer_onnx(), setup) as server:
        yield Keyed(server=server, volume=volume, key=key)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server with a key, whose model says which of its outputs is the prediction."""
    directory = tmp_path_factory.mktemp("described")
    volume, key = Volume(directory / "keys"), a_key(now=datetime.now(UTC), days=1)
    volume.hold(key)
    prediction = {"task": "binary", "tensor": "label", "score": "probabilities", "positive": "1"}
    (directory / "driftline.json").write_text(json.dumps({"signature": {"prediction": prediction}}))
    setup = Setup(arguments=("--keys", str(volume.directory)))
    with serving(directory, onnx_models.cancer_onnx(), setup) as server:
        yield Keyed(server=server, volume=volume, key=key)


def question(**parameters: Any) -> dict[str, Any]:
    row = onnx_models.cancer_rows()[0][0].tolist()
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 30], "data": row}
    return {"inputs": [tensor], **({"parameters": parameters} if parameters else {})}


def metadata(call: Any) -> dict[str, str]:
    """Return the trailing metadata of a call that is over."""
    return {str(name): str(value) for name, value in call.trailing_metadata() or ()}


def infer_grpc(server: Server, sent: Mapping[str, str], **members: Any) -> tuple[Any, Any]:
    with stub_of(server) as stub:
        answer, call = stub.ModelInfer.with_call(
            rows(0, 1, **members), metadata=tuple(sent.items()), timeout=30
        )
        return answer, call


def test_an_answer_has_a_receipt_that_verifies(keyed: Keyed) -> None:
    answer = keyed.server.infer(question(), ROUTED)
    found = verify(answer.headers["driftline-receipt"], [keyed.key])
    assert found.prediction_id == answer.headers["driftline-prediction-id"]
    assert (found.revision, found.arm, found.epoch) == (REVISION, "canary", 41)
    assert (found.unit, found.predictions) == (b"", ())


def some_rows(count: int, *outputs: str) -> dict[str, Any]:
    data = onnx_models.cancer_rows()[0][:count].tolist()
    tensor = {"name": "X", "datatype": "FP32", "shape": [count, 30], "data": data}
    wanted = {"outputs": [{"name": name} for name in outputs]} if outputs else {}
    return {"inputs": [tensor], **wanted}


@pytest.mark.parametrize("count", [1, 3, 16, 40])
def test_a_receipt_holds_the_predictions_of_the_first_rows(described: Keyed, count: int) -> None:
    answer = described.server.infer(some_rows(count))
    scores = {each["name"]: each["data"] for each in answer.json["outputs"]}["probabilities"]
    found = verify(answer.headers["driftline-receipt"], [described.key])
    positive = np.array(scores, np.float32).reshape(-1, 2)[:16, 1]
    np.testing.assert_array_equal(np.array(found.predictions, np.float32), positive)


def test_the_same_is_in_it_over_grpc(described: Keyed) -> None:
    over_http = described.server.infer(some_rows(1)).headers["driftline-receipt"]
    _, call = infer_grpc(described.server, {})
    over_grpc = metadata(call)["driftline-receipt"]
    one, other = (verify(each, [described.key]).predictions for each in (over_http, over_grpc))
    assert one == other
    assert len(one) == 1


def test_a_prediction_that_the_client_did_not_ask_for_is_not_in_it(described: Keyed) -> None:
    answer = described.server.infer(some_rows(3, "label"))
    assert verify(answer.headers["driftline-receipt"], [described.key]).predictions == ()
    scores = described.server.infer(some_rows(3, "probabilities"))
    assert len(verify(scores.headers["driftline-receipt"], [described.key]).predictions) == 3


def test_over_grpc_as_well(keyed: Keyed) -> None:
    _, call = infer_grpc(keyed.server, ROUTED)
    told = metadata(call)
    found = verify(told["driftline-receipt"], [keyed.key])
    assert found.prediction_id == told["driftline-prediction-id"]
    assert (found.revision, found.arm, found.epoch) == (REVISION, "canary", 41)


def test_outside_a_router_there_is_no_arm(keyed: Keyed) -> None:
    found = verify(keyed.server.infer(question()).headers["driftline-receipt"], [keyed.key])
    assert (found.arm, found.epoch) == ("", 0)


def test_binary_answers_have_one_too(keyed: Keyed) -> None:
    answer = keyed.server.infer(question(binary_data_output=True))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert verify(answer.headers["driftline-receipt"], [keyed.key]).revision == REVISION


def test_without_keys_there_is_no_receipt_and_the_log_says_so_once(cancer: Server) -> None:
    answers = [cancer.infer(question(driftline=True)) for _ in range(3)]
    assert all("driftline-receipt" not in each.headers for each in answers)
    assert all("driftline-receipt" not in each.json["parameters"] for each in answers)
    assert "".join(cancer.log).count("answers carry no receipt") == 1


def test_a_changed_key_is_used_without_a_restart(tmp_path: Path) -> None:
    volume, (old, new) = Volume(tmp_path / "keys"), (a_key(1, days=2), a_key(2, days=1))
    volume.hold(old)
    setup = Setup(arguments=("--keys", str(volume.directory), "--no-grpc"))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:

        def signed_with() -> str:
            receipt = server.infer(question()).headers["driftline-receipt"]
            return verify(receipt, [old, new]).key_id

        assert signed_with() == old.id
        volume.hold(old, new)
        until(lambda: signed_with() == new.id, "the new key signs")


def test_the_parameters_say_what_the_headers_say(keyed: Keyed) -> None:
    answer = keyed.server.infer(question(driftline=True))
    told = {name: value for name, value in answer.headers.items() if name.startswith("driftline-")}
    assert answer.json["parameters"] == told
    assert told.keys() == {
        "driftline-prediction-id",
        "driftline-revision",
        "driftline-digest",
        "driftline-receipt",
    }
    assert told["driftline-digest"] == DIGEST


@pytest.mark.parametrize("parameters", [{}, {"driftline": False}, {"driftline": None}, {"x": 1}])
def test_they_are_there_only_if_asked_for(keyed: Keyed, parameters: dict[str, Any]) -> None:
    assert "parameters" not in keyed.server.infer(question(**parameters)).json


@pytest.mark.parametrize("asked", [1, "true", {}, []])
def test_what_is_neither_true_nor_false_is_refused(keyed: Keyed, asked: object) -> None:
    answer = keyed.server.infer(question(driftline=asked))
    assert answer.status == 400
    assert answer.error == "the request: parameters.driftline must be true or false"


def test_grpc_refuses_it_as_well(keyed: Keyed) -> None:
    with pytest.raises(grpc.RpcError, match=r"parameters\.driftline must be true or false"):
        infer_grpc(keyed.server, {}, parameters={"driftline": {"int64_param": 1}})


def test_tritons_client_shows_the_parameters(keyed: Keyed) -> None:
    data = onnx_models.cancer_rows()[0][:1]
    with triton_http.InferenceServerClient(keyed.server.address) as client:
        tensor = triton_http.InferInput("X", [1, 30], "FP32").set_data_from_numpy(data)
        found = client.infer("m", [tensor], parameters={"driftline": True}).get_response()
    receipt = verify(found["parameters"]["driftline-receipt"], [keyed.key])
    assert receipt.prediction_id == found["parameters"]["driftline-prediction-id"]


def test_tritons_grpc_client_shows_them_as_well(keyed: Keyed) -> None:
    data = onnx_models.cancer_rows()[0][:1]
    with triton_grpc.InferenceServerClient(keyed.server.grpc_address) as client:
        tensor = triton_grpc.InferInput("X", [1, 30], "FP32").set_data_from_numpy(data)
        found = client.infer("m", [tensor], parameters={"driftline": True}).get_response()
        plain = client.infer("m", [tensor], parameters={"driftline": False}).get_response()
    told = {name: each.string_param for name, each in found.parameters.items()}
    receipt = verify(told["driftline-receipt"], [keyed.key])
    assert receipt.prediction_id == told["driftline-prediction-id"]
    assert told["driftline-revision"] == REVISION
    assert not plain.parameters


def test_a_clients_own_id_and_trace_come_back(keyed: Keyed) -> None:
    answer = keyed.server.infer(question(), SENT)
    assert {name: answer.headers[name] for name in SENT} == SENT
    assert answer.headers["driftline-prediction-id"] != SENT["x-request-id"]
    _, call = infer_grpc(keyed.server, SENT)
    assert SENT.items() <= metadata(call).items()


def test_they_come_back_with_an_error_too(keyed: Keyed) -> None:
    answer = keyed.server.infer({"inputs": []}, SENT)
    assert answer.status == 400
    assert SENT.items() <= answer.headers.items()
    assert answer.headers["driftline-revision"] == REVISION
    with pytest.raises(grpc.RpcError) as refused:
        infer_grpc(keyed.server, SENT, model_name="other")
    told = metadata(refused.value)
    assert SENT.items() <= told.items()
    assert told["driftline-revision"] == REVISION


def test_a_failure_is_logged_under_the_clients_own_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    routes = Routes(InferenceService(Identity(model="m"), Bounds()), body_bytes=1)
    response = routes.told(InferenceError("the model gave up"), {**SENT, "x-other": "secret"})
    (record,) = caplog.records
    assert record.__dict__["context"] == SENT
    assert (response.status, record.getMessage()) == (500, "the model gave up")


def test_a_mistake_of_the_client_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    routes = Routes(InferenceService(Identity(model="m"), Bounds()), body_bytes=1)
    assert routes.told(RequestError("no such input"), SENT).status == 400
    assert caplog.records == []


FIELDS = PARENT[3:]


@pytest.mark.parametrize("kept", ["a", "17", "~" * 128, "6c4a9d8c-1", "a,b;c=d"])
def test_an_id_of_visible_characters_is_kept(kept: str) -> None:
    assert passed_on({"x-request-id": kept}) == [("x-request-id", kept)]


@pytest.mark.parametrize("odd", ["", "~" * 129, "a b", "a\tb", "é", "a\nb", "a\r\nc: d", "\x7f"])
def test_any_other_is_left_out(odd: str) -> None:
    assert passed_on({"x-request-id": odd}) == []


@pytest.mark.parametrize("kept", [PARENT, f"01-{FIELDS}", f"cc-{FIELDS}-what-the-future-holds"])
def test_a_well_formed_trace_is_kept(kept: str) -> None:
    assert passed_on({"traceparent": kept}) == [("traceparent", kept)]


@pytest.mark.parametrize(
    "odd",
    [
        "",
        FIELDS,
        f"ff-{FIELDS}",
        f"00-{FIELDS}-more",
        f"00-{FIELDS}-",
        f"cc-{FIELDS}.more",
        PARENT.upper(),
        f" {PARENT}",
        f"{PARENT}\n",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        PARENT[:-1],
        f"cc-{FIELDS}-{'x' * 300}",
    ],
)
def test_a_malformed_trace_is_left_out_with_its_state(odd: str) -> None:
    assert passed_on({"traceparent": odd, "tracestate": "a=1"}) == []


@pytest.mark.parametrize(
    "kept", ["a=1", "a=1,b=2", "a=1, b=2 ,", "t61@rojo=x y", "a-b_c*d/e=!", "a=" + "v" * 256]
)
def test_a_well_formed_state_is_kept(kept: str) -> None:
    assert ("tracestate", kept) in passed_on({"traceparent": PARENT, "tracestate": kept})


@pytest.mark.parametrize(
    "odd",
    [
        *("", ",", "a", "A=1", "a=", "=1", "a=1;é", "a=b=c", "1a=1", "a=1\r\nb: c", "a=1,\tb=2"),
        "a=" + "v" * 257,
        ",".join(f"k{i}=1" for i in range(33)),
        ",".join(f"k{i}={'v' * 60}" for i in range(9)),
    ],
)
def test_a_malformed_state_is_left_out(odd: str) -> None:
    assert passed_on({"traceparent": PARENT, "tracestate": odd}) == [("traceparent", PARENT)]


@given(st.text(), st.text(), st.text())
def test_nothing_that_comes_back_can_break_a_header(one: str, two: str, three: str) -> None:
    sent = {"x-request-id": one, "traceparent": two, "tracestate": three}
    for name, value in passed_on(sent):
        assert value == sent[name]
        assert value.isascii()
        assert value.isprintable()

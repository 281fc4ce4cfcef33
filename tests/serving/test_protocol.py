"""The protocol's endpoints, asked over HTTP without any client's help."""

import gzip
import http.client
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftline_serving.server.prediction_id import pod_hash, pod_of
from tests.serving import onnx_models
from tests.serving.conftest import DIGEST, POD_IP, REVISION
from tests.serving.processes import Server, Setup, exchange, serving


def rows(first: int, last: int, **more: object) -> dict[str, Any]:
    """A request for some rows of the breast cancer data."""
    data = onnx_models.cancer_rows()[0][first:last]
    tensor = {"name": "X", "datatype": "FP32", "shape": data.shape, "data": data.tolist()}
    return {"inputs": [tensor], **more}


def outputs(answer: Any) -> dict[str, Any]:
    return {output["name"]: output for output in answer["outputs"]}


def test_predicts_what_scikit_learn_predicts(cancer: Server) -> None:
    data, _ = onnx_models.cancer_rows()
    answer = cancer.infer(rows(0, len(data)))
    found = outputs(answer.json)
    forest = onnx_models.cancer_forest()
    assert found["label"]["shape"] == [569]
    expected = forest.predict_proba(data)
    clear = np.abs(expected[:, 0] - 0.5) > 1e-5
    assert 500 < clear.sum() < 569, "the twenty trees are ten to ten about some rows, and only some"
    labels = np.array(found["label"]["data"])
    np.testing.assert_array_equal(labels[clear], forest.predict(data)[clear])
    assert found["probabilities"]["shape"] == [569, 2]
    served = np.array(found["probabilities"]["data"]).reshape(569, 2)
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_missing_values_go_in_as_nan(cancer: Server) -> None:
    request = rows(0, 1)
    request["inputs"][0]["data"][0][3] = "NaN"
    as_token = rows(0, 1)
    as_token["inputs"][0]["data"][0][3] = float("nan")
    row = onnx_models.cancer_rows()[0][:1].copy()
    row[0, 3] = np.nan
    expected = onnx_models.cancer_forest().predict_proba(row)[0]
    for each in (request, as_token):
        data = outputs(cancer.infer(each).json)["probabilities"]["data"]
        np.testing.assert_allclose(data, expected, atol=1e-5)


def test_nan_comes_out_as_valid_json(mirror: Server) -> None:
    answer = mirror.infer(every_datatype(fp32=[[float("nan"), float("-inf")]]))
    assert outputs(answer.json)["out_fp32"]["data"] == ["NaN", "-Infinity"]


def every_datatype(**data: object) -> dict[str, Any]:
    """A request for the mirror: one row of two values for each input."""
    blank = {"bytes": [["", "ü\u0000"]], "bool": [[True, False]]}
    names = [datatype.value.lower() for datatype in onnx_models.ONNX_TYPES]
    inputs = [
        {
            "name": f"in_{name}",
            "datatype": name.upper(),
            "shape": [1, 2],
            "data": data.get(name, blank.get(name, [[0, 1]])),
        }
        for name in names
    ]
    return {"inputs": inputs}


def test_every_datatype_goes_in_and_out(mirror: Server) -> None:
    answer = mirror.infer(every_datatype(fp16=[[0.5, 1]], uint64=[[2**64 - 1, 0]]))
    found = outputs(answer.json)
    assert len(found) == 13
    assert found["out_uint64"]["data"] == [2**64 - 1, 0]
    assert found["out_bytes"]["data"] == ["", "ü\u0000"]
    assert found["out_bool"]["data"] == [True, False]
    assert found["out_fp16"]["data"] == [0.5, 1]


def test_strings_in_and_out(iris: Server) -> None:
    words, widths, _ = onnx_models.iris_strings()
    inputs = [
        {"name": "length", "datatype": "BYTES", "shape": [150, 1], "data": words.tolist()},
        {"name": "width", "datatype": "FP32", "shape": [150, 1], "data": widths.tolist()},
    ]
    found = outputs(iris.infer({"inputs": inputs, "outputs": [{"name": "label"}]}).json)
    expected = onnx_models.iris_pipeline().predict(np.hstack([words, widths.astype(object)]))
    assert list(found) == ["label"]
    assert found["label"]["datatype"] == "BYTES"
    assert found["label"]["data"] == expected.tolist()


def test_an_empty_batch_has_empty_answers(cancer: Server) -> None:
    found = outputs(cancer.infer(rows(0, 0)).json)
    assert (found["label"]["shape"], found["label"]["data"]) == ([0], [])
    assert (found["probabilities"]["shape"], found["probabilities"]["data"]) == ([0, 2], [])


def test_outputs_come_as_asked_for_and_in_that_order(cancer: Server) -> None:
    asked = [{"name": "probabilities"}, {"name": "label"}]
    answer = cancer.infer(rows(0, 1, outputs=asked))
    assert [output["name"] for output in answer.json["outputs"]] == ["probabilities", "label"]


def test_the_request_id_comes_back_and_only_if_given(cancer: Server) -> None:
    assert cancer.infer(rows(0, 1, id="ü-17")).json["id"] == "ü-17"
    assert "id" not in cancer.infer(rows(0, 1)).json


def test_each_prediction_says_who_made_it(cancer: Server) -> None:
    answers = [cancer.infer(rows(0, 1)) for _ in range(3)]
    ids = {answer.headers["driftline-prediction-id"] for answer in answers}
    assert len(ids) == 3
    assert {pod_of(identifier) for identifier in ids} == {pod_hash(POD_IP)}
    assert answers[0].headers["driftline-revision"] == REVISION
    assert answers[0].headers["driftline-digest"] == DIGEST
    assert answers[0].json["model_name"] == "m"
    assert answers[0].json["model_version"] == REVISION


def test_metadata_says_what_the_model_takes(cancer: Server) -> None:
    assert cancer.get("/v2").json == {
        "name": "driftline", "version": "0.1.0", "extensions": ["binary_tensor_data"],
    }  # fmt: skip
    expected = {
        "name": "m",
        "versions": [REVISION],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 30]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
        "parameters": {
            "batching": {"joined": True, "reason": "batches of 1, 8 and 64 agree in every bit"},
        },
    }
    for path in ("/v2/models/m", f"/v2/models/m/versions/{REVISION}"):
        assert cancer.get(path).json == expected


@pytest.mark.parametrize(
    "path",
    [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/m/ready",
        f"/v2/models/m/versions/{REVISION}/ready",
    ],
)
def test_health(cancer: Server, path: str) -> None:
    assert cancer.get(path).status == 200


def test_a_version_can_be_named(cancer: Server) -> None:
    body = json.dumps(rows(0, 1)).encode()
    named = f"/v2/models/m/versions/{REVISION}/infer"
    assert cancer.call("POST", named, body).status == 200
    other = cancer.call("POST", "/v2/models/m/versions/9/infer", body)
    assert (other.status, other.error) == (
        404, f"unknown version '9' of 'm'; this server has '{REVISION}'",
    )  # fmt: skip


NOWHERE = {
    "another model": ("POST", "/v2/models/other/infer", 404, "unknown model 'other'; .*'m'"),
    "another model's metadata": ("GET", "/v2/models/other", 404, "unknown model 'other'"),
    "another model's health": ("GET", "/v2/models/other/ready", 404, "unknown model 'other'"),
    "no such path": ("GET", "/metrics/x", 404, "nothing at /metrics/x"),
    "wrong method": ("GET", "/v2/models/m/infer", 405, "takes POST, not GET"),
    "wrong method for health": ("POST", "/v2/health/ready", 405, "takes GET, HEAD, not POST"),
}


@pytest.mark.parametrize(("method", "path", "status", "message"), NOWHERE.values(), ids=NOWHERE)
def test_what_is_not_there(
    cancer: Server, method: str, path: str, status: int, message: str
) -> None:
    answer = cancer.call(method, path)
    assert answer.status == status
    assert re.search(message, answer.error), answer.error


BAD_BODIES = {
    "empty": (b"", None, "not valid JSON"),
    "broken": (b"{", None, "not valid JSON"),
    "without inputs": (b'{"inputs": []}', None, "missing input 'X'"),
    "header length of words": (b"{}", "many", "Inference-Header-Content-Length must be a number"),
    "header length below zero": (b"{}", "-1", "must be a number"),
    "header length beyond the end": (b"{}", "3", "is 3, but the body has 2 bytes"),
}


@pytest.mark.parametrize(("body", "length", "message"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_the_clients_mistake(
    cancer: Server, body: bytes, length: str | None, message: str
) -> None:
    headers = {} if length is None else {"Inference-Header-Content-Length": length}
    answer = cancer.infer(body, headers)
    assert (answer.status, message in answer.error) == (400, True), answer.error
    assert cancer.infer(rows(0, 1)).status == 200


@pytest.mark.parametrize(
    ("model", "row", "said"),
    [
        (onnx_models.pair_adder, [], "axis == 1"),
        (onnx_models.pair_joiner, [1], "Non concat axis dimensions must match"),
    ],
)
def test_values_that_the_model_cannot_take_are_told_without_its_source(
    tmp_path: Path, model: Callable[[], bytes], row: list[int], said: str
) -> None:
    with serving(tmp_path, model()) as server:
        inputs = [
            {"name": name, "datatype": "FP32", "shape": [length, *row], "data": [0] * length}
            for name, length in (("a", 2), ("b", 3))
        ]
        answer = server.infer({"inputs": inputs})
        assert answer.status == 400
        assert answer.error.startswith(f"the model does not accept these values: {said}")


HOSTILE: dict[str, tuple[bytes, str]] = {
    "half a character in the id": (
        b'{"id": "\\ud800", "inputs": [{"name": "X", "data": [NaN]}]}',
        "the body is not valid JSON",
    ),
    "half a character in a datatype": (
        b'{"inputs": [{"name": "X", "datatype": "\\ud800", "shape": [1], "data": [NaN]}]}',
        "the body is not valid JSON",
    ),
    "as many axes as there is room for": (
        b'{"inputs": [{"name": "X", "datatype": "FP32", "data": [], "shape": [9'
        + b",9" * 1_000_000
        + b"]}]}",
        "input 'X': shape has 1000001 axes, the model takes [-1, 30]",
    ),
    "deep nesting": (b"[" * 100_000, "the body is not valid JSON"),
}


@pytest.mark.parametrize(("body", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_hurts_nobody_else(cancer: Server, body: bytes, message: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        bad = [pool.submit(cancer.infer, body) for _ in range(4)]
        good = [pool.submit(cancer.infer, rows(0, 1)) for _ in range(12)]
        for each in bad:
            answer = each.result(timeout=20)
            assert (answer.status, message in answer.error) == (400, True), answer.error
        assert {each.result().status for each in good} == {200}


def test_a_length_of_a_thousand_digits_is_the_clients_mistake(cancer: Server) -> None:
    answer = cancer.infer(rows(0, 1), {"Inference-Header-Content-Length": "1" * 5000})
    assert answer.status == 400


def test_json_has_a_limit_of_its_own(tmp_path: Path) -> None:
    setup = Setup(arguments=("--max-json-bytes", "2000"))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        assert server.infer(rows(0, 1)).status == 200
        answer = server.infer(rows(0, 100))
        assert (answer.status, "send large tensors as binary data" in answer.error) == (413, True)


def test_a_body_may_be_compressed(cancer: Server) -> None:
    body = gzip.compress(json.dumps(rows(0, 2)).encode())
    answer = cancer.infer(body, {"Content-Encoding": "gzip"})
    assert outputs(answer.json)["label"]["shape"] == [2]


def test_a_body_has_a_limit(tmp_path: Path) -> None:
    setup = Setup(arguments=("--max-body-bytes", "10000"))
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        small, large = rows(0, 1), rows(0, 100)
        assert server.infer(small).status == 200
        answer = server.infer(large)
        assert (answer.status, answer.error) == (413, "the body is larger than 10000 bytes")
        bomb = gzip.compress(b" " * 10_000_000)
        assert server.infer(bomb, {"Content-Encoding": "gzip"}).status == 413
        assert server.infer(small).status == 200


def test_connections_are_kept(cancer: Server) -> None:
    connection = http.client.HTTPConnection(cancer.address, timeout=10)
    body = json.dumps(rows(0, 1)).encode()
    connection.connect()
    kept = connection.sock
    for _ in range(5):
        assert exchange(connection, "POST", "/v2/models/m/infer", body).status == 200
        assert exchange(connection, "POST", "/v2/models/m/infer", b"{").status == 400
    assert connection.sock is kept
    connection.close()


def test_many_at_once_each_get_their_own_answer(cancer: Server) -> None:
    data, _ = onnx_models.cancer_rows()
    expected = onnx_models.cancer_forest().predict_proba(data)

    def ask(index: int) -> None:
        answer = cancer.infer(rows(index, index + 1, id=str(index)))
        assert answer.json["id"] == str(index)
        found = outputs(answer.json)["probabilities"]["data"]
        np.testing.assert_allclose(found, expected[index], atol=1e-5)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(ask, range(400)))

"""Judged by a client that we did not write: KServe's, unmodified, over REST and gRPC."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftline_serving.server.tensors import Array, Datatype
from tests.serving import onnx_models
from tests.serving.conftest import REVISION
from tests.serving.processes import Server

SCRIPT = Path(__file__).with_name("kserve_calls.py")
BOTH = pytest.mark.parametrize("over", ["rest", "grpc"])


@dataclass(frozen=True, slots=True)
class KServe:
    """A process that asks what it is told to, by KServe's client."""

    process: "subprocess.Popen[str]"

    def ask(self, server: Server, over: str, ask: str, **told: Any) -> dict[str, Any]:
        """An answer under `answer`, or an `error` and its `status`."""
        assert self.process.stdin
        assert self.process.stdout
        address = server.address if over == "rest" else server.grpc_address
        question = {"over": over, "address": address, "ask": ask, **told}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def infer(self, server: Server, over: str, *inputs: dict[str, Any], **told: Any) -> Any:
        """What the server has inferred."""
        found = self.ask(server, over, "infer", inputs=inputs, **told)
        assert "answer" in found, found
        return found["answer"]


@pytest.fixture(scope="module")
def kserve(kserve_python: Path) -> Iterator[KServe]:
    command = [str(kserve_python), str(SCRIPT)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield KServe(process)


def tensor(name: str, array: Array, form: str) -> dict[str, Any]:
    """An input; `form` is `binary`, `json` (from a numpy array too) or `list`."""
    datatype = next(d for d in Datatype if d.dtype == array.dtype)
    data = array.reshape(-1).tolist()
    return {
        "name": name, "datatype": datatype, "shape": array.shape, "data": data, "form": form,
    }  # fmt: skip


def found_in(answer: Any) -> dict[str, Array]:
    return {
        each["name"]: np.array(each["data"], Datatype(each["datatype"]).dtype).reshape(
            each["shape"]
        )
        for each in answer["outputs"]
    }


ROWS = onnx_models.cancer_rows()[0][:5]


@BOTH
def test_health_and_metadata(kserve: KServe, cancer: Server, over: str) -> None:
    assert kserve.ask(cancer, over, "live") == {"answer": True}
    assert kserve.ask(cancer, over, "ready") == {"answer": True}
    assert kserve.ask(cancer, over, "model_ready", model="m") == {"answer": True}
    other = kserve.ask(cancer, over, "model_ready", model="other")
    if over == "rest":
        assert other == {"answer": False}
    else:
        assert other["status"] == "NOT_FOUND"
    about = kserve.ask(cancer, over, "metadata")["answer"]
    assert about["server"] == {
        "name": "driftline", "version": "0.1.0", "extensions": ["binary_tensor_data"],
    }  # fmt: skip
    ours = cancer.get("/v2/models/m").json
    del ours["parameters"]  # for which the client's form has no room
    assert about["model"] == ours


@BOTH
@pytest.mark.parametrize("form", ["binary", "json", "list"])
def test_predicts(kserve: KServe, cancer: Server, over: str, form: str) -> None:
    answer = kserve.infer(cancer, over, tensor("X", ROWS, form), id="r1")
    assert (answer["id"], answer["model"]) == ("r1", "m")
    found = found_in(answer)
    forest = onnx_models.cancer_forest()
    assert list(found) == ["label", "probabilities"]
    np.testing.assert_array_equal(found["label"], forest.predict(ROWS))
    np.testing.assert_allclose(found["probabilities"], forest.predict_proba(ROWS), atol=1e-5)


@BOTH
@pytest.mark.parametrize("binary", [True, False])
def test_outputs_come_as_asked_for_and_in_that_order(
    kserve: KServe, cancer: Server, over: str, binary: bool
) -> None:
    parameters = {"binary_data": binary} if over == "rest" else None
    asked = [{"name": name, "parameters": parameters} for name in ("probabilities", "label")]
    answer = kserve.infer(cancer, over, tensor("X", ROWS, "binary"), outputs=asked)
    assert [each["name"] for each in answer["outputs"]] == ["probabilities", "label"]
    one = kserve.infer(cancer, over, tensor("X", ROWS, "json"), outputs=asked[1:])
    np.testing.assert_array_equal(found_in(one)["label"], onnx_models.cancer_forest().predict(ROWS))


def test_all_outputs_may_be_asked_for_as_bytes(kserve: KServe, cancer: Server) -> None:
    given = tensor("X", ROWS, "binary")
    answer = kserve.infer(cancer, "rest", given, parameters={"binary_data_output": True})
    assert "inference-header-content-length" in answer["headers"]
    plain = kserve.infer(cancer, "rest", given)
    assert "inference-header-content-length" not in plain["headers"]
    assert answer["outputs"] == plain["outputs"]


@BOTH
def test_parameters_that_nobody_knows_are_passed_over(
    kserve: KServe, cancer: Server, over: str
) -> None:
    told = {"parameters": {"sequence_id": 7, "priority": "high", "trace": True}}
    answer = kserve.infer(cancer, over, tensor("X", ROWS, "binary"), **told)
    assert found_in(answer)["label"].shape == (5,)


@BOTH
def test_every_datatype_as_bytes(kserve: KServe, mirror: Server, over: str) -> None:
    """Thirteen inputs and outputs at once."""
    given = {d.value.lower(): onnx_models.samples(d) for d in Datatype}
    inputs = [tensor(f"in_{name}", array, "binary") for name, array in given.items()]
    wanted = [{"name": f"out_{name}", "parameters": {"binary_data": True}} for name in given]
    found = found_in(kserve.infer(mirror, over, *inputs, outputs=wanted))
    for name, array in given.items():
        np.testing.assert_array_equal(found[f"out_{name}"], array)


@BOTH
@pytest.mark.parametrize("form", ["json", "list"])
def test_every_datatype_as_values(
    kserve: KServe, typed_mirror: Server, over: str, form: str
) -> None:
    """But for FP16, which the client sends as bytes only. Over REST it makes null of NaN."""
    given = {d.value.lower(): onnx_models.samples(d) for d in Datatype if d is not Datatype.FP16}
    if over == "rest":
        given = {name: np.nan_to_num(a) if a.dtype.kind == "f" else a for name, a in given.items()}
    inputs = [tensor(f"in_{name}", array, form) for name, array in given.items()]
    found = found_in(kserve.infer(typed_mirror, over, *inputs))
    for name, array in given.items():
        np.testing.assert_array_equal(found[f"out_{name}"], array)


@BOTH
@pytest.mark.parametrize("form", ["binary", "json", "list"])
def test_strings(kserve: KServe, iris: Server, over: str, form: str) -> None:
    words, widths, _ = onnx_models.iris_strings()
    inputs = [tensor("length", words, form), tensor("width", widths, form)]
    expected = onnx_models.iris_pipeline().predict(np.hstack([words, widths.astype(object)]))
    assert found_in(kserve.infer(iris, over, *inputs))["label"].tolist() == expected.tolist()


@BOTH
@pytest.mark.parametrize("form", ["binary", "json"])
def test_an_empty_batch_has_empty_answers(
    kserve: KServe, cancer: Server, over: str, form: str
) -> None:
    """Over REST the client says `data: null` beside a `binary_data_size` of 0, and no length."""
    found = found_in(kserve.infer(cancer, over, tensor("X", ROWS[:0], form)))
    assert (found["label"].shape, found["probabilities"].shape) == ((0,), (0, 2))


@BOTH
def test_large_tensors(kserve: KServe, mirror: Server, over: str) -> None:
    given = {d.value.lower(): np.zeros((1, 1), d.dtype) for d in Datatype}
    given["bytes"][:] = "a"
    given["fp32"] = np.random.default_rng(0).random((300, 1000), np.float32)
    inputs = [tensor(f"in_{name}", array, "binary") for name, array in given.items()]
    wanted = [{"name": "out_fp32", "parameters": {"binary_data": True}}]
    found = found_in(kserve.infer(mirror, over, *inputs, outputs=wanted))
    np.testing.assert_array_equal(found["out_fp32"], given["fp32"])


MISTAKES = {
    "unknown input": (tensor("Y", ROWS, "binary"), "unknown input 'Y'; the model takes 'X'"),
    "datatype": (tensor("X", ROWS.astype(np.float64), "binary"), "datatype is FP64, the model"),
    "shape": (tensor("X", ROWS[:, :29], "binary"), "shape is [5, 29], the model takes [-1, 30]"),
}


@BOTH
@pytest.mark.parametrize(("given", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told(
    kserve: KServe, cancer: Server, over: str, given: dict[str, Any], message: str
) -> None:
    found = kserve.ask(cancer, over, "infer", inputs=[given])
    assert found["status"] == ("400" if over == "rest" else "INVALID_ARGUMENT")
    assert message in found["error"]


@BOTH
def test_another_model_is_told(kserve: KServe, cancer: Server, over: str) -> None:
    found = kserve.ask(cancer, over, "infer", model="other", inputs=[tensor("X", ROWS, "binary")])
    assert found["status"] == ("404" if over == "rest" else "NOT_FOUND")
    assert "unknown model 'other'" in found["error"]


def test_a_version_can_be_named(kserve: KServe, cancer: Server) -> None:
    """Over gRPC alone: KServe's client of REST has no way to say it."""
    given = tensor("X", ROWS, "binary")
    answer = kserve.infer(cancer, "grpc", given, version=REVISION)
    assert found_in(answer)["label"].shape == (5,)
    other = kserve.ask(cancer, "grpc", "infer", inputs=[given], version="9")
    assert other["status"] == "NOT_FOUND"
    assert "unknown version '9' of 'm'" in other["error"]

"""A signature is of the model that it stands beside, or the server says where it is not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc
import tritonclient.http

from driftline_api.conditions import Reason
from driftline_api.note import read_signature
from driftline_api.signature import ModelSignature
from driftline_serving.errors import ArtifactError
from driftline_serving.server import engine
from driftline_serving.server.signature import MOST_BYTES, load_signature
from driftline_serving.server.tensors import Datatype, Signature, TensorSpec
from tests.serving import onnx_models
from tests.serving.processes import Setup, serving

CANCER: dict[str, Any] = {
    "features": [
        {"name": "mean radius", "tensor": "X", "unit": "mm"},
        {"name": "worst radius", "tensor": "X", "column": 20, "unit": "mm"},
    ],
    "prediction": {
        "task": "binary",
        "tensor": "label",
        "score": "probabilities",
        "classes": ["0", "1"],
        "positive": "0",
        "calibrated": True,
    },
    "loss": "log_loss",
}
IRIS: dict[str, Any] = {
    "features": [
        {
            "name": "petal length",
            "tensor": "length",
            "kind": "categorical",
            "levels": ["short", "medium", "long"],
        },
        {"name": "petal width", "tensor": "width", "unit": "cm"},
    ],
    "prediction": {
        "task": "multiclass",
        "tensor": "label",
        "classes": ["setosa", "versicolor", "virginica"],
        "score": "probabilities",
    },
}


def tensors_of(onnx: bytes, tmp_path: Path) -> Signature:
    (tmp_path / "model.onnx").write_bytes(onnx)
    return engine.load(tmp_path, threads=1).signature


def test_signatures_of_real_models_are_taken(tmp_path: Path) -> None:
    for onnx, signature in ((onnx_models.cancer_onnx(), CANCER), (onnx_models.iris_onnx(), IRIS)):
        tensors = tensors_of(onnx, tmp_path)
        (tmp_path / "driftline.json").write_text(json.dumps({"signature": signature}))

        assert load_signature(tmp_path, "", tensors) == ModelSignature.model_validate(signature)


def test_a_model_needs_no_signature(tmp_path: Path) -> None:
    assert load_signature(tmp_path, "", Signature(inputs=(), outputs=())) is None


WITHOUT = """
import pathlib, sys
import driftline_serving.server.run
import driftline_serving.server.predictions
import driftline_serving.server.grpc.transport
from driftline_serving.server.signature import load_signature
assert load_signature(pathlib.Path(sys.argv[1]), "", None) is None
print([name for name in sys.modules if name.startswith("pydantic")])
"""


def test_a_server_without_one_is_spared_pydantic(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]

    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_the_specs_takes_the_place_of_the_files_as_a_whole(tmp_path: Path) -> None:
    tensors = tensors_of(onnx_models.cancer_onnx(), tmp_path)
    (tmp_path / "driftline.json").write_text("not even JSON")
    spec = {"prediction": {"task": "binary", "tensor": "label"}}

    found = load_signature(tmp_path, json.dumps(spec), tensors)

    assert found == ModelSignature.model_validate(spec)


def a_tensor(name: str, datatype: Datatype, *shape: int) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


ANY = -1
TENSORS = Signature(
    inputs=(
        a_tensor("X", Datatype.FP32, ANY, 20),
        a_tensor("age", Datatype.INT64, ANY),
        a_tensor("words", Datatype.BYTES, ANY, 1),
        a_tensor("wide", Datatype.FP32, ANY, ANY),
        a_tensor("clip", Datatype.FP32, ANY, 16, 3),
        a_tensor("more", Datatype.FP32, ANY),
    ),
    outputs=(
        a_tensor("number", Datatype.INT64, ANY),
        a_tensor("word", Datatype.BYTES, ANY, 1),
        a_tensor("flag", Datatype.BOOL, 1, 1),
        a_tensor("value", Datatype.FP32, ANY, 1),
        a_tensor("three", Datatype.FP32, ANY, 3),
        a_tensor("some", Datatype.FP16, ANY, ANY),
        a_tensor("boxes", Datatype.FP32, ANY, 100, 4),
        a_tensor("votes", Datatype.INT32, ANY, 2),
        a_tensor("unshaped", Datatype.FP32),
    ),
)


def feature(tensor: str, **fields: Any) -> dict[str, Any]:
    return {"features": [{"name": "f", "tensor": tensor, **fields}]}


def prediction(task: str, **fields: Any) -> dict[str, Any]:
    return {"prediction": {"task": task, **fields}}


TAKEN: dict[str, dict[str, Any]] = {
    "last column": feature("X", column=19),
    "vector": feature("age"),
    "column of an axis of any length": feature("wide", column=999_999),
    "channel": feature("clip", column=2),
    "numbers as categories": feature("age", kind="categorical", levels=["0", "-3"]),
    "fractions as categories": feature("X", kind="categorical", levels=["0.5", "1e3"]),
    "strings as categories": feature("words", kind="categorical", levels=["a"]),
    "text": feature("words", kind="text"),
    "value": prediction("regression", tensor="value"),
    "count": prediction("regression", tensor="number"),
    "value of any width": prediction("regression", tensor="some"),
    "value of no known shape": prediction("regression", tensor="unshaped"),
    "class by number": prediction("multiclass", tensor="number"),
    "class by name": prediction("multiclass", tensor="word", classes=["a", "b"]),
    "flag": prediction("binary", tensor="flag"),
    "binary by name": prediction("binary", tensor="word"),
    "scores": prediction("multiclass", score="three"),
    "scores of any width": prediction("multiclass", score="some", classes=["a", "b"]),
    "votes": prediction("binary", score="votes"),
    "one probability": prediction("binary", score="value", calibrated=True),
    "one score beside the class": prediction("binary", tensor="number", score="value"),
}


@pytest.mark.parametrize("said", TAKEN.values(), ids=TAKEN.keys())
def test_what_a_model_has_may_be_named(said: dict[str, Any], tmp_path: Path) -> None:
    assert load_signature(tmp_path, json.dumps(said), TENSORS) == read_signature(json.dumps(said))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such input": (
        feature("Y"),
        "the model has no input 'Y'; it has 'X', 'age', 'words', 'wide', 'clip', …",
    ),
    "an output for an input": (feature("value"), "features[0].tensor: the model has no input"),
    "column beyond the last": (
        feature("X", column=20),
        "features[0].column: input 'X' (FP32 [-1, 20]) has columns 0 to 19",
    ),
    "second column of a vector": (
        feature("age", column=1),
        "features[0].column: input 'age' (INT64 [-1]) has column 0 only",
    ),
    "numbers in strings": (
        feature("words"),
        "features[0].kind: input 'words' (BYTES [-1, 1]) holds strings",
    ),
    "text in numbers": (feature("X", kind="text"), "features[0].kind: input 'X'"),
    "level that is no number": (
        feature("X", kind="categorical", levels=["1", "blue"]),
        "features[0].levels: 'blue' is no value of input 'X'",
    ),
    "level that is no integer": (
        feature("age", kind="categorical", levels=["1.5"]),
        "features[0].levels: '1.5' is no value of input 'age'",
    ),
    "no such output": (
        prediction("regression", tensor="price"),
        "prediction.tensor: the model has no output 'price'; it has 'number', 'word'",
    ),
    "no such scores": (
        prediction("binary", tensor="number", score="p"),
        "prediction.score: the model has no output 'p'",
    ),
    "several values a row": (
        prediction("regression", tensor="boxes"),
        "prediction.tensor: output 'boxes' (FP32 [-1, 100, 4]) holds several values for each row",
    ),
    "strings as a value": (prediction("regression", tensor="word"), "does not hold numbers"),
    "flags as a value": (prediction("regression", tensor="flag"), "does not hold numbers"),
    "scores as a class": (
        prediction("binary", tensor="value"),
        "holds no classes, which are strings or integers: name an output of scores as score",
    ),
    "names of no classes": (
        prediction("multiclass", tensor="word"),
        "prediction.tensor: output 'word' (BYTES [-1, 1]) holds strings: list them in classes",
    ),
    "strings as scores": (prediction("binary", score="word"), "does not hold numbers"),
    "boxes as scores": (
        prediction("multiclass", score="boxes"),
        "prediction.score: output 'boxes' (FP32 [-1, 100, 4]) has more than one row of scores",
    ),
    "more classes than scores": (
        prediction("multiclass", score="three", classes=["a", "b", "c", "d"]),
        "output 'three' (FP32 [-1, 3]) has 3 columns, and there are 4 classes",
    ),
    "more scores than classes": (
        prediction("binary", score="three"),
        "output 'three' (FP32 [-1, 3]) has 3 columns, and there are 2 classes",
    ),
    "one score of several classes": (
        prediction("multiclass", score="value"),
        "has 1 column, and a multiclass prediction needs one for each class",
    ),
    "one score that may mean anything": (
        prediction("binary", score="value"),
        "name the output that holds the class as tensor",
    ),
}


@pytest.mark.parametrize(("said", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_model_has_not_is_told(said: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as refused:
        load_signature(tmp_path, json.dumps(said), TENSORS)

    assert refused.value.reason is Reason.SIGNATURE_INVALID
    assert str(refused.value).startswith("spec.signature.")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "driftline.json: it is not JSON"),
        ('{"signature": {"featurs": []}}', "driftline.json: signature.featurs: there is no such"),
        (json.dumps({"signature": feature("Y")}), "driftline.json: signature.features[0].tensor: "),
        (" " * MOST_BYTES + "{}", "driftline.json is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_meant_is_told(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "driftline.json").write_text(content)

    with pytest.raises(ArtifactError) as refused:
        load_signature(tmp_path, "", TENSORS)

    assert refused.value.reason is Reason.SIGNATURE_INVALID
    assert told in str(refused.value)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "driftline.json").mkdir()

    with pytest.raises(ArtifactError, match=r"cannot read driftline\.json: Is a directory"):
        load_signature(tmp_path, "", TENSORS)


def test_metadata_says_what_the_numbers_mean_and_ordinary_clients_read_it(tmp_path: Path) -> None:
    (tmp_path / "driftline.json").write_text(json.dumps({"signature": CANCER}))
    with serving(tmp_path, onnx_models.cancer_onnx()) as server:
        said = server.get("/v2/models/m").json["parameters"]["signature"]
        over_http = tritonclient.http.InferenceServerClient(server.address)
        over_grpc = tritonclient.grpc.InferenceServerClient(server.grpc_address)
        with over_http, over_grpc:
            metadata = over_http.get_model_metadata("m")
            message = over_grpc.get_model_metadata("m")

    assert read_signature(json.dumps(said)) == ModelSignature.model_validate(CANCER)
    assert metadata["parameters"]["signature"] == said
    assert [each.name for each in message.outputs] == ["label", "probabilities"]


def test_a_pod_is_given_the_specs_and_ends_with_the_reason_if_it_is_of_another_model(
    tmp_path: Path,
) -> None:
    environ = (("DRIFTLINE_SIGNATURE", json.dumps(IRIS)),)
    setup = Setup(environ=environ, wait_ready=False)
    with serving(tmp_path, onnx_models.cancer_onnx(), setup) as server:
        assert server.process.wait(30) == 1

    left = json.loads((tmp_path / "termination-log").read_text())
    assert left == {
        "reason": "SignatureInvalid",
        "message": "spec.signature.features[0].tensor: the model has no input 'length'; it has 'X'",
    }

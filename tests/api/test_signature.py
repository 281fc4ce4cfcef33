"""What may be said of a model's numbers, in the spec and in a file."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline_api.note import SignatureError, read_note, read_signature
from driftline_api.signature import ModelSignature, Prediction, mistakes
from tests.api.builders import GOOD_MODEL, merged
from tests.conftest import ApiServer

BAD = yaml.safe_load((Path(__file__).parent / "bad_signatures.yaml").read_text())
MODELS = "/apis/driftline.dev/v1alpha1/namespaces/default/models"

WHOLE: dict[str, Any] = {
    "features": [
        {"name": "age", "tensor": "X", "column": 0, "kind": "numeric", "unit": "years"},
        {"name": "plan", "tensor": "X", "column": 1, "kind": "categorical", "levels": ["1", "2"]},
        {"name": "note", "tensor": "note", "kind": "text"},
    ],
    "prediction": {
        "task": "binary",
        "tensor": "label",
        "classes": ["stays", "leaves"],
        "positive": "leaves",
        "score": "probabilities",
        "calibrated": True,
    },
    "loss": "log_loss",
}


def test_the_file_holds_what_the_spec_may_hold() -> None:
    read = read_note(json.dumps({"signature": WHOLE}))

    assert read == ModelSignature.model_validate(WHOLE)
    assert read_signature(json.dumps(WHOLE)) == read


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["case"])
def test_spec_and_file_are_refused_in_the_same_words(
    api_server: ApiServer, case: dict[str, Any]
) -> None:
    bad = merged(GOOD_MODEL, {"spec": {"signature": case["signature"]}})

    answer = api_server.request("POST", f"{MODELS}?fieldValidation=Strict", bad)
    with pytest.raises(SignatureError) as refused:
        read_note(json.dumps({"signature": case["signature"]}))

    assert answer.status == 422, answer.body
    assert case["field"] in answer.message
    assert case["remedy"] in answer.message
    assert case["field"] in str(refused.value)
    assert case["remedy"] in str(refused.value)


some_words = st.lists(st.sampled_from(["0", "1", "a"]), min_size=1, max_size=3, unique=True)
some_features = st.fixed_dictionaries(
    {"name": st.just("f"), "tensor": st.just("X")},
    optional={
        "kind": st.sampled_from(["numeric", "categorical", "text"]),
        "unit": st.just("km"),
        "levels": some_words,
    },
)
some_predictions = st.fixed_dictionaries(
    {"task": st.sampled_from(["binary", "multiclass", "regression"])},
    optional={
        "tensor": st.just("y"),
        "classes": some_words,
        "positive": st.sampled_from(["0", "a"]),
        "score": st.just("p"),
        "calibrated": st.booleans(),
    },
)
some_signatures = st.fixed_dictionaries(
    {},
    optional={
        "features": st.lists(some_features, min_size=1, max_size=1),
        "prediction": some_predictions,
        "loss": st.sampled_from(["log_loss", "zero_one", "squared", "absolute"]),
    },
)


def refusal(signature: dict[str, Any]) -> str:
    """Return what the model server says of a signature, empty if it takes it."""
    try:
        read_signature(json.dumps(signature))
    except SignatureError as error:
        return str(error)
    return ""


def test_spec_and_file_agree_on_whatever_is_said(api_server: ApiServer) -> None:
    taken: list[bool] = []

    @settings(
        derandomize=True,
        max_examples=400,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(some_signatures)
    def check(signature: dict[str, Any]) -> None:
        model = merged(GOOD_MODEL, {"spec": {"signature": signature}})
        answer = api_server.request("POST", f"{MODELS}?dryRun=All", model)
        assert answer.status in {201, 422}, answer.message
        taken.append(answer.status == 201)
        assert answer.status == (422 if refusal(signature) else 201), answer.message

    check()
    assert 30 <= sum(taken) <= len(taken) - 30, "too few of either to say anything"


def feature(**fields: Any) -> dict[str, Any]:
    return {"name": "age", "tensor": "X", **fields}


IN_FILE: dict[str, tuple[dict[str, Any], str]] = {
    "a field that is none": (
        {"signature": {"features": [feature(colunm=3)]}},
        "signature.features[0].colunm: there is no such field",
    ),
    "a member that is none": (
        {"signature": WHOLE, "profiles": {}},
        "profiles: there is no such field",
    ),
    "no signature": ({}, "signature: Field required"),
    "text for a number": (
        {"signature": {"features": [feature(column="3")]}},
        "signature.features[0].column: Input should be a valid integer",
    ),
    "a kind that is none": (
        {"signature": {"features": [feature(kind="number")]}},
        "signature.features[0].kind: Input should be 'numeric', 'categorical' or 'text'",
    ),
    "a column before the first": (
        {"signature": {"features": [feature(column=-1)]}},
        "signature.features[0].column: Input should be greater than or equal to 0",
    ),
    "a number as class": (
        {"signature": {"prediction": {"task": "binary", "tensor": "y", "classes": [0, 1]}}},
        "signature.prediction.classes[0]: Input should be a valid string",
    ),
    "two features of one name": (
        {"signature": {"features": [feature(), feature(column=1)]}},
        "signature.features: two are called 'age'",
    ),
    "two features of one column": (
        {"signature": {"features": [feature(), feature(name="years")]}},
        "signature.features: two are column X[0]",
    ),
    "a class twice": (
        {"signature": {"prediction": {"task": "multiclass", "tensor": "y", "classes": ["a", "a"]}}},
        "signature.prediction.classes: 'a' stands there twice",
    ),
    "a level twice": (
        {"signature": {"features": [feature(kind="categorical", levels=["a", "a"])]}},
        "signature.features[0].levels: 'a' stands there twice",
    ),
    "a list without an end": (
        {"signature": {"features": [feature(name=str(n), column=n) for n in range(1025)]}},
        "at most 1024 items",
    ),
    "many mistakes": (
        {"signature": {"features": [feature(column=-1, name=str(n)) for n in range(9)]}},
        "and 6 more",
    ),
}


@pytest.mark.parametrize(("content", "told"), IN_FILE.values(), ids=IN_FILE.keys())
def test_a_file_is_refused_with_place_and_mistake(content: dict[str, Any], told: str) -> None:
    with pytest.raises(SignatureError) as refused:
        read_note(json.dumps(content))

    assert told in str(refused.value)


def test_what_is_not_json_is_told_so() -> None:
    with pytest.raises(SignatureError, match=r"it is not JSON: .* line 1"):
        read_note("signature: {}")


def test_there_is_no_mistake_in_a_good_one() -> None:
    assert list(mistakes(ModelSignature.model_validate(WHOLE))) == []


def test_binary_classes_are_0_and_1_and_the_second_is_positive() -> None:
    assert Prediction(task="binary", tensor="y").labels == ("0", "1")
    assert Prediction(task="binary", tensor="y").positive_index == 1
    reversed_ = Prediction(task="binary", tensor="y", classes=["spam", "ham"], positive="spam")
    assert reversed_.positive_index == 0
    assert Prediction(task="multiclass", tensor="y").labels == ()


@pytest.mark.parametrize(
    ("prediction", "loss"),
    [
        ({"task": "regression", "tensor": "y"}, "squared"),
        ({"task": "binary", "tensor": "y"}, "zero_one"),
        ({"task": "multiclass", "score": "p"}, "zero_one"),
        ({"task": "multiclass", "score": "p", "calibrated": True}, "log_loss"),
    ],
)
def test_loss_follows_from_the_prediction(prediction: dict[str, Any], loss: str) -> None:
    assert ModelSignature.model_validate({"prediction": prediction}).effective_loss == loss


def test_without_a_prediction_there_is_no_loss() -> None:
    assert ModelSignature.model_validate({"features": [feature()]}).effective_loss is None

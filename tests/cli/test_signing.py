"""What a model predicts, told from its outputs; and what is left open."""

import numpy as np
import pytest

from driftline_cli.data.table import Array
from driftline_cli.profile.signing import Claims, prediction_of

SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
NAMED = np.array(["cat", "dog", "fox"], object)


def told(claims: Claims = Claims(), **outputs: Array) -> dict[str, object] | None:  # noqa: B008 - it is frozen
    prediction = prediction_of(outputs, claims).prediction
    return None if prediction is None else prediction.model_dump(exclude_defaults=True)


def test_names_of_classes_are_learned_in_the_order_of_their_scores() -> None:
    assert told(label=NAMED, scores=SCORES) == {
        "task": "multiclass",
        "tensor": "label",
        "classes": ["cat", "dog", "fox"],
        "score": "scores",
    }


def test_numbers_of_columns_need_no_names() -> None:
    found = told(label=np.arange(3), scores=SCORES)
    assert found == {"task": "multiclass", "tensor": "label", "score": "scores"}


def test_two_classes_that_are_not_0_and_1_are_named() -> None:
    found = told(label=np.array([2, 1]), scores=np.array([[0.3, 0.7], [0.6, 0.4]]))
    assert found == {
        "task": "binary",
        "tensor": "label",
        "classes": ["1", "2"],
        "score": "scores",
    }


def test_scores_alone_tell_the_class() -> None:
    assert told(scores=SCORES) == {"task": "multiclass", "score": "scores"}


def test_one_number_beyond_0_and_1_is_a_value() -> None:
    assert told(y=np.array([[3.5], [-1.0]])) == {"task": "regression", "tensor": "y"}


def test_one_number_between_0_and_1_is_what_one_says() -> None:
    score = np.array([0.2, 0.9])
    assert told(y=score) is None
    assert told(Claims(task="regression"), y=score) == {"task": "regression", "tensor": "y"}
    calibrated = told(Claims(task="binary", calibrated=True), y=score)
    assert calibrated == {"task": "binary", "score": "y", "calibrated": True}


def test_probabilities_are_never_concluded_to_be_calibrated() -> None:
    found = prediction_of({"label": np.arange(3), "scores": SCORES}, Claims()).prediction
    assert found is not None
    assert not found.calibrated


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({"a": np.zeros((2, 3)), "b": np.zeros((2, 3))}, "it has the outputs a"),
        ({"a": np.zeros((2, 4, 4))}, "it has the outputs a"),
        ({"a": np.array([[1.0, 2.0], [3.0, 4.0]])}, "do not sum to 1"),
        ({"label": np.arange(2)}, "not how many there are"),
        ({"label": NAMED[:2], "p": SCORES[:2]}, "not all seen in the first rows"),
        ({"label": NAMED[[0, 0, 2]], "p": SCORES[[0, 1, 2]]}, "not those of the highest score"),
    ],
    ids=["two scores", "image", "values", "class alone", "unseen", "contradiction"],
)
def test_what_is_not_clear_is_left_open_with_the_reason(
    outputs: dict[str, Array], why: str
) -> None:
    found = prediction_of(outputs, Claims())
    assert found.prediction is None
    assert why in found.why

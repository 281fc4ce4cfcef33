"""What was predicted is read out of any outputs that a signature can describe."""

import math
from typing import Any

import numpy as np
import pytest

from driftline_api.signature import Prediction
from driftline_serving.server.predictions import UNKNOWN, Predictions
from driftline_serving.server.tensors import Array

ALL = 1000


def reading(**fields: Any) -> Predictions:
    return Predictions(Prediction(**fields))


def strings(*values: str) -> Array:
    return np.array(values, dtype=object)


SCORES = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_a_regression_gives_its_values(shape: tuple[int, ...], dtype: type) -> None:
    price = reading(task="regression", tensor="price")
    outputs: dict[str, Array] = {"price": np.array([1, 2, 3], dtype=dtype).reshape(shape)}

    assert price.values(outputs, ALL) == [1.0, 2.0, 3.0]
    assert price.values(outputs, 2) == [1.0, 2.0]
    assert price.classes(outputs, ALL) is None


def test_binary_scores_are_those_of_the_positive_class() -> None:
    outputs = {"p": SCORES, "y": np.array([0, 1])}

    assert reading(task="binary", tensor="y", score="p").values(outputs, ALL) == pytest.approx(
        [0.1, 0.8]
    )
    first = reading(task="binary", tensor="y", score="p", positive="0")
    assert first.values(outputs, ALL) == pytest.approx([0.9, 0.2])
    assert first.values(outputs, 1) == pytest.approx([0.9])


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_one_column_of_binary_scores_is_of_the_positive_class(shape: tuple[int, ...]) -> None:
    outputs = {"p": np.array([0.5, 0.3]).reshape(shape)}
    spam = reading(task="binary", score="p", classes=["spam", "ham"], positive="spam")

    assert spam.values(outputs, ALL) == [0.5, 0.3]
    assert spam.classes(outputs, ALL) == [0, 1]


def test_without_scores_the_value_is_the_position_of_the_class() -> None:
    outputs = {"y": strings("ham", "spam", "fraud")}
    spam = reading(task="binary", tensor="y", classes=["spam", "ham"])

    assert spam.classes(outputs, ALL) == [1, 0, UNKNOWN]
    values = spam.values(outputs, ALL)
    assert values is not None
    assert values[:2] == [1.0, 0.0]
    assert math.isnan(values[2])


@pytest.mark.parametrize(
    ("classes", "output", "positions"),
    [
        (["a", "b", "c"], strings("c", "a"), [2, 0]),
        (["a", "b", "c"], np.array([2, 0, 3, -1]), [2, 0, UNKNOWN, UNKNOWN]),
        (["1", "2", "3"], np.array([3, 1, 0]), [2, 0, UNKNOWN]),
        (["1", "2", "3"], strings("3", "1"), [2, 0]),
        (["-1", "1", "0"], np.array([[-1], [0]], dtype=np.int8), [0, 2]),
        (["01", "1"], np.array([1, 0], dtype=np.uint8), [1, 0]),
        ([], np.array([7, -1]), [7, UNKNOWN]),
        (["no", "yes"], np.array([True, False]), [1, 0]),
    ],
    ids=[
        "names",
        "positions",
        "numbers",
        "numbers as text",
        "negative",
        "no number",
        "none",
        "bool",
    ],
)
def test_a_class_is_named_by_string_number_or_position(
    classes: list[str], output: Array, positions: list[int]
) -> None:
    fields = {"classes": classes} if classes else {}

    assert reading(task="multiclass", tensor="y", **fields).classes({"y": output}, ALL) == positions


def test_without_a_class_the_highest_score_decides() -> None:
    scores = np.array([[1, 5, 2], [9, 0, 0], [math.nan, 1, 2]], dtype=np.float32)
    colours = reading(task="multiclass", score="p", classes=["red", "green", "blue"])

    assert colours.classes({"p": scores}, ALL) == [1, 0, UNKNOWN]
    assert colours.values({"p": scores}, 2) == [1.0, 0.0]
    assert reading(task="binary", score="p").classes({"p": SCORES}, ALL) == [0, 1]


def test_the_class_that_the_model_names_counts_and_not_the_highest_score() -> None:
    careful = reading(task="binary", tensor="y", score="p")

    assert careful.classes({"y": np.array([1, 1]), "p": SCORES}, ALL) == [1, 1]


@pytest.mark.parametrize(
    ("fields", "outputs"),
    [
        ({"task": "regression", "tensor": "y"}, {}),
        ({"task": "binary", "tensor": "y", "score": "p"}, {"y": np.array([1])}),
        ({"task": "multiclass", "tensor": "y"}, {"p": SCORES}),
        ({"task": "multiclass", "score": "p"}, {"y": np.array([1])}),
    ],
)
def test_nothing_is_read_of_an_output_that_was_not_asked_for(
    fields: dict[str, Any], outputs: dict[str, Array]
) -> None:
    assert reading(**fields).values(outputs, ALL) is None


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"task": "regression", "tensor": "t"}, np.zeros((2, 3))),
        ({"task": "regression", "tensor": "t"}, np.zeros(())),
        ({"task": "binary", "score": "t"}, np.zeros((2, 3))),
        ({"task": "binary", "score": "t"}, np.zeros((2, 0))),
        ({"task": "multiclass", "score": "t", "classes": ["a", "b"]}, np.zeros((2, 3))),
        ({"task": "multiclass", "score": "t"}, np.zeros((2, 3, 4))),
    ],
)
def test_nothing_is_read_of_an_output_of_another_shape(
    fields: dict[str, Any], output: Array
) -> None:
    assert reading(**fields).values({"t": output}, ALL) is None


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_no_rows_are_no_predictions(task: str) -> None:
    assert reading(task=task, tensor="y").values({"y": np.zeros((0, 1))}, ALL) == []


def test_no_rows_of_scores_are_no_predictions() -> None:
    two = reading(task="binary", score="p")

    assert two.values({"p": np.zeros((0, 2))}, ALL) == []
    assert two.values({"p": np.zeros((0,))}, ALL) == []
    assert two.classes({"p": np.zeros((0, 2))}, ALL) == []

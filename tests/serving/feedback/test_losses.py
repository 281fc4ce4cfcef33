"""How wrong a prediction is, as a number from 0 to 1."""

import math
from typing import Any

import numpy as np
import pytest

from driftline_api.signature import ModelSignature, Prediction
from driftline_serving.monitor.feedback.items import ItemError
from driftline_serving.monitor.feedback.losses import Losses, bin_of
from tests.serving.feedback.builders import classes, probabilities, values

SPECIES = ModelSignature(
    prediction=Prediction(
        task="multiclass", score="scores", calibrated=True, classes=["cat", "dog", "owl"]
    )
)
NUMBERED = ModelSignature(prediction=Prediction(task="multiclass", tensor="label"))
IN_FIVES = ModelSignature(
    prediction=Prediction(task="multiclass", tensor="label", classes=["5", "10", "15"])
)


@pytest.mark.parametrize(
    ("signature", "label", "truth"),
    [
        (classes(), "bad", 1),
        (classes(), 0, 0),
        (classes(), 1.0, 1),
        (classes(), True, 1),
        (classes(positive="good"), True, 0),
        (classes(positive="good"), False, 1),
        (probabilities(), 1, 1),
        (probabilities(), "1", 1),
        (IN_FIVES, 10, 1),
        (IN_FIVES, "15", 2),
        (NUMBERED, 7, 7),
        (NUMBERED, "7", 7),
        (values(), 3, 3.0),
    ],
)
def test_a_label_names_a_class_as_the_model_does(
    signature: ModelSignature, label: Any, truth: float
) -> None:
    assert Losses(signature).truth(label) == truth


@pytest.mark.parametrize(
    ("signature", "label", "told"),
    [
        (classes(), "ugly", "none of the classes: write one of 'good', 'bad'"),
        (classes(), 2, "none of the classes"),
        (classes(), 0.5, "none of the classes"),
        (IN_FIVES, 1, "write one of '5', '10', '15'"),
        (NUMBERED, -1, "as their number"),
        (NUMBERED, "seven", "as their number"),
        (NUMBERED, True, "name the class"),
        (values(), "much", "as a number"),
        (values(), True, "as a number"),
    ],
)
def test_a_label_that_is_none_is_refused_with_what_it_could_be(
    signature: ModelSignature, label: Any, told: str
) -> None:
    with pytest.raises(ItemError, match=told):
        Losses(signature).truth(label)


def test_a_refusal_does_not_repeat_the_label() -> None:
    with pytest.raises(ItemError) as refused:
        Losses(classes()).truth("patient 4711")
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize(
    ("signature", "truth", "predicted", "loss"),
    [
        (classes(), 1, [1.0], 0.0),
        (classes(), 1, [0.0], 1.0),
        (classes(), 1, [math.nan], math.nan),
        (probabilities(), 1, [math.exp(-1)], 0.2),
        (probabilities(), 0, [1 - math.exp(-1)], 0.2),
        (probabilities(), 1, [0.0], 1.0),
        (probabilities(), 1, [1e-9], 1.0),
        (probabilities(), 1, [1.5], math.nan),
        (SPECIES, 2, [0.5, 0.5 - math.exp(-2), math.exp(-2)], 0.4),
        (SPECIES, 2, [0.5, 0.5], math.nan),
        (values(), 3.0, [5.0], 0.25),
        (values("squared"), 3.0, [5.0], 0.0625),
        (values(), 3.0, [1e300], 1.0),
        (values(), 3.0, [math.nan], math.nan),
    ],
)
def test_a_loss_lies_between_0_and_1(
    signature: ModelSignature, truth: float, predicted: list[float], loss: float
) -> None:
    found = Losses(signature, deviation=2.0).loss(truth, predicted)
    assert found == pytest.approx(loss, nan_ok=True)


def test_the_loss_of_a_value_is_not_known_before_there_is_a_unit() -> None:
    assert math.isnan(Losses(values()).loss(1.0, [1.0]))


def test_receipts_say_what_the_loss_needs_where_they_can() -> None:
    assert Losses(classes()).of_receipt([1.0, 0.0]) == [[1.0], [0.0]]
    assert Losses(probabilities()).of_receipt([0.7]) == [[0.7]]
    assert Losses(values()).of_receipt([3.5]) == [[3.5]]
    # The class that was predicted does not tell how likely the others were.
    assert Losses(SPECIES).of_receipt([2.0]) is None
    # A score that is no probability does not tell the class.
    assert Losses(classes(score="scores")).of_receipt([0.7]) is None
    forced = probabilities().model_copy(update={"loss": "zero_one"})
    assert Losses(forced).of_receipt([0.7, 0.2]) == [[1.0], [0.0]]


def test_bins_keep_the_mean_of_losses() -> None:
    dithers = np.random.default_rng(5).uniform(size=20_000)
    bins = [bin_of(0.0137, each) for each in dithers]
    assert set(bins) == {1, 2}
    assert np.mean(bins) / 100 == pytest.approx(0.0137, abs=1e-4)

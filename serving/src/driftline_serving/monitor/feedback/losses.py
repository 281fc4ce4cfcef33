"""What a label says of a prediction: a loss between 0 and 1, in bins that add."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from driftline_api.signature import ModelSignature, Prediction
from driftline_serving.monitor.feedback.items import ItemError, Truth
from driftline_serving.monitor.feedback.outputs import Content, content_of
from driftline_serving.server.predictions import positions_of

#: Bins of a loss: that of `BINS - 1` is 1.
BINS: Final = 101
#: A logarithmic loss from which on it counts as 1, in nats: the true class had 0.7 %.
MOST_NATS: Final = 5.0
#: An error from which on it counts as 1, in standard deviations of what is predicted.
MOST_DEVIATIONS: Final = 4.0
_SHOWN: Final = 5


class Losses:
    """How wrong predictions of one model are.

    `zero_one` is 0 or 1. Others have no bound, so they are cut off: `log_loss` is -ln p / 5 for the
    probability p of the true class, `absolute` is |error| / 4s and `squared` its square, where s is
    the standard deviation of predictions in the reference. Above 1 they count as 1.

    Args:
        signature: of the model, with a prediction.
        deviation: s; None where there is no reference yet, and no loss of a regression is known.
    """

    def __init__(self, signature: ModelSignature, deviation: float | None = None) -> None:
        prediction, loss = signature.prediction, signature.effective_loss
        if prediction is None or loss is None:
            raise ValueError("a signature without prediction has no loss")
        self._prediction = prediction
        self._loss = loss
        self._content = content_of(prediction, loss)
        self._classes = positions_of(prediction.labels)
        self.deviation = deviation

    def truth(self, label: Truth) -> float:
        """Return a label as a number: a value, or the place of a class.

        Raises:
            ItemError: it is no class or value of this model.
        """
        if self._prediction.task == "regression":
            if isinstance(label, bool) or not isinstance(label, int | float):
                raise ItemError("the model predicts a value: write the label as a number")
            return float(label) + 0.0  # -0.0 is the same truth
        return float(_place(label, self._prediction, self._classes))

    def loss(self, truth: float, predicted: Sequence[float]) -> float:
        """Return the loss of one row, from 0 to 1; nan where it is not known.

        Args:
            truth: of `truth`.
            predicted: a row of `Outputs.read`.
        """
        if self._content == "value":
            return self._of_value(truth, predicted[0])
        if self._content == "class":
            return math.nan if math.isnan(predicted[0]) else float(predicted[0] != truth)
        chance = self._chance(int(truth), predicted)
        if not 0 <= chance <= 1:
            return math.nan
        return min(1.0, -math.log(chance) / MOST_NATS) if chance else 1.0

    def of_receipt(self, predictions: Sequence[float]) -> list[list[float]] | None:
        """Return what a receipt says in the form of `Outputs.read`; None where it says too little.

        A receipt has a class, a value, or a binary classification's score. Only if scores are
        probabilities does the score tell the class, and a class never tells its probability.
        """
        told = _told(self._prediction)
        if told == self._content:
            return [[value] for value in predictions]
        prediction = self._prediction
        if told == "positive" and prediction.calibrated and not prediction.tensor:
            positive = prediction.positive_index
            return [[float(positive if v >= 0.5 else 1 - positive)] for v in predictions]
        return None

    def _of_value(self, truth: float, value: float) -> float:
        if not self.deviation:
            return math.nan
        error = abs(truth - value) / (MOST_DEVIATIONS * self.deviation)
        if math.isnan(error):
            return math.nan
        return min(1.0, error if self._loss == "absolute" else error * error)

    def _chance(self, truth: int, predicted: Sequence[float]) -> float:
        if self._content == "positive":
            positive = predicted[0]
            return positive if truth == self._prediction.positive_index else 1 - positive
        return predicted[truth] if truth < len(predicted) else math.nan


def bin_of(loss: float, dither: float) -> int:
    """Return the bin of a loss: rounded up with a chance that keeps the mean of many exact.

    So a loss of 0.004 is in bin 0 or 1, and not always in bin 0. What tests the mean of losses
    tests that of the bins as well.

    >>> bin_of(0.0, 0.99), bin_of(1.0, 0.0), bin_of(0.255, 0.4), bin_of(0.255, 0.6)
    (0, 100, 25, 26)

    Args:
        loss: from 0 to 1.
        dither: from 0 to 1, exclusive; uniform, and the same whenever the row is looked at.
    """
    return min(BINS - 1, math.floor(loss * (BINS - 1) + dither))


def _told(prediction: Prediction) -> Content:
    """Return what a receipt holds; see `Predictions.values`."""
    if prediction.task == "regression":
        return "value"
    return "positive" if prediction.task == "binary" and prediction.score else "class"


def _place(label: Truth, prediction: Prediction, known: Mapping[object, int] | None) -> int:
    if isinstance(label, bool):
        if prediction.task != "binary":
            raise ItemError("true and false are labels of a binary classification: name the class")
        return prediction.positive_index if label else 1 - prediction.positive_index
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if known is not None:
        place = known.get(label)
        if place is not None:
            return place
        names = [repr(each) for each in prediction.labels[:_SHOWN]]
        more = ["…"] if len(prediction.labels) > _SHOWN else []
        raise ItemError(f"a label is none of the classes: write one of {', '.join(names + more)}")
    number = int(label) if isinstance(label, str) and label.isdecimal() else label
    if not isinstance(number, int) or number < 0:
        raise ItemError("the classes have no names: write the label as their number, from 0")
    return number

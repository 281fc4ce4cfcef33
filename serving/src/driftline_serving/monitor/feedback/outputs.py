"""The numbers that a loss is made from, read out of a model's outputs as its signature says."""

import math
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from driftline_api.signature import Loss, ModelSignature, Prediction
from driftline_serving.server.predictions import UNKNOWN, Predictions
from driftline_serving.server.tensors import Array

Floats: TypeAlias = npt.NDArray[np.float64]

#: What stands in the columns: a value, the place of a class, the positive class's probability, or
#: that of each class.
Content = Literal["value", "class", "positive", "probabilities"]
_ALL: Final = 2**62


def content_of(prediction: Prediction, loss: Loss) -> Content:
    """Return what a loss is made from."""
    if prediction.task == "regression":
        return "value"
    if loss == "zero_one":
        return "class"
    return "positive" if prediction.task == "binary" else "probabilities"


class Outputs:
    """Reads what was predicted for each row, and with which probability.

    Attributes:
        content: what is read.
    """

    def __init__(self, signature: ModelSignature) -> None:
        prediction, loss = signature.prediction, signature.effective_loss
        if prediction is None or loss is None:
            raise ValueError("a signature without prediction does not say what is predicted")
        self.content = content_of(prediction, loss)
        self._prediction = prediction
        self._predictions = Predictions(prediction)

    @property
    def positive(self) -> int:
        """Place of the positive class of a binary classification; -1 for others."""
        prediction = self._prediction
        return prediction.positive_index if prediction.task == "binary" else UNKNOWN

    @property
    def names(self) -> tuple[str, ...]:
        """Outputs that are read."""
        named = (self._prediction.tensor, self._prediction.score)
        return tuple(name for name in named if name)

    def read(self, outputs: Mapping[str, Array]) -> Floats | None:
        """Return what a loss is made from, nan where that is not known; shape [rows, width].

        Returns:
            None if the client did not ask for the output that holds it.
        """
        if self.content == "probabilities":
            scores = self._scores(outputs)
            return None if scores is None else scores.astype(np.float64)
        if self.content == "class":
            return _column(self.classes(outputs))
        values = self._predictions.values(outputs, _ALL)
        return None if values is None else np.asarray(values, np.float64).reshape(-1, 1)

    def classes(self, outputs: Mapping[str, Array]) -> npt.NDArray[np.int64] | None:
        """Return the place of the predicted class of each row, -1 where that is not known."""
        found = self._predictions.classes(outputs, _ALL)
        return None if found is None else np.asarray(found, np.int64)

    def probabilities(self, outputs: Mapping[str, Array]) -> Floats | None:
        """Return calibrated scores: of the positive class, shape [rows], or of each class."""
        scores = self._scores(outputs)
        if scores is None or self._prediction.task != "binary":
            return None if scores is None else scores.astype(np.float64)
        if scores.shape[1] > 2:
            return None
        at = self._prediction.positive_index if scores.shape[1] == 2 else 0
        return scores[:, at].astype(np.float64)

    def _scores(self, outputs: Mapping[str, Array]) -> Array | None:
        scores = outputs.get(self._prediction.score or "")
        if scores is None or scores.ndim not in (1, 2) or scores.shape[1:] == (0,):
            return None
        return scores.reshape(len(scores), -1)


def _column(classes: npt.NDArray[np.int64] | None) -> Floats | None:
    if classes is None:
        return None
    return np.where(classes == UNKNOWN, math.nan, classes.astype(np.float64)).reshape(-1, 1)

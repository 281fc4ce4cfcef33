"""What was predicted, read out of a model's outputs as its signature says."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from driftline_serving.server.tensors import Array

if TYPE_CHECKING:  # a server whose model has no signature is spared pydantic
    from driftline_api.signature import Prediction

#: The position of a class that the signature does not name.
UNKNOWN: Final = -1
_EVEN_CHANCE: Final = 0.5


class Predictions:
    """Reads predictions of one model; numpy only, and cheap enough for every answer.

    Whether the outputs are of the shapes and datatypes that are read here is checked when the
    model is loaded. Of an axis without a fixed length that shows only now; then nothing is read.
    """

    def __init__(self, prediction: "Prediction") -> None:
        self._prediction = prediction
        self._positive = prediction.positive_index if prediction.task == "binary" else UNKNOWN
        self._positions = positions_of(prediction.labels)
        self._known = len(prediction.labels) or math.inf

    def values(self, outputs: Mapping[str, Array], most: int) -> list[float] | None:
        """Return one number for each of the first `most` rows.

        A regression's value; a binary classification's score of the positive class, if the
        signature names scores; else the position of the predicted class, NaN for an unknown one.

        Returns:
            None if the client did not ask for the output that holds it.
        """
        if self._prediction.task == "regression":
            return _floats(_column(outputs.get(self._prediction.tensor or ""), most))
        if self._prediction.task == "binary" and self._prediction.score:
            scores = outputs.get(self._prediction.score)
            if scores is not None and scores.shape[1:] == (2,):
                values: list[float] = scores[:most, self._positive].tolist()
                return values  # most models have such scores, and every request pays for the rest
            return _floats(self._positive_scores(outputs, most))
        classes = self.classes(outputs, most)
        if classes is None:
            return None
        return [math.nan if at == UNKNOWN else float(at) for at in classes]

    def classes(self, outputs: Mapping[str, Array], most: int) -> list[int] | None:
        """Return the position of the predicted class for each of the first `most` rows.

        It is `UNKNOWN` where the model names another class than the signature, or has NaN as a
        score.

        Returns:
            None for a regression, or if the client did not ask for the output that holds it.
        """
        prediction = self._prediction
        if prediction.task == "regression":
            return None
        if prediction.tensor:
            named = _column(outputs.get(prediction.tensor), most)
            return None if named is None else self._named(named.tolist())
        return self._of_highest_score(outputs, most)

    def _named(self, values: Sequence[Any]) -> list[int]:
        if self._positions is None:
            return [max(each, UNKNOWN) for each in values]
        find = self._positions.get
        return [find(each, UNKNOWN) for each in values]

    def _positive_scores(self, outputs: Mapping[str, Array], most: int) -> Array | None:
        scores = _columns(outputs.get(self._prediction.score or ""), most)
        if scores is None or scores.shape[1] > 2:
            return None
        return scores[:, self._positive if scores.shape[1] == 2 else 0]

    def _of_highest_score(self, outputs: Mapping[str, Array], most: int) -> list[int] | None:
        scores = _columns(outputs.get(self._prediction.score or ""), most)
        if scores is None or scores.shape[1] > self._known:
            return None
        if scores.shape[1] == 1:
            is_positive = scores[:, 0] >= _EVEN_CHANCE
            highest = np.where(is_positive, self._positive, 1 - self._positive)
        else:
            highest = scores.argmax(axis=1)
        return list(np.where(np.isnan(scores).any(axis=1), UNKNOWN, highest).tolist())


def positions_of(labels: Sequence[str]) -> Mapping[object, int] | None:
    """Return which class an output's value names; None if its values are positions themselves.

    Strings name a class, and so do integers where all classes are integers.
    """
    if not labels:
        return None
    named: dict[object, int] = {label: at for at, label in enumerate(labels)}
    if all(_is_integer(label) for label in labels):
        return named | {int(label): at for at, label in enumerate(labels)}
    return named | {at: at for at in range(len(labels))}


def _is_integer(label: str) -> bool:
    return label.removeprefix("-").isdecimal() and str(int(label)) == label


def _column(output: Array | None, most: int) -> Array | None:
    """Return the one value of each row, None if there is not one."""
    if output is None or output.ndim == 0 or output.size != len(output):
        return None
    return output[:most].reshape(-1)


def _columns(output: Array | None, most: int) -> Array | None:
    """Return a column of scores for each class; a vector has one column."""
    if output is None or output.ndim not in (1, 2) or output.shape[1:] == (0,):
        return None
    return output[:most].reshape(min(most, len(output)), *(output.shape[1:] or (1,)))


def _floats(values: Array | None) -> list[float] | None:
    return None if values is None else [float(each) for each in values.tolist()]

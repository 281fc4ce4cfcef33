"""What was predicted, as features: the class or the value, and the score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftline_api.signature import Prediction
from driftline_serving.server.predictions import positions_of
from driftline_serving.server.tensors import Array
from driftline_serving.watched.readings import (
    WRONG_SHAPE,
    WRONG_TYPE,
    Matrix,
    Numbers,
    Read,
    Reading,
    UnreadableError,
    as_floats,
    as_levels,
)
from driftline_stats.drift.rows import CATEGORICAL, NUMERIC, PREDICTION, Feature

NAME: Final = "prediction"
SCORE: Final = "prediction.score"
_EVEN_CHANCE: Final = 0.5


def of_prediction(prediction: Prediction) -> list[Reading]:
    """Return how predictions are read: the class or value as `prediction`, and its score.

    The score is that of the positive class in a binary classification, and else the highest one,
    so that it is one number however many classes there are.

    >>> [each.features[0].name for each in of_prediction(Prediction(task="binary", score="p"))]
    ['prediction', 'prediction.score']
    """
    if prediction.task == "regression":
        return [_reading(NAME, NUMERIC, prediction.tensor or "", Numbers(columns=(0,)))]
    labels = prediction.labels
    positive = prediction.positive_index if prediction.task == "binary" else None
    found: list[Reading] = []
    if prediction.tensor:
        named = NamedClass(names=_names(labels))
        found.append(_reading(NAME, CATEGORICAL, prediction.tensor, named))
    elif prediction.score:
        scored = ScoredClass(labels=labels, positive=positive)
        found.append(_reading(NAME, CATEGORICAL, prediction.score, scored))
    if prediction.score:
        found.append(_reading(SCORE, NUMERIC, prediction.score, Score(positive=positive)))
    return found


def _reading(name: str, kind: str, tensor: str, read: Read) -> Reading:
    feature = Feature(name=name, kind=kind, role=PREDICTION)
    return Reading(tensor=tensor, of_output=True, features=(feature,), read=read)


def _names(labels: Sequence[str]) -> Mapping[object, str]:
    positions = positions_of(labels) or {}
    return {value: labels[at] for value, at in positions.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedClass:
    """The class that an output names, by the signature's name where it has one."""

    names: Mapping[object, str]

    def __call__(self, values: Array) -> list[Array]:
        """See `readings.Read`."""
        if values.dtype.kind not in "iubO":
            raise UnreadableError(WRONG_TYPE)
        if values.size != len(values):
            raise UnreadableError(WRONG_SHAPE)
        column = as_levels(values.reshape(-1))
        if column.dtype.kind == "O" or not self.names:
            return [column]
        levels = np.empty(len(column), object)
        levels[:] = [self.names.get(each, each) for each in column.tolist()]
        return [levels]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredClass:
    """The class of the highest score; missing where a score is."""

    labels: Sequence[str]
    positive: int | None

    def __call__(self, values: Array) -> list[Array]:
        """See `readings.Read`."""
        scores = _scores(values)
        if self.labels and scores.shape[1] > len(self.labels):
            raise UnreadableError(WRONG_SHAPE)
        unknown = np.isnan(scores).any(axis=1)
        if scores.shape[1] == 1 and self.positive is not None:
            highest = np.where(scores[:, 0] >= _EVEN_CHANCE, self.positive, 1 - self.positive)
        else:
            highest = scores.argmax(axis=1)
        if not self.labels:
            return [np.where(unknown, np.nan, highest)]
        column = np.array(self.labels, object)[highest]
        column[unknown] = None
        return [column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The score of the positive class, or the highest one."""

    positive: int | None

    def __call__(self, values: Array) -> Matrix:
        """See `readings.Read`."""
        scores = _scores(values)
        if self.positive is None:
            highest: Matrix = scores.max(axis=1, keepdims=True)
            return highest
        if scores.shape[1] > 2:
            raise UnreadableError(WRONG_SHAPE)
        return scores[:, [self.positive if scores.shape[1] > 1 else 0]]


def _scores(values: Array) -> Matrix:
    """Return a column of scores for each class; a vector is one."""
    if values.dtype.kind not in "fiu":
        raise UnreadableError(WRONG_TYPE)
    if values.ndim > 2 or 0 in values.shape:
        raise UnreadableError(WRONG_SHAPE)
    return as_floats(values.reshape(len(values), -1))

"""What a model predicts, told from its outputs and from how they go together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from driftline_api.signature import Prediction, Task
from driftline_cli.data.table import Array
from driftline_cli.profile.feed import Tensors

#: Of a row of probabilities: how far their sum is from 1 at most.
_ROUNDING: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was found out.

    Attributes:
        prediction: None where it is not clear.
        why: what was concluded from what, or why nothing was; for people.
    """

    prediction: Prediction | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a person said about the prediction, and no output says.

    Attributes:
        task: what is predicted.
        classes: in the order of the scores.
        positive: the class that is looked for.
        calibrated: scores are probabilities.
    """

    task: Task | None = None
    classes: tuple[str, ...] = ()
    positive: str | None = None
    calibrated: bool = False


def prediction_of(outputs: Tensors, claims: Claims) -> Told:
    """Say what is predicted, by outputs of some rows.

    A class and the scores of a classifier of scikit-learn:

    >>> label, scores = np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> told = prediction_of({"label": label, "probabilities": scores}, Claims())
    >>> told.prediction.task, told.prediction.tensor, told.prediction.score
    ('binary', 'label', 'probabilities')

    Args:
        outputs: of at least one row.
        claims: what a person said.
    """
    named = [name for name, values in outputs.items() if _is_class(values)]
    scores = [name for name, values in outputs.items() if _is_scores(values)]
    values = [name for name, values in outputs.items() if _is_value(values)]
    if len(outputs) == 1 and values:
        return _single(values[0], outputs[values[0]], claims)
    if len(named) + len(scores) != len(outputs) or len(named) > 1 or len(scores) > 1:
        shown = ", ".join(f"{name} {list(each.shape)}" for name, each in outputs.items())
        return _unclear(f"it has the outputs {shown}")
    if claims.task == "regression":
        return _unclear("no output is a single number for each row, as of a regression")
    if not named:
        return _scored(scores[0], outputs[scores[0]], claims)
    return _classified(outputs, named[0], scores, claims)


def _single(name: str, values: Array, claims: Claims) -> Told:
    """One number for each row: a value, or the score of one class."""
    within = bool(np.all((values >= 0) & (values <= 1)))
    if claims.task == "binary":
        prediction = _prediction(claims, "binary", score=name, classes=claims.classes)
        return Told(prediction=prediction, why=f"{name} is the score of the positive class")
    if claims.task is None and within:
        return _unclear(f"{name} is between 0 and 1, and may be a value or a score")
    return Told(
        prediction=Prediction(task="regression", tensor=name),
        why=f"{name} is one number for each row",
    )


def _scored(name: str, values: Array, claims: Claims) -> Told:
    is_law = bool(np.all(values >= 0) and np.all(np.abs(values.sum(axis=1) - 1) < _ROUNDING))
    if claims.task is None and not is_law:
        return _unclear(f"{name} has {values.shape[1]} columns that do not sum to 1")
    return Told(
        prediction=_classification(claims, values.shape[1], score=name),
        why=f"{name} has a score for each class, and the highest is predicted",
    )


def _classified(outputs: Tensors, label: str, scores: Sequence[str], claims: Claims) -> Told:
    """A class for each row, perhaps with scores, whose order is learned from the rows."""
    named = outputs[label].reshape(-1)
    if not scores:
        if not claims.task and not claims.classes:
            return _unclear(f"{label} names a class, and not how many there are")
        prediction = _classification(claims, len(claims.classes), tensor=label)
        return Told(prediction=prediction, why=f"{label} is the predicted class")
    score = scores[0]
    width = outputs[score].shape[1] if outputs[score].ndim > 1 else 1
    classes = list(claims.classes) or _classes(named, outputs[score])
    if classes is None:
        return _unclear(
            f"{label} names classes that are not all seen in the first rows, or not those of the "
            f"highest score in {score}"
        )
    return Told(
        prediction=_classification(
            claims, max(width, 2), tensor=label, score=score, classes=classes
        ),
        why=f"{label} is the predicted class, and {score} has the scores",
    )


def _classification(claims: Claims, width: int, **fields: Any) -> Prediction:
    task = claims.task or ("binary" if width == 2 else "multiclass")
    return _prediction(claims, task, **{"classes": claims.classes} | fields)


def _prediction(claims: Claims, task: Task, **fields: Any) -> Prediction:
    """Return a prediction; an empty field is left out, as one that is said would be refused."""
    said = {"task": task, "positive": claims.positive, "calibrated": claims.calibrated} | fields
    return Prediction.model_validate({name: value for name, value in said.items() if value})


def _classes(named: Array, scores: Array) -> list[str] | None:
    """Return the names of the columns of scores; none where a class is its own column's number.

    Returns:
        None where the rows do not say.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        return [] if named.dtype.kind != "O" and set(named.tolist()) <= {0, 1} else None
    columns = scores.shape[1]
    highest = scores.argmax(axis=1)
    if named.dtype.kind != "O" and np.array_equal(named, highest):
        return []
    by_column = {at: {str(each) for each in named[highest == at].tolist()} for at in range(columns)}
    if any(len(found) != 1 for found in by_column.values()):
        return None
    names = [found.pop() for found in by_column.values()]
    return names if len(set(names)) == columns else None


def _unclear(why: str) -> Told:
    return Told(prediction=None, why=why)


def _is_class(values: Array) -> bool:
    return values.dtype.kind in "iubO" and values.size == len(values)


def _is_value(values: Array) -> bool:
    return values.dtype.kind == "f" and values.size == len(values)


def _is_scores(values: Array) -> bool:
    return values.dtype.kind == "f" and values.ndim <= 2

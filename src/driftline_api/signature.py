"""What a model's numbers mean: its features, its prediction, and how right it is counted to be.

A signature stands in the Model's spec, or in `driftline.json` beside `model.onnx`. The API server
checks the first by the rules below; the second is read by `driftline_api.note`, by the same ones.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from driftline_api.base import ApiType
from driftline_api.schema import AS_SET, ATOMIC, Extension, Rule, keyed_by, rules

TensorName = Annotated[str, Field(min_length=1, max_length=256)]
Label = Annotated[str, Field(min_length=1, max_length=128)]

Kind = Literal["numeric", "categorical", "text"]
Task = Literal["binary", "multiclass", "regression"]
Loss = Literal["log_loss", "zero_one", "squared", "absolute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule, for the API server in CEL and for a file in Python.

    Attributes:
        rule: what the API server checks, and what both say.
        holds: the same, of a value that has been read.
    """

    rule: Rule
    holds: Callable[[Any], bool]


def _checked_by(checks: Sequence[Check]) -> ConfigDict:
    return rules(*(check.rule for check in checks))


_FEATURE: Final = (
    Check(
        rule=Rule(
            "!has(self.levels) || self.kind == 'categorical'",
            "set kind: categorical, or remove levels: only categories have them",
            field=".levels",
        ),
        holds=lambda self: not self.levels or self.kind == "categorical",
    ),
    Check(
        rule=Rule(
            "!has(self.unit) || self.kind == 'numeric'",
            "set kind: numeric, or remove unit: only numbers have one",
            field=".unit",
        ),
        holds=lambda self: self.unit is None or self.kind == "numeric",
    ),
)


class Feature(ApiType):
    """One column of the model's inputs."""

    model_config = _checked_by(_FEATURE)

    name: Label
    """What people call it. No two features have the same name."""

    tensor: TensorName
    """Name of the input that holds it."""

    column: Annotated[int, Field(ge=0, le=1_000_000), Extension({"format": "int32"})] = 0
    """Which column of the input, counted from 0 along the last axis. An input of one axis has
    column 0 only."""

    kind: Kind = "numeric"
    """What its values are: quantities, categories (as numbers or strings), or free text."""

    unit: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    """Unit of a quantity, for people."""

    levels: Annotated[list[Label], Field(min_length=1, max_length=256), AS_SET] = []
    """All values that a category is known to have; numbers are written as text, as in `"3"`."""


_PREDICTION: Final = (
    Check(
        rule=Rule(
            "self.task != 'regression' || !(has(self.classes) || has(self.positive) || "
            "has(self.score) || self.calibrated)",
            "remove classes, positive, score and calibrated: a regression predicts a value",
        ),
        holds=lambda self: (
            self.task != "regression"
            or not (self.classes or self.positive or self.score or self.calibrated)
        ),
    ),
    Check(
        rule=Rule(
            "has(self.tensor) || (self.task != 'regression' && has(self.score))",
            "name the output that holds the prediction as tensor; a classification may name only "
            "the output of scores, as score",
            field=".tensor",
        ),
        holds=lambda self: bool(self.tensor or (self.task != "regression" and self.score)),
    ),
    Check(
        rule=Rule(
            "self.task != 'binary' || !has(self.classes) || self.classes.size() == 2",
            "list two classes, or set task: multiclass",
            field=".classes",
        ),
        holds=lambda self: self.task != "binary" or len(self.labels) == 2,
    ),
    Check(
        rule=Rule(
            "!has(self.positive) || self.task == 'binary'",
            "remove positive: only a binary classification has a positive class",
            field=".positive",
        ),
        holds=lambda self: self.positive is None or self.task == "binary",
    ),
    Check(
        rule=Rule(
            "!has(self.positive) || self.task != 'binary' || "
            "(has(self.classes) ? self.positive in self.classes : self.positive in ['0', '1'])",
            "write one of classes; without classes these are '0' and '1'",
            field=".positive",
        ),
        holds=lambda self: (
            self.positive is None or self.task != "binary" or self.positive in self.labels
        ),
    ),
    Check(
        rule=Rule(
            "!self.calibrated || has(self.score)",
            "name the output of probabilities as score, or remove calibrated",
            field=".calibrated",
        ),
        holds=lambda self: not self.calibrated or bool(self.score),
    ),
)


class Prediction(ApiType):
    """Which output says what the model predicts, and how it is to be read."""

    model_config = _checked_by(_PREDICTION)

    task: Task
    """What is predicted: one of two classes, one of several, or a value."""

    tensor: TensorName | None = None
    """Name of the output that holds the predicted class or value, one for each row. A
    classification with `score` may leave it out: the class with the highest score is predicted."""

    classes: Annotated[list[Label], Field(min_length=1, max_length=1024), ATOMIC] = []
    """Names of the classes, in the order of the columns of `score`. An output of strings holds
    these names. One of integers does too if all names are integers, as in `["1", "2"]`; else it
    holds positions in this list, counted from 0. By default `["0", "1"]` for a binary
    classification; the classes of others are then called by their numbers, from 0."""

    positive: Label | None = None
    """The class that a binary classification looks for; by default the second one."""

    score: TensorName | None = None
    """Name of the output that holds the scores: a column for each class, or, in a binary
    classification, one for the positive class. Higher is more likely."""

    calibrated: bool = False
    """The scores are probabilities: of the rows with score 0.8, about eight in ten are of that
    class."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in order; empty where their number is not known from here."""
        return tuple(self.classes) or (("0", "1") if self.task == "binary" else ())

    @property
    def positive_index(self) -> int:
        """The position of the positive class.

        Raises:
            ValueError: it is not a binary classification.
        """
        if self.task != "binary":
            raise ValueError(f"a {self.task} prediction has no positive class")
        return 1 if self.positive is None else self.labels.index(self.positive)


_SIGNATURE: Final = (
    Check(
        rule=Rule(
            "has(self.features) || has(self.prediction)",
            "describe features, prediction or both, or remove signature",
        ),
        holds=lambda self: bool(self.features or self.prediction),
    ),
    Check(
        rule=Rule(
            "!has(self.loss) || has(self.prediction)",
            "describe prediction, or remove loss: it is of a prediction",
            field=".loss",
        ),
        holds=lambda self: self.loss is None or self.prediction is not None,
    ),
    Check(
        rule=Rule(
            "!has(self.loss) || !has(self.prediction) || ((self.prediction.task == 'regression') "
            "== (self.loss in ['squared', 'absolute']))",
            "choose squared or absolute for a regression, zero_one or log_loss for a "
            "classification",
            field=".loss",
        ),
        holds=lambda self: (
            self.loss is None
            or self.prediction is None
            or (self.prediction.task == "regression") == (self.loss in ("squared", "absolute"))
        ),
    ),
    Check(
        rule=Rule(
            "!has(self.loss) || !has(self.prediction) || self.loss != 'log_loss' || "
            "self.prediction.calibrated",
            "set prediction.score and prediction.calibrated, or choose zero_one: log_loss needs "
            "probabilities",
            field=".loss",
        ),
        holds=lambda self: (
            self.loss != "log_loss" or self.prediction is None or self.prediction.calibrated
        ),
    ),
)


class ModelSignature(ApiType):
    """What the model's numbers mean: its features, and its prediction."""

    model_config = _checked_by(_SIGNATURE)

    features: Annotated[list[Feature], Field(min_length=1, max_length=1024), keyed_by("name")] = []
    """The columns of the inputs that mean something to people. Others may be left out."""

    prediction: Prediction | None = None
    """What is predicted. Without it nobody can tell which of the outputs is the prediction."""

    loss: Loss | None = None
    """How wrong a prediction is, once the truth is known. By default `squared` for a regression,
    `log_loss` for a classification with calibrated scores, and `zero_one` for any other."""

    @property
    def effective_loss(self) -> Loss | None:
        """The loss, or its default; None where nothing is predicted."""
        if self.loss or self.prediction is None:
            return self.loss
        if self.prediction.task == "regression":
            return "squared"
        return "log_loss" if self.prediction.calibrated else "zero_one"


def signature_hash(signature: ModelSignature | None) -> str:
    """Return what tells signatures apart whose numbers mean something else; empty without one.

    What a number means is where it stands, and its name, kind, unit or class. In what order
    features are listed does not change that, nor do known levels, calibration and loss.
    """
    if signature is None:
        return ""
    fields = {"name", "tensor", "column", "kind", "unit"}
    features = [each.model_dump(mode="json", include=fields) for each in signature.features]
    prediction = signature.prediction and signature.prediction.model_dump(
        mode="json", exclude={"calibrated"}
    )
    meaning = [sorted(features, key=lambda each: str(each["name"])), prediction]
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def mistakes(signature: ModelSignature) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a signature that was read: where, and what to do.

    That a name stands twice is what the API server cannot tell, as lists are long.
    """
    prediction = signature.prediction
    yield from _broken(_SIGNATURE, signature, "")
    if prediction:
        yield from _broken(_PREDICTION, prediction, "prediction")
        if again := _repeated(prediction.classes):
            yield "prediction.classes", f"{again!r} stands there twice: keep one"
    if again := _repeated([each.name for each in signature.features]):
        yield "features", f"two are called {again!r}: give each a name of its own"
    if again := _repeated([f"{each.tensor}[{each.column}]" for each in signature.features]):
        yield "features", f"two are column {again}: keep one, or correct tensor and column"
    for at, feature in enumerate(signature.features):
        yield from _broken(_FEATURE, feature, f"features[{at}]")
        if again := _repeated(feature.levels):
            yield f"features[{at}].levels", f"{again!r} stands there twice: keep one"


def _broken(checks: Sequence[Check], value: ApiType, where: str) -> Iterator[tuple[str, str]]:
    for check in checks:
        if not check.holds(value):
            yield f"{where}{check.rule.field}".removeprefix("."), check.rule.message


def _repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None

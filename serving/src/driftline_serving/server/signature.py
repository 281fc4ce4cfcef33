"""The signature of a model: where it stands, and whether it is of this model.

Pydantic, which reads it, is imported only if there is one, for the memory that it takes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from driftline_api.conditions import Reason
from driftline_api.names import SIGNATURE_FILE
from driftline_serving.errors import ArtifactError
from driftline_serving.server.tensors import ANY_LENGTH, Datatype, Signature, TensorSpec

if TYPE_CHECKING:
    from driftline_api.signature import Feature, ModelSignature, Prediction

#: Bytes of a `driftline.json`.
MOST_BYTES: Final = 1024 * 1024
_IN_SPEC: Final = "spec.signature"
_IN_FILE: Final = f"{SIGNATURE_FILE}: signature"
_MOST_NAMED: Final = 5


def load_signature(model_dir: Path, from_spec: str, tensors: Signature) -> "ModelSignature | None":
    """Read the signature and check it against the model; None if there is none.

    Args:
        model_dir: Where `driftline.json` may lie.
        from_spec: The Model's own, as JSON, which takes the place of the file's; or empty.
        tensors: The model's inputs and outputs.

    Raises:
        ArtifactError: it cannot be read, or is not of this model.
    """
    file = model_dir / SIGNATURE_FILE
    if not from_spec and not file.exists():
        return None
    from driftline_api.note import (  # noqa: PLC0415 - spares pydantic without
        SignatureError,
        read_note,
        read_signature,
    )

    try:
        found = read_signature(from_spec) if from_spec else read_note(_content(file))
    except SignatureError as error:
        raise _invalid(f"{_IN_SPEC if from_spec else SIGNATURE_FILE}: {error}") from error
    for path, what in differences(found, tensors):
        raise _invalid(f"{_IN_SPEC if from_spec else _IN_FILE}.{path}: {what}")
    return found


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise _invalid(f"cannot read {SIGNATURE_FILE}: {error.strerror}") from error
    if len(text) > MOST_BYTES:
        raise _invalid(f"{SIGNATURE_FILE} is larger than {MOST_BYTES} bytes: leave out levels")
    return text


def _invalid(message: str) -> ArtifactError:
    return ArtifactError(Reason.SIGNATURE_INVALID, message)


def differences(found: "ModelSignature", tensors: Signature) -> Iterator[tuple[str, str]]:
    """Yield where a signature says what is not so of a model's inputs and outputs, and what is."""
    for at, feature in enumerate(found.features):
        path = f"features[{at}]"
        spec = _tensor(feature.tensor, tensors.inputs)
        if spec is None:
            yield f"{path}.tensor", _absent("input", feature.tensor, tensors.inputs)
        else:
            yield from _of_feature(path, feature, spec)
    if found.prediction:
        yield from _of_prediction(found.prediction, tensors.outputs)


def _of_feature(path: str, feature: "Feature", spec: TensorSpec) -> Iterator[tuple[str, str]]:
    shown = f"input {_shown(spec)}"
    width = _width(spec)
    if width is not None and feature.column >= width:
        has = f"columns 0 to {width - 1}" if width > 1 else "column 0 only"
        yield f"{path}.column", f"{shown} has {has}"
    is_text = spec.datatype is Datatype.BYTES
    if feature.kind == "numeric" and is_text:
        yield f"{path}.kind", f"{shown} holds strings: set categorical or text"
    if feature.kind == "text" and not is_text:
        yield f"{path}.kind", f"{shown} holds numbers: set numeric or categorical"
    for level in feature.levels:
        if not is_text and not _is_value(level, spec.datatype):
            yield f"{path}.levels", f"{level!r} is no value of {shown}"


def _of_prediction(
    prediction: "Prediction", outputs: Sequence[TensorSpec]
) -> Iterator[tuple[str, str]]:
    for field in ("tensor", "score"):
        name = getattr(prediction, field)
        spec = _tensor(name, outputs)
        if spec is None and name is not None:
            yield f"prediction.{field}", _absent("output", name, outputs)
        elif spec is not None:
            check = _of_named if field == "tensor" else _of_score
            for what in check(prediction, spec):
                yield f"prediction.{field}", f"output {_shown(spec)} {what}"


def _of_named(prediction: "Prediction", spec: TensorSpec) -> Iterator[str]:
    """Yield why an output cannot hold the predicted classes or values."""
    kind = spec.datatype.dtype.kind
    if any(axis not in (1, ANY_LENGTH) for axis in spec.shape[1:]):
        yield "holds several values for each row, and a prediction is one"
    if prediction.task == "regression":
        if kind in "Ob":
            yield "does not hold numbers: name another, or set another task"
    elif kind == "f":
        yield "holds no classes, which are strings or integers: name an output of scores as score"
    elif kind == "O" and not prediction.labels:
        yield "holds strings: list them in classes"


def _of_score(prediction: "Prediction", spec: TensorSpec) -> Iterator[str]:
    """Yield why an output cannot hold the scores of the classes."""
    if spec.datatype.dtype.kind in "Ob":
        yield "does not hold numbers"
        return
    width, classes = _width(spec), len(prediction.labels)
    if len(spec.shape) > 2:
        yield "has more than one row of scores for each row"
    elif width == 1 and prediction.task == "multiclass":
        yield "has 1 column, and a multiclass prediction needs one for each class"
    elif width == 1 and not (prediction.tensor or prediction.calibrated):
        yield (
            "has one column and is not calibrated, so that it is not known from which score on a "
            "row is positive: name the output that holds the class as tensor"
        )
    elif width not in (None, 1) and classes and width != classes:
        yield f"has {width} columns, and there are {classes} classes"


def _width(spec: TensorSpec) -> int | None:
    """Return the number of columns; None if it is not known before the model runs."""
    if len(spec.shape) == 1:
        return 1
    return spec.shape[-1] if spec.shape and spec.shape[-1] != ANY_LENGTH else None


def _is_value(level: str, datatype: Datatype) -> bool:
    """Whether a text is a number of that datatype."""
    try:
        float(level) if datatype.is_float else int(level)
    except ValueError:
        return False
    return True


def _tensor(name: str | None, specs: Sequence[TensorSpec]) -> TensorSpec | None:
    return next((spec for spec in specs if spec.name == name), None)


def _absent(role: str, name: str, specs: Sequence[TensorSpec]) -> str:
    names = [repr(spec.name) for spec in specs]
    more = ["…"] if len(names) > _MOST_NAMED else []
    return f"the model has no {role} {name!r}; it has {', '.join(names[:_MOST_NAMED] + more)}"


def _shown(spec: TensorSpec) -> str:
    return f"{spec.name!r} ({spec.datatype.value} {list(spec.shape)})"

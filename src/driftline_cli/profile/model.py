"""A model on disk, and the signature that goes with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from driftline_api.names import SIGNATURE_FILE
from driftline_api.note import ArtifactNote, SignatureError, read_note
from driftline_api.signature import Feature, ModelSignature, Prediction, mistakes
from driftline_cli.errors import UserError
from driftline_serving.server.engine import MODEL_FILE, OnnxEngine, load_file
from driftline_serving.server.signature import differences
from driftline_serving.server.tensors import Signature

_THREADS: Final = 0  # as many as there are CPUs


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that runs.

    Attributes:
        file: that it was read from.
        engine: that runs it.
    """

    file: Path
    engine: OnnxEngine


def loaded(path: Path) -> Loaded:
    """Load a model from its file, or from the directory that holds `model.onnx`.

    Raises:
        UserError: there is none.
        ArtifactError: it cannot be loaded.
    """
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"there is no file {file}")
    return Loaded(file=file, engine=load_file(file, _THREADS))


def read_signature_file(path: Path) -> ModelSignature:
    """Read a `driftline.json`.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        return read_note(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except SignatureError as error:
        raise UserError(f"{path}: {error}") from error


def beside(path: Path | None) -> ModelSignature | None:
    """Return the signature that lies beside a file; None if there is none.

    Raises:
        UserError: it cannot be read.
    """
    if path is None or not (found := path.parent / SIGNATURE_FILE).is_file():
        return None
    return read_signature_file(found)


def signed(features: Sequence[Feature], prediction: Prediction | None) -> ModelSignature | None:
    """Return the signature of features and prediction; None where there is neither.

    Raises:
        UserError: there are more features than a signature may have.
    """
    if not features and prediction is None:
        return None
    said = {"features": list(features)} if features else {}
    try:
        return ModelSignature.model_validate(said | {"prediction": prediction})
    except ValidationError as error:
        raise UserError(f"{len(features)} features: {_first(error)}") from error


def named(name: str, **fields: Any) -> Feature:
    """Return a feature.

    Raises:
        UserError: its name or place cannot stand in a signature.
    """
    try:
        return Feature.model_validate({"name": name, **fields})
    except ValidationError as error:
        raise UserError(f"the column {name[:80]!r} cannot be a feature: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


def check_signature(signature: ModelSignature, tensors: Signature | None) -> None:
    """Make sure that a signature holds, and is of this model.

    Raises:
        UserError: it says what is not so.
    """
    wrong = [*mistakes(signature), *(differences(signature, tensors) if tensors else ())]
    for where, what in wrong:
        raise UserError(f"the signature does not fit: {where}: {what}")


def note_text(signature: ModelSignature) -> str:
    """Return the content of a `driftline.json`; what has its default is left out."""
    note = ArtifactNote(signature=signature)
    return note.model_dump_json(by_alias=True, exclude_defaults=True, indent=2) + "\n"

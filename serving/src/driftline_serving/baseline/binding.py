"""Whose a profile is: it names the model and the signature that it was made with."""

import hashlib
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftline_serving.artifact.digest import directory_digest, file_digest
from driftline_serving.baseline.file import Baseline
from driftline_serving.errors import BaselineError
from driftline_stats.drift.rows import PREDICTION, Feature

MODEL_FILE: Final = "model.onnx"
#: An entry of `TensorProto.external_data` whose key is "location": then comes the value's length.
_LOCATION: Final = re.compile(rb"\n\x08location\x12([\x01-\x7f]|[\x80-\xff][\x01-\x7f])")
_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a profile must be of.

    Attributes:
        digest: of the model, see `model_digest`.
        signature: its hash; empty where there is no signature.
        features: what is watched; None where that is not known.
    """

    digest: str
    signature: str = ""
    features: tuple[Feature, ...] | None = None


def model_digest(file: Path) -> str:
    """Return the digest of a model: of its file, and of those that hold tensors of it.

    An artifact that is this one file has the same digest. A directory has another, since the
    profile itself may lie in it.

    Args:
        file: `model.onnx`, or what will be called so; it is read as a whole.

    Raises:
        BaselineError: it cannot be read.
    """
    try:
        whole = _sha256(file)
        names = {name for name in _outside(file) if _is_beside(file, name)}
        beside = {name: _sha256(file.parent / name) for name in names}
    except OSError as error:
        raise BaselineError(f"cannot read {error.filename}: {error.strerror}") from error
    if not beside:
        return file_digest(whole)
    return directory_digest({MODEL_FILE: whole, **beside}.items())


def check(baseline: Baseline, model: Model) -> None:
    """Make sure that a profile is of this model.

    Raises:
        BaselineError: it is of another; the message says in what they differ.
    """
    file = baseline.file
    if file.artifact and file.artifact != model.digest:
        raise BaselineError(
            f"the profile was made with the model {file.artifact}, and this is {model.digest}: "
            "build it for this model, with `driftline profile build --model`"
        )
    if file.signature != model.signature:
        raise BaselineError(_other_signature(file.signature, model.signature))
    if model.features is not None:
        _check_features(baseline.profile.plan.features, model.features)


def _other_signature(found: str, expected: str) -> str:
    anew = "build it anew with `driftline profile build --model`, and keep the driftline.json"
    if not found:
        return f"the profile was made without a signature, and this model has one: {anew}"
    if not expected:
        return (
            "the profile was made with a signature, and this model has none: put the "
            "driftline.json that was written with it beside the model, or its content in "
            "spec.signature"
        )
    return f"the profile was made with another signature ({found}, this is {expected}): {anew}"


def _check_features(found: Sequence[Feature], expected: Sequence[Feature]) -> None:
    """Compare what is counted with what the model has, in whatever order.

    A profile that was made without running the model lacks its predictions, and is one all the
    same.
    """
    has, needs = ({_identity(each) for each in side} for side in (found, expected))
    lacking = {each for each in needs - has if each[0] != PREDICTION}
    for names, what in ((lacking, "lacks"), (has - needs, "has, unlike the model,")):
        if names:
            shown = sorted(names)[:_MOST_NAMED]
            listed = ", ".join(f"the {kind} {role} {name}" for role, kind, name in shown)
            more = ", …" if len(names) > _MOST_NAMED else ""
            raise BaselineError(
                f"the profile {what} {listed}{more}: build it anew with `driftline profile build "
                "--model`"
            )


def _identity(feature: Feature) -> tuple[str, str, str]:
    return feature.role, feature.kind, repr(feature.name)


def _outside(file: Path) -> Iterator[str]:
    """Yield the names of files that hold tensors of an ONNX model.

    They stand in it as they are, behind a key and a length, so nothing need be parsed.
    """
    with file.open("rb") as opened:
        if not file.stat().st_size:
            return
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for found in _LOCATION.finditer(content):
                low, high = (*found[1], 0)[:2]
                name = content[found.end() : found.end() + (low & 0x7F) + (high << 7)]
                yield name.decode("utf-8", "surrogateescape")


def _is_beside(file: Path, name: str) -> bool:
    """Whether it is a file that ONNX Runtime would load: it lies in the model's directory."""
    directory = file.parent.resolve()
    if "\0" in name:
        return False
    found = (directory / name).resolve()
    return found.is_relative_to(directory) and found.is_file()


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

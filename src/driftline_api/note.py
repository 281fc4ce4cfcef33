"""Reads signatures that come as text: in `driftline.json`, or as what the spec says."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from driftline_api.base import ApiType
from driftline_api.signature import ModelSignature, mistakes

#: Mistakes of one text that are told at a time.
_MOST_TOLD: Final = 3

T = TypeVar("T", bound=ApiType)


class SignatureError(ValueError):
    """A signature that cannot be read; says where and what to do."""


class ArtifactNote(ApiType):
    """The content of `driftline.json`."""

    signature: ModelSignature
    """What the model's numbers mean."""


def read_signature(text: str | bytes) -> ModelSignature:
    """Read a signature from JSON, which must hold nothing that is not understood.

    Raises:
        SignatureError: it is no JSON, or no signature.
    """
    return _without_mistakes(_read(ModelSignature, text), "")


def read_note(text: str | bytes) -> ModelSignature:
    """Read the signature in the text of a `driftline.json`.

    Raises:
        SignatureError: it is no JSON, or no signature.
    """
    return _without_mistakes(_read(ArtifactNote, text).signature, "signature")


def _read(kind: type[T], text: str | bytes) -> T:
    try:
        return kind.model_validate_json(text, strict=True, extra="forbid", by_name=False)
    except ValidationError as error:
        raise SignatureError(_told(error)) from error


def _without_mistakes(signature: ModelSignature, where: str) -> ModelSignature:
    found = [f"{_path(where, at)}: {what}" for at, what in mistakes(signature)]
    if found:
        raise SignatureError(_listed(found))
    return signature


def _path(*parts: str) -> str:
    return ".".join(part for part in parts if part) or "signature"


def _told(error: ValidationError) -> str:
    """Return what pydantic found, as paths that a person can follow in the file."""
    return _listed(
        [_mistake(each) for each in error.errors(include_url=False, include_input=False)]
    )


def _mistake(found: Mapping[str, Any]) -> str:
    where = "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in found["loc"])
    if found["type"] == "extra_forbidden":
        return f"{where[1:]}: there is no such field; correct its name, or remove it"
    if found["type"] == "json_invalid":
        return f"it is not JSON: {found['ctx']['error']}"
    return f"{where[1:] or 'the whole'}: {found['msg']}"


def _listed(found: Sequence[str]) -> str:
    more = f"; and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    return "; ".join(found[:_MOST_TOLD]) + more

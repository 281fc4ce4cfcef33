"""What the errors of the S3 client mean.

The client tells a missing object and a denied one apart for single objects only; for listings, and
for all else, what the server answered stands in the message alone, so the message is read: the
status, the `<Code>` of S3's error document, and the operating system's words for a connection that
failed. A message that none of these is found in counts as transient.
"""

import re
from dataclasses import dataclass

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from driftline_api.conditions import Reason
from driftline_serving.errors import ArtifactError, TransientError

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_CAUSE = re.compile(r'(?:message|error): "([^"]+)"')
_IDENTITY_SERVICE = "169.254."
_WRONG_REGION = "redirect without LOCATION"
_BAD_TOKEN = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")
_PASSING = (408, 425, 429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, for messages, and whether credentials were at hand."""

    shown: str
    has_credentials: bool


def explain(error: Exception, asked: Asked) -> ArtifactError:
    """Say what the client's error means, and what to do."""
    text = str(error)
    found = _STATUS.search(text)
    status = int(found[1]) if found else None
    if _IDENTITY_SERVICE in text and not asked.has_credentials:
        return _denied(f"there are no credentials for {asked.shown}", asked)
    if isinstance(error, FileNotFoundError) or status == 404:
        return _not_found(text, asked)
    if _is_denial(error, status, text):
        return _denied(f"access to {asked.shown} was denied{_code(text)}", asked)
    if _WRONG_REGION in text:
        return _refused("the bucket is in another region; set AWS_REGION", asked)
    if status is not None and status < 500 and status not in _PASSING:
        return _refused(f"HTTP {status}{_code(text)}; check AWS_REGION, AWS_ENDPOINT_URL", asked)
    return TransientError(f"cannot read {asked.shown}: {_summary(text, status)}")


def _is_denial(error: Exception, status: int | None, text: str) -> bool:
    return (
        isinstance(error, PermissionDeniedError | UnauthenticatedError)
        or status in (401, 403)
        or any(f"<Code>{code}</Code>" in text for code in _BAD_TOKEN)
    )


def _not_found(text: str, asked: Asked) -> ArtifactError:
    what = "there is no such bucket" if "NoSuchBucket" in text else "there is nothing"
    return ArtifactError(
        Reason.ARTIFACT_NOT_FOUND,
        f"{what} at {asked.shown}: check the bucket, the key and AWS_ENDPOINT_URL",
    )


def _denied(what: str, asked: Asked) -> ArtifactError:
    remedy = (
        "check the keys in the Secret that spec.artifact.secretRef names, and their rights to read "
        "and to list (where listing is not allowed, a missing object looks the same)"
        if asked.has_credentials
        else "name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in "
        "spec.artifact.secretRef"
    )
    return ArtifactError(Reason.ARTIFACT_ACCESS_DENIED, f"{what}: {remedy}")


def _refused(why: str, asked: Asked) -> ArtifactError:
    return ArtifactError(
        Reason.ARTIFACT_UNREACHABLE, f"the request for {asked.shown} was refused: {why}"
    )


def _summary(text: str, status: int | None) -> str:
    if status is not None:
        return f"HTTP {status}{_code(text)}"
    if cause := _CAUSE.search(text):
        return cause[1]
    lines = text.strip().splitlines()
    return lines[0][:300] if lines else "no reason given"


def _code(text: str) -> str:
    found = _CODE.search(text)
    return f" ({found[1]})" if found else ""

"""The one message that a container leaves behind; the operator reads it in the pod's status."""

import json
import logging
from pathlib import Path

from driftline_serving.errors import ArtifactError

DEFAULT_PATH = Path("/dev/termination-log")
#: The kubelet keeps 4096 bytes; JSON escapes may double what is not ASCII.
LONGEST_MESSAGE = 1500

log = logging.getLogger(__name__)


def leave_failure(path: Path, error: ArtifactError) -> None:
    """Leave the reason and the message of `error`."""
    leave(path, failure(error))


def failure(error: ArtifactError) -> dict[str, str | int]:
    """Return what is left of an error."""
    return {"reason": error.reason.value, "message": _shorten(str(error))}


def leave_resolved(path: Path, digest: str, size: int) -> None:
    """Leave what an artifact was found to be; size in bytes."""
    leave(path, {"digest": digest, "size": size})


def leave(path: Path, content: dict[str, str | int]) -> None:
    """Leave a message, and log it if it tells of a failure."""
    if "reason" in content:
        log.error("%s: %s", content["reason"], content["message"])
    try:
        path.write_text(json.dumps(content, ensure_ascii=False))
    except OSError as error:
        log.warning("cannot write %s: %s", path, error)


def _shorten(message: str) -> str:
    if len(message) <= LONGEST_MESSAGE:
        return message
    return message[: LONGEST_MESSAGE - 3] + "..."

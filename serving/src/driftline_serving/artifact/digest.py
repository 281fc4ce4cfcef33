"""Digests of artifacts."""

import hashlib
import re
from collections.abc import Iterable

from driftline_api.conditions import Reason
from driftline_serving.errors import ArtifactError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def file_digest(sha256: str) -> str:
    """The digest of an artifact that is one file, from the hash of its bytes."""
    return f"sha256:{sha256}"


def directory_digest(files: Iterable[tuple[str, str]]) -> str:
    r"""The digest of a directory, from its files' relative paths and hashes.

    The same as of `find . -type f -printf '%P\n' | xargs sha256sum | LC_ALL=C sort | sha256sum`
    inside it.

    >>> directory_digest([]) == file_digest(hashlib.sha256(b"").hexdigest())
    True
    """
    lines = sorted(f"{sha256}  {path}\n".encode() for path, sha256 in files)
    return file_digest(hashlib.sha256(b"".join(lines)).hexdigest())


def check_wellformed(digest: str) -> None:
    """Raise `ArtifactError` unless it is one of ours."""
    if not _DIGEST.fullmatch(digest):
        raise ArtifactError(
            Reason.ARTIFACT_INVALID,
            f"the digest {digest!r} is not sha256: and 64 hexadecimal digits in lower case",
        )

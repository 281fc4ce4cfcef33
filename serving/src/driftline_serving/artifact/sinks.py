"""Where downloaded bytes go: into a file that survives a restart, or into a hash alone."""

import errno
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from driftline_api.conditions import Reason
from driftline_serving.errors import ArtifactError

_BLOCK = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Sink(Protocol):
    """Takes one file's bytes in order, and knows how far it came."""

    @property
    def offset(self) -> int:
        """Bytes taken so far."""

    @property
    def version(self) -> str | None:
        """Of which version of the file these bytes are."""

    def begin(self, offset: int, version: str | None) -> None:
        """The next bytes are from there on: where we are, or from the start once more."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> str:
        """No more bytes; returns their SHA-256 in hexadecimal."""


class HashSink:
    """Keeps nothing but the hash."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.offset = 0
        self.version: str | None = None

    def begin(self, offset: int, version: str | None) -> None:
        """See `Sink`."""
        if offset != self.offset:
            self._hash = hashlib.sha256()
            self.offset = 0
        self.version = version

    def write(self, chunk: bytes) -> None:
        """See `Sink`."""
        self._hash.update(chunk)
        self.offset += len(chunk)

    def finish(self) -> str:
        """See `Sink`."""
        return self._hash.hexdigest()


class FileSink:
    """Writes a partial file, beside a note of the version it is of.

    A partial file without a note that names the same URI is begun anew.

    Args:
        part: The partial file.
        note: Where its version is kept.
        uri: What is being fetched.
    """

    def __init__(self, part: Path, note: Path, uri: str) -> None:
        self._part = part
        self._note = note
        self._uri = hashlib.sha256(uri.encode()).hexdigest()  # a URI may hold a signature
        self._hashed = HashSink()
        with writing(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            note.parent.mkdir(parents=True, exist_ok=True)
            self._file = part.open("ab+")
            self._take_up()

    @property
    def offset(self) -> int:
        """See `Sink`."""
        return self._hashed.offset

    @property
    def version(self) -> str | None:
        """See `Sink`."""
        return self._hashed.version

    def begin(self, offset: int, version: str | None) -> None:
        """See `Sink`."""
        with writing(self._part):
            if offset != self.offset:
                self._file.truncate(0)
            self._note.write_text(json.dumps({"uri": self._uri, "version": version}))
        self._hashed.begin(offset, version)

    def write(self, chunk: bytes) -> None:
        """See `Sink`."""
        with writing(self._part):
            self._file.write(chunk)
        self._hashed.write(chunk)

    def finish(self) -> str:
        """See `Sink`."""
        with writing(self._part):
            self._file.flush()
        return self._hashed.finish()

    def close(self) -> None:
        """Close the file; what is in it stays for the next attempt."""
        with writing(self._part):
            self._file.close()

    def _take_up(self) -> None:
        noted = _noted_version(self._note, self._uri)
        if noted is None:
            self._file.truncate(0)
            return
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            self._hashed.write(block)
        self._hashed.version = noted


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system raises while we write into errors of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(path.parent, None) from error
        raise ArtifactError(
            Reason.ARTIFACT_UNREACHABLE, f"cannot write {path}: {error.strerror}"
        ) from error


def disk_full(where: Path, sizes: tuple[int, int] | None) -> ArtifactError:
    """The error for a full disk; `sizes` are the bytes needed and the bytes free, where known."""
    numbers = f" (needs {sizes[0]} bytes, {sizes[1]} are free)" if sizes else ""
    return ArtifactError(
        Reason.ARTIFACT_UNREACHABLE,
        f"no space left on the disk under {where}{numbers}: give the pod more ephemeral storage",
    )


def _noted_version(note: Path, uri: str) -> str | None:
    try:
        noted = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return None
    version = noted.get("version") if isinstance(noted, dict) and noted.get("uri") == uri else None
    return version if isinstance(version, str) else None

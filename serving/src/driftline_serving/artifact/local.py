"""Artifacts on a mounted volume: `pvc://claim/path`, and `file:///path`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from driftline_api.conditions import Reason
from driftline_serving.artifact.location import Location, Scheme, safe_relative
from driftline_serving.artifact.source import Entry, Opened
from driftline_serving.errors import ArtifactError, TransientError

#: Where the pod mounts the claim.
PVC_MOUNT = Path("/mnt/pvc")
CHUNK = 1024 * 1024


class LocalSource:
    """A file or a directory below `mount`; links that lead out of it are refused."""

    def __init__(self, location: Location, pvc_mount: Path = PVC_MOUNT) -> None:
        self._location = location
        self._mount = pvc_mount if location.scheme is Scheme.PVC else Path("/")
        self._root = self._mount / location.path

    async def entries(self) -> list[Entry]:
        """See `Source`."""
        with _reading(self._location):
            self._check_kind()
            if not self._location.is_directory:
                return [self._entry(self._root, self._location.file_name)]
            found = sorted(path for path in self._root.rglob("*") if path.is_file())
            entries = [self._entry(path, _relative(path, self._root)) for path in found]
        if not entries:
            raise _not_found(f"the directory {self._location.shown} holds no file")
        return entries

    async def open(self, entry: Entry, offset: int, version: str | None) -> Opened:
        """See `Source`."""
        is_directory = self._location.is_directory
        path = self._root / entry.path if is_directory else self._root
        with _reading(self._location):
            now = self._entry(path, entry.path)
        start = offset if version is not None and version == now.version else 0
        chunks = self._read(path, start)
        return Opened(offset=start, size=now.size, version=now.version, chunks=chunks)

    async def close(self) -> None:
        """Nothing is held."""

    async def _read(self, path: Path, offset: int) -> AsyncIterator[bytes]:
        with _reading(self._location), path.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(CHUNK):
                yield chunk

    def _check_kind(self) -> None:
        shown = self._location.shown
        if not self._root.exists():
            raise _not_found(f"there is nothing at {shown}")
        if self._root.is_dir() and not self._location.is_directory:
            raise _not_found(f"{shown} is a directory: end the URI with a slash to fetch all of it")
        if not self._root.is_dir() and self._location.is_directory:
            raise _not_found(f"{shown} is a file: leave out the slash at the end of the URI")

    def _entry(self, path: Path, name: str) -> Entry:
        if not path.resolve().is_relative_to(self._mount.resolve()):
            raise ArtifactError(
                Reason.ARTIFACT_INVALID,
                f"{name!r} in {self._location.shown} is a link that leads out of the volume: "
                "put the file itself there",
            )
        stat = path.stat()
        return Entry(path=name, size=stat.st_size, version=f"{stat.st_mtime_ns}-{stat.st_size}")


@contextmanager
def _reading(location: Location) -> Iterator[None]:
    """Turn what the file system raises into errors of ours."""
    shown = location.shown
    try:
        yield
    except FileNotFoundError as error:
        raise _not_found(f"there is nothing at {shown}") from error
    except PermissionError as error:
        raise ArtifactError(
            Reason.ARTIFACT_ACCESS_DENIED,
            f"{shown} cannot be read by the user that the pod runs as: {error.strerror}; change "
            "the file's mode, or set fsGroup in podTemplate",
        ) from error
    except OSError as error:
        raise TransientError(f"cannot read {shown}: {error.strerror}") from error


def _relative(path: Path, root: Path) -> str:
    return safe_relative(path.relative_to(root).as_posix())


def _not_found(message: str) -> ArtifactError:
    return ArtifactError(Reason.ARTIFACT_NOT_FOUND, message)

"""Fetching an artifact into a directory, and resolving it to its digest."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from driftline_api.conditions import Reason
from driftline_serving.artifact.digest import check_wellformed, directory_digest, file_digest
from driftline_serving.artifact.local import PVC_MOUNT, LocalSource
from driftline_serving.artifact.location import NOTES, Location, Scheme
from driftline_serving.artifact.s3 import S3Source
from driftline_serving.artifact.sinks import FileSink, HashSink, disk_full, writing
from driftline_serving.artifact.source import Entry, Source
from driftline_serving.artifact.transfer import Attempts, Patience, transfer
from driftline_serving.artifact.web import WebSource
from driftline_serving.errors import ArtifactError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What an artifact is; size in bytes."""

    digest: str
    size: int


def source_of(
    location: Location, environ: Mapping[str, str], pvc_mount: Path = PVC_MOUNT
) -> Source:
    """The source that holds the artifact."""
    if location.scheme is Scheme.S3:
        return S3Source(location, environ)
    if location.scheme in (Scheme.HTTP, Scheme.HTTPS):
        return WebSource(location, environ)
    return LocalSource(location, pvc_mount)


async def resolve(source: Source, location: Location, patience: Patience) -> Resolved:
    """Read all of the artifact, keeping nothing.

    Raises:
        ArtifactError: it cannot be read.
    """
    attempts = Attempts(patience)
    hashes, size = {}, 0
    try:
        async with attempts.in_time(f"reading {location.shown}"):
            for entry in await attempts.until_done(source.entries):
                sink = HashSink()
                hashes[entry.path] = await transfer(source, entry, sink, attempts)
                size += sink.offset
    finally:
        await source.close()
    return Resolved(digest=_digest(location, hashes), size=size)


async def fetch(
    source: Source, location: Location, target: "Target", patience: Patience
) -> Resolved:
    """Bring the artifact to the target directory, verified; at once where it is there already.

    Raises:
        ArtifactError: it cannot be had, or it is not what the digest says.
    """
    if target.digest is not None:
        check_wellformed(target.digest)
    found = target.already_there(location)
    if found is not None:
        log.info("%s is already there and verified", location.shown)
        return found
    attempts = Attempts(patience)
    try:
        async with attempts.in_time(f"fetching {location.shown}"):
            entries = await attempts.until_done(source.entries)
            target.check_space(entries)
            hashes = {
                entry.path: await _bring(source, entry, target.sink(location, entry), attempts)
                for entry in entries
            }
    finally:
        await source.close()
    return target.accept(location, _digest(location, hashes), sorted(hashes))


async def _bring(source: Source, entry: Entry, sink: FileSink, attempts: Attempts) -> str:
    try:
        return await transfer(source, entry, sink, attempts)
    finally:
        sink.close()


def _digest(location: Location, hashes: Mapping[str, str]) -> str:
    if location.is_directory:
        return directory_digest(hashes.items())
    return file_digest(*hashes.values())


class Target:
    """The directory that the model server will read.

    Partial files and notes lie in a hidden directory of their own in it, on the same file system,
    so that files appear under their names by a rename and only once all of them are verified.

    Args:
        directory: Where the files are to be.
        digest: What they must be; None takes what comes.
    """

    def __init__(self, directory: Path, digest: str | None) -> None:
        self._directory = directory
        self._parts = directory / NOTES / "parts"
        self._notes = directory / NOTES / "notes"
        self._done = directory / NOTES / "fetched.json"
        self.digest = digest

    def already_there(self, location: Location) -> Resolved | None:
        """What an earlier run brought and verified, if nothing touched its files since."""
        try:
            done = json.loads(self._done.read_text())
            files = _stamps(self._directory, done["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        wanted = done["uri"] == _fingerprint(location) and self.digest in (None, done["digest"])
        if not wanted or files != done["files"]:
            return None
        return Resolved(digest=done["digest"], size=sum(size for size, _ in files.values()))

    def check_space(self, entries: list[Entry]) -> None:
        """Fail before an hour of download, not after it.

        Raises:
            ArtifactError: the disk is too small.
        """
        with writing(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        parts = [part.stat().st_size for part in self._parts.rglob("*") if part.is_file()]
        needed = sum(entry.size or 0 for entry in entries) - sum(parts)
        free = shutil.disk_usage(self._directory).free
        if needed > free:
            raise disk_full(self._directory, (needed, free))

    def sink(self, location: Location, entry: Entry) -> FileSink:
        """Where one file's bytes go."""
        note = self._notes / hashlib.sha256(entry.path.encode()).hexdigest()
        return FileSink(self._parts / entry.path, note, location.uri)

    def accept(self, location: Location, digest: str, paths: list[str]) -> Resolved:
        """Verify the digest and give the files their names.

        Raises:
            ArtifactError: it is not the digest that was asked for; the files are removed.
        """
        if self.digest is not None and digest != self.digest:
            shutil.rmtree(self._parts)
            raise ArtifactError(
                Reason.DIGEST_MISMATCH,
                f"{location.shown} has the digest {digest}, but {self.digest} is asked for: the "
                "artifact was changed after it was pinned, or spec.artifact.digest is wrong",
            )
        with writing(self._directory):
            for path in paths:
                named = self._directory / path
                named.parent.mkdir(parents=True, exist_ok=True)
                (self._parts / path).replace(named)
            files = _stamps(self._directory, paths)
            self._note_done(location, digest, files)
        return Resolved(digest=digest, size=sum(size for size, _ in files.values()))

    def _note_done(self, location: Location, digest: str, files: dict[str, list[int]]) -> None:
        shutil.rmtree(self._parts)
        shutil.rmtree(self._notes)
        content = {"uri": _fingerprint(location), "digest": digest, "files": files}
        fresh = self._done.with_suffix(".new")
        fresh.write_text(json.dumps(content))
        fresh.replace(self._done)


def _stamps(directory: Path, paths: "list[str] | dict[str, list[int]]") -> dict[str, list[int]]:
    """Size and time of change of each file, by which we know it again."""
    stats = {path: (directory / path).stat() for path in paths}
    return {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()}


def _fingerprint(location: Location) -> str:
    return hashlib.sha256(location.uri.encode()).hexdigest()

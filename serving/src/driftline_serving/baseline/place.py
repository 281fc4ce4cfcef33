"""Where profiles lie: beside the model, or at a URI."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from driftline_api import monitoring
from driftline_api.names import PROFILE_FILE
from driftline_serving.artifact.digest import file_digest
from driftline_serving.artifact.fetch import source_of
from driftline_serving.artifact.location import parse
from driftline_serving.artifact.source import Source
from driftline_serving.artifact.transfer import Attempts, Patience, transfer
from driftline_serving.baseline.binding import Model, check
from driftline_serving.baseline.file import MOST_BYTES, Baseline, read
from driftline_serving.errors import ArtifactError, BaselineAwayError, BaselineError, TransientError

PATIENCE: Final = Patience(timeout=120.0)


async def baseline_for(
    wanted: monitoring.Baseline,
    model_dir: Path,
    environ: Mapping[str, str],
    owner: Callable[[], Model],
) -> Baseline | None:
    """Return the profile that a model is to be compared with; None if there is none.

    Args:
        wanted: where it lies, if not beside the model.
        model_dir: where the model lies.
        environ: the credentials of the artifact.
        owner: says what the profile must be of; asked in a thread, and only if there is one.

    Raises:
        BaselineAwayError: it cannot be fetched just now.
        BaselineError: it cannot be read, or is of another model.
    """
    if wanted.uri is None:
        text = await asyncio.to_thread(beside, model_dir)
    else:
        text = await fetched(wanted.uri, environ, digest=wanted.digest)
    return None if text is None else await asyncio.to_thread(opened, text, owner)


def opened(text: bytes, owner: Callable[[], Model]) -> Baseline:
    """Read a profile and make sure whose it is.

    Raises:
        BaselineError: it cannot be read, or is of another model.
    """
    baseline = read(text)
    check(baseline, owner())
    return baseline


def beside(model_dir: Path) -> bytes | None:
    """Return the text of the profile beside the model; None if there is none.

    Raises:
        BaselineError: it cannot be read.
    """
    try:
        with (model_dir / PROFILE_FILE).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(
            f"cannot read {PROFILE_FILE} beside the model: {error.strerror}"
        ) from error


async def fetched(
    uri: str,
    environ: Mapping[str, str],
    *,
    digest: str | None = None,
    patience: Patience = PATIENCE,
) -> bytes:
    """Return the text of the profile at a URI, of at most `MOST_BYTES`; it touches no disk.

    Args:
        uri: as artifacts have.
        environ: the credentials, by the names that artifacts have.
        digest: what it must be, if that is said.
        patience: how long it is tried.

    Raises:
        BaselineAwayError: it cannot be had just now.
        BaselineError: it cannot be had, or is not what the digest says.
    """
    try:
        location = parse(uri)
        if location.is_directory:
            raise BaselineError(f"{location.shown} is a directory: give the URI of the profile")
        text = await _brought(source_of(location, environ), patience, location.shown)
    except TransientError as error:
        raise BaselineAwayError(f"the profile: {error}") from error
    except ArtifactError as error:
        raise BaselineError(f"the profile: {error}") from error
    found = file_digest(hashlib.sha256(text).hexdigest())
    if digest is not None and found != digest:
        raise BaselineError(
            f"{location.shown} has the digest {found}, but {digest} is asked for: the profile was "
            "changed, or spec.monitoring.baseline.digest is wrong"
        )
    return text


async def _brought(source: Source, patience: Patience, shown: str) -> bytes:
    attempts, sink = Attempts(patience), _MemorySink(shown)
    try:
        async with attempts.in_time(f"fetching {shown}"):
            (entry,) = await attempts.until_done(source.entries)
            await transfer(source, entry, sink, attempts)
    finally:
        await source.close()
    return bytes(sink.text)


class _MemorySink:
    """Keeps the bytes, as many as a profile may have."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self.text = bytearray()
        self.version: str | None = None

    @property
    def offset(self) -> int:
        """See `Sink`."""
        return len(self.text)

    def begin(self, offset: int, version: str | None) -> None:
        """See `Sink`."""
        if offset != len(self.text):
            self.text.clear()
        self.version = version

    def write(self, chunk: bytes) -> None:
        """See `Sink`."""
        self.text += chunk
        if len(self.text) > MOST_BYTES:
            raise BaselineError(
                f"{self._shown} is larger than {MOST_BYTES} bytes, and so no profile: give the URI "
                "of the file that `driftline profile build` wrote"
            )

    def finish(self) -> str:
        """See `Sink`."""
        return hashlib.sha256(self.text).hexdigest()

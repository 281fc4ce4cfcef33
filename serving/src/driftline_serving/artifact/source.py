"""What a place that holds artifacts is asked."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of an artifact. `size` (bytes) is None where only the download tells it.

    Two reads of the same `version` give the same bytes; None where the place gives no such word.
    """

    path: str
    size: int | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A download that has begun, at `offset`: where it was wanted to, or 0."""

    offset: int
    size: int | None
    version: str | None
    chunks: AsyncIterator[bytes]


class Source(Protocol):
    """A place that holds one artifact.

    All methods raise `TransientError` for what may pass and `ArtifactError` for what will not.
    """

    async def entries(self) -> list[Entry]:
        """The artifact's files, at least one."""

    async def open(self, entry: Entry, offset: int, version: str | None) -> Opened:
        """Begin to read a file at `offset`, if it is still of that version, else from its start."""

    async def close(self) -> None:
        """Let go of connections."""

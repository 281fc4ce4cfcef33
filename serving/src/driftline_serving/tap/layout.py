"""The fixed parts of a frame, in one place for those who write and those who read it."""

import struct
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"DTAP"
VERSION: Final = 1
#: Magic, version, nothing: what begins a frame of every version.
START: Final = struct.Struct("<4sHH")
#: The start; offered, dropped, sent; inferences, bytes of the head, of the body.
PREFIX: Final = struct.Struct("<4sHHQQQIII")
#: CRC-32 of the head, the body and the prefix, in this order: counters are written last.
CHECKSUM: Final = struct.Struct("<I")
HEADER_BYTES: Final = PREFIX.size + CHECKSUM.size
#: Every block of the body begins at a multiple of this, counted from the body's start.
ALIGNMENT: Final = 8

#: Inferences of one frame.
MOST_ROWS: Final = 256
#: Bytes of one frame that readers have to take.
MOST_HEAD: Final = 4 * 1024 * 1024
MOST_BODY: Final = 16 * 1024 * 1024


class FrameError(Exception):
    """These bytes are no frame that can be read here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who writes: a random name for one process, and what it serves."""

    worker: str
    about: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """How many inferences a worker has had when it began to send a frame.

    Attributes:
        offered: all that were to be told.
        dropped: those of them that never will be.
        sent: those in the frames before this one.
    """

    offered: int = 0
    dropped: int = 0
    sent: int = 0


def padding(length: int) -> bytes:
    """Return what follows a block of that length.

    >>> len(padding(13)), len(padding(16))
    (3, 0)
    """
    return bytes(-length % ALIGNMENT)

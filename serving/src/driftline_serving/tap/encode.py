"""Inferences to the bytes of frames; docs/reference/tap.md has the format."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from driftline_serving.tap import columns
from driftline_serving.tap.layout import (
    CHECKSUM,
    MAGIC,
    MOST_BODY,
    MOST_HEAD,
    PREFIX,
    VERSION,
    Counters,
    FrameError,
    Source,
    padding,
)
from driftline_serving.tap.records import Batch, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A frame but for its header, which is written when it is sent."""

    count: int
    head: int
    content: bytes
    checksum: int

    def header(self, counters: Counters) -> bytes:
        """Return the header with these counters."""
        prefix = PREFIX.pack(
            MAGIC,
            VERSION,
            0,
            counters.offered,
            counters.dropped,
            counters.sent,
            self.count,
            self.head,
            len(self.content) - self.head,
        )
        return prefix + CHECKSUM.pack(zlib.crc32(prefix, self.checksum))


def encode(batch: Batch, groups: Iterable[columns.Group], source: Source) -> Payload:
    """Return what is sent of a batch, whose tensors are these groups; it may be empty.

    Raises:
        FrameError: it would be larger than readers have to take.
    """
    head: dict[str, object] = {"worker": source.worker, "about": source.about}
    blocks: list[bytes] = []
    if batch.length:
        head |= _facts(batch, blocks)
        head["groups"] = [
            {
                "count": group.count,
                "inputs": columns.write(group.inputs, blocks),
                "outputs": columns.write(group.outputs, blocks),
            }
            for group in groups
        ]
    text = orjson.dumps(head)
    text += b" " * len(padding(len(text)))
    parts = [part for block in blocks for part in (block, padding(len(block)))]
    content = b"".join((text, *parts))
    if len(text) > MOST_HEAD or len(content) - len(text) > MOST_BODY:
        raise FrameError(f"a head of {len(text)} bytes in {len(content)} is more than may be")
    return Payload(
        count=batch.length, head=len(text), content=content, checksum=zlib.crc32(content)
    )


def _facts(batch: Batch, blocks: list[bytes]) -> dict[str, object]:
    """Write what every inference has; return the part of it that stands in the head."""
    count = batch.length
    known, places = _places(batch.stamps)
    blocks.append(bytes.fromhex("".join(batch.ids).replace("-", "")))
    blocks.append(struct.pack(f"<{count}q", *batch.received_us))
    blocks.append(struct.pack(f"<{count}q", *batch.latency_us))
    blocks.append(struct.pack(f"<{count}H", *batch.statuses))
    blocks.append(struct.pack(f"<{count}H", *places))
    return {
        "stamps": [stamp._asdict() for stamp in known],
        "request_ids": batch.request_ids if any(batch.request_ids) else (),
    }


def _places(stamps: Sequence[Stamp]) -> tuple[Sequence[Stamp], Sequence[int]]:
    """Return the different stamps, and which of them each one is."""
    if stamps.count(stamps[0]) == len(stamps):
        return stamps[:1], bytes(len(stamps))
    known = {stamp: place for place, stamp in enumerate(dict.fromkeys(stamps))}
    return list(known), [known[stamp] for stamp in stamps]

"""Hands calls that are over to the tap, as the model server does with its own.

What their bodies hold is read many at a time, and only once the monitor takes it: as long as it
does not, nothing is read at all.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from driftline_api.names import ARM_HEADER, EPOCH_HEADER, REQUEST_ID_HEADER, SLOT_HEADER
from driftline_serving.proxy.calls import Answered
from driftline_serving.proxy.reading import tensors_of
from driftline_serving.tap.observer import MOST_CHARACTERS, stamp
from driftline_serving.tap.queue import Waiting
from driftline_serving.tap.records import Batch
from driftline_serving.tap.writer import TapSettings, Writer

#: Calls that are read in one go, and bytes of their bodies: connections wait meanwhile.
FLUSH_COUNT: Final = 32
FLUSH_BYTES: Final = 512 * 1024
#: What Python takes for a call beside its bodies: its headers, above all.
_CALL_BYTES: Final = 4096


class Teller:
    """Collects calls; see `calls.Telling`.

    Attributes:
        writer: has the counts of what was told; None if nobody is.
    """

    def __init__(self, settings: TapSettings | None) -> None:
        self.writer = Writer(settings) if settings else None
        self._seconds = settings.flush_seconds if settings else 0.0
        self._loop = asyncio.get_running_loop()
        self._calls: list[Answered] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look for the reader from now on."""
        if self.writer:
            self.writer.start()

    async def close(self) -> None:
        """Tell of the last calls, if the reader takes them in time, and end."""
        self._flush()
        if self.writer:
            await self.writer.close()

    def tell(self, call: Answered) -> None:
        """See `calls.Telling`."""
        if self.writer is None:
            return
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._flush)
        self._calls.append(call)
        self._bytes += size_of(call)
        if len(self._calls) >= FLUSH_COUNT or self._bytes >= FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        calls, self._calls, self._bytes = self._calls, [], 0
        if calls and self.writer:
            self.writer.tell(waiting(calls))


def size_of(call: Answered) -> int:
    """Return how many bytes the bodies of a call take."""
    return len(call.request.content or b"") + len(call.response.content or b"")


def waiting(calls: Sequence[Answered]) -> Waiting:
    """Return what is kept of these calls until they are told."""

    def size() -> int:
        return sum(map(size_of, calls)) + _CALL_BYTES * len(calls)

    return Waiting(count=len(calls), size=size, batch=lambda: _batch(calls))


def _batch(calls: Sequence[Answered]) -> Batch:
    asked = [call.request.headers for call in calls]
    tensors = [tensors_of(call) for call in calls]
    return Batch(
        ids=[call.prediction_id for call in calls],
        request_ids=[each.get(REQUEST_ID_HEADER, "")[:MOST_CHARACTERS] for each in asked],
        stamps=[
            stamp((each.get(ARM_HEADER), each.get(EPOCH_HEADER), each.get(SLOT_HEADER)))
            for each in asked
        ],
        received_us=[call.received_us for call in calls],
        latency_us=[call.latency_us for call in calls],
        statuses=[call.status for call in calls],
        inputs=[taken for taken, _ in tensors],
        outputs=[given for _, given in tensors],
    )

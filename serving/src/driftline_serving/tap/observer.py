"""Collects finished calls, and has them told in batches."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from driftline_api.names import (
    ARM_HEADER,
    EPOCH_HEADER,
    REPLAY_HEADER,
    REQUEST_ID_HEADER,
    SLOT_HEADER,
)
from driftline_serving.server.observation import Finished
from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import Array, WantedOutput
from driftline_serving.tap.queue import Waiting
from driftline_serving.tap.records import Batch, Stamp, Tensors
from driftline_serving.tap.size import held_bytes, values_bytes
from driftline_serving.tap.writer import TapSettings, Writer

#: Characters of a header that are told.
MOST_CHARACTERS: Final = 256
_MOST_DIGITS: Final = 18
_NOTHING: Final[Mapping[str, Array]] = {}
#: What Python takes for a call, and for an array beside its values.
_CALL_BYTES: Final = 1024
_ARRAY_BYTES: Final = 256

#: Prediction id, headers, received, seconds, status, request, results. A tuple without names, which
#: is made for every call while others wait.
_Call: TypeAlias = tuple[
    str, Mapping[str, str], int, float, int, InferRequest | None, Sequence[Array]
]
#: What the router may have said: arm, epoch, slot.
_Said: TypeAlias = tuple[str | None, str | None, str | None]


class Tap:
    """Is told of every call by the server; see `server.observation.Observer`.

    A call is kept as it is until others have joined it. What is told of them is made of many at a
    time, and only once the reader takes it: that is most of the work.

    Attributes:
        writer: has the counts of what was told.
    """

    def __init__(self, settings: TapSettings) -> None:
        self.writer = Writer(settings)
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._calls: list[_Call] = []
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look for the reader from now on."""
        self.writer.start()

    async def close(self) -> None:
        """Tell of the last calls, if the reader takes them in time, and end."""
        self._flush()
        await self.writer.close()

    def computed(self, requests: int, rows: int) -> None:
        """See `Observer`: what matters here is what came of it."""

    def finished(self, call: Finished) -> None:
        """See `Observer`: keep the call, unless it was a replay."""
        if REPLAY_HEADER in call.headers:
            return
        if self._timer is None:
            self._timer = self._loop.call_later(self._settings.flush_seconds, self._flush)
        calls = self._calls
        calls.append(
            (
                call.prediction_id,
                call.headers,
                call.received,
                call.seconds,
                call.status,
                call.request,
                call.results,
            )
        )
        if len(calls) >= self._settings.flush_count:
            self._flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        calls, self._calls = self._calls, []
        if calls:
            self.writer.tell(waiting(calls))


def waiting(calls: Sequence[_Call]) -> Waiting:
    """Return what is kept of these calls until they are told: nothing whose size is not known."""
    ids, headers, received, seconds, statuses, requests, results = zip(*calls, strict=True)
    request_ids = [each.get(REQUEST_ID_HEADER, "")[:MOST_CHARACTERS] for each in headers]
    stamps = _stamps(headers)
    inputs = [_NOTHING if each is None else each.inputs for each in requests]
    wanted = [() if each is None else each.outputs for each in requests]

    def batch() -> Batch:
        return Batch(
            ids=ids,
            request_ids=request_ids,
            stamps=stamps,
            received_us=[each // 1000 for each in received],
            latency_us=[int(each * 1e6) for each in seconds],
            statuses=statuses,
            inputs=inputs,
            outputs=_outputs(wanted, results),
        )

    return Waiting(count=len(calls), size=lambda: _held(inputs, results), batch=batch)


def _held(inputs: Sequence[Mapping[str, Array]], results: Sequence[Sequence[Array]]) -> int:
    """Return about how many bytes these keep from being freed."""
    taken = [held_bytes(array) for each in inputs for array in each.values()]
    given = [values_bytes(array) for each in results for array in each]
    arrays = len(taken) + len(given)
    return sum(taken) + sum(given) + _CALL_BYTES * len(inputs) + _ARRAY_BYTES * arrays


def _stamps(headers: Sequence[Mapping[str, str]]) -> Sequence[Stamp]:
    said = [
        (each.get(ARM_HEADER), each.get(EPOCH_HEADER), each.get(SLOT_HEADER)) for each in headers
    ]
    if said.count(said[0]) == len(said):
        return [stamp(said[0])] * len(said)
    known = {each: stamp(each) for each in set(said)}
    return [known[each] for each in said]


def stamp(said: _Said) -> Stamp:
    """Read what the router said; what is no number stands for nothing.

    >>> stamp(("stable", "7", None))
    Stamp(arm='stable', epoch=7, slot=None)
    """
    arm, epoch, slot = said
    return Stamp((arm or "")[:MOST_CHARACTERS], _number(epoch), _number(slot))


def _number(text: str | None) -> int | None:
    if text is None or len(text) > _MOST_DIGITS:
        return None
    return int(text) if text.isascii() and text.isdecimal() else None


def _outputs(
    wanted: Sequence[Sequence[WantedOutput]], results: Sequence[Sequence[Array]]
) -> list[Tensors]:
    if wanted.count(wanted[0]) == len(wanted) and all(results):
        names = [each.name for each in wanted[0]]
        return [dict(zip(names, each, strict=True)) for each in results]
    return [
        {output.name: array for output, array in zip(outputs, arrays, strict=True)}
        if arrays
        else {}
        for outputs, arrays in zip(wanted, results, strict=True)
    ]

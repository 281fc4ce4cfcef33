"""Stands for a model server that has answered: tells of so many inferences a second.

`python -m e2e.bench.monitor.source HOW WHERE RATE SECONDS` tells by `tap` (WHERE is the socket), by
an HTTP `event` for each (WHERE is a URL), or not at all (`off`); RATE 0 is as fast as it is taken.
Prints what it did as JSON. Both ways keep inferences that wait in a queue of the same length, and
drop the oldest beyond it, so that no request would have waited.
"""

import asyncio
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, Protocol

import aiohttp
import numpy as np
import orjson
import uvloop

from driftline_serving.server.observation import Finished
from driftline_serving.server.prediction_id import PredictionIds
from driftline_serving.server.request import InferRequest
from driftline_serving.server.tensors import WantedOutput
from driftline_serving.tap.observer import Tap
from driftline_serving.tap.writer import TapSettings

COLUMNS: Final = 20
#: Inferences that wait, and requests on their way to whoever takes events.
ROOM: Final = 4096
_SENDERS: Final = 16
#: Between two looks at the clock.
_TICK: Final = 0.002
_ROWS: Final = 1024
_PATIENCE: Final = 60.0
_WANTED: Final = (
    WantedOutput(name="label", binary=False),
    WantedOutput(name="probabilities", binary=False),
)


class Way(Protocol):
    """How inferences are told."""

    async def start(self) -> None:
        """Reach the one who is told, before anything is measured."""

    def tell(self, call: Finished) -> None:
        """Tell of one, or drop one."""

    @property
    def has_room(self) -> bool:
        """Whether nothing would be dropped."""

    async def finish(self) -> tuple[int, int]:
        """Let the last ones be taken; return how many were told and how many dropped."""


class Nobody:
    """Is told nothing: what the source itself costs."""

    def __init__(self) -> None:
        self._told = 0

    async def start(self) -> None:
        pass

    def tell(self, call: Finished) -> None:
        self._told += call.status == 200

    @property
    def has_room(self) -> bool:
        return True

    async def finish(self) -> tuple[int, int]:
        return self._told, 0


class ByTap:
    """As the model server does."""

    def __init__(self, path: Path) -> None:
        self._tap = Tap(TapSettings(path=path, close_seconds=_PATIENCE))
        self.tell = self._tap.finished

    async def start(self) -> None:
        self._tap.start()
        await asyncio.sleep(0.2)

    @property
    def has_room(self) -> bool:
        return self._tap.writer.queue.count < ROOM // 2

    async def finish(self) -> tuple[int, int]:
        await self._tap.close()
        return self._tap.writer.sent, self._tap.writer.queue.dropped


class ByEvents:
    """One POST of JSON for each, over connections that are kept."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._queue: deque[Finished] = deque()
        self._told = self._dropped = 0
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = False

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_SENDERS))
        self._tasks = [asyncio.create_task(self._send()) for _ in range(_SENDERS)]

    def tell(self, call: Finished) -> None:
        if len(self._queue) >= ROOM:
            self._queue.popleft()
            self._dropped += 1
        self._queue.append(call)
        self._ready.set()

    @property
    def has_room(self) -> bool:
        return len(self._queue) < ROOM // 2

    async def finish(self) -> tuple[int, int]:
        self._ended = True
        self._ready.set()
        await asyncio.gather(*self._tasks)
        await self._session.close()
        return self._told, self._dropped

    async def _send(self) -> None:
        while True:
            while not self._queue:
                if self._ended:
                    return
                self._ready.clear()
                await self._ready.wait()
            async with self._session.post(self._url, data=event(self._queue.popleft())) as answer:
                assert answer.status == 204, answer.status
            self._told += 1


def event(call: Finished) -> bytes:
    """Return what an event says of an inference: what a frame of the tap says, too."""
    assert call.request is not None
    outputs = zip(call.request.outputs, call.results, strict=True)
    said = {
        "id": call.prediction_id,
        "received": call.received,
        "seconds": call.seconds,
        "status": call.status,
        "inputs": dict(call.request.inputs),
        "outputs": {wanted.name: result for wanted, result in outputs},
    }
    return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)


class Calls:
    """Inferences that are over, of rows that were made beforehand."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._rows = random.standard_normal((_ROWS, 1, COLUMNS)).astype(np.float32)
        scores = random.random((_ROWS, 1, 1)).astype(np.float32)
        self._scores = np.concatenate([1 - scores, scores], axis=2)
        self._labels = (self._scores[:, :, 1] > 0.5).astype(np.int64)
        self._ids = PredictionIds(7)
        self._at = 0

    def next(self) -> Finished:
        at = self._at = (self._at + 1) % _ROWS
        now = time.time_ns()
        request = InferRequest(id=None, inputs={"X": self._rows[at]}, outputs=_WANTED)
        return Finished(
            protocol="http",
            headers={},
            received=now,
            prediction_id=self._ids(now // 1_000_000),
            request=request,
            results=(self._labels[at], self._scores[at]),
            status=200,
            seconds=0.001,
        )


async def run(way: Way, rate: float, seconds: float) -> dict[str, float]:
    """Tell, and return what came of it."""
    await way.start()
    calls, made = Calls(), 0
    began, cpu = time.monotonic(), time.process_time()
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate) - made if rate else 64 * way.has_room
        for _ in range(due):
            way.tell(calls.next())
        made += due
        await asyncio.sleep(_TICK if rate or not way.has_room else 0)
    told, dropped = await way.finish()
    return {
        "made": made,
        "told": told,
        "dropped": dropped,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
    }


async def _main(how: str, where: str, rate: str, seconds: str) -> None:
    way: Way = Nobody() if how == "off" else ByEvents(where)
    if how == "tap":
        way = ByTap(Path(where))
    print(json.dumps(await run(way, float(rate), float(seconds))))


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))

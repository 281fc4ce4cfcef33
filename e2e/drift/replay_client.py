"""Runs in a pod or beside a server: replays rows at a constant rate, prints an account a second.

Its only argument is JSON, see `e2e.drift.replay.Replay`. It stands alone, on what the serving image
has. Rows come from a file or from S3; with labels, each answer's outcome is sent after a while.
"""

import asyncio
import io
import json
import math
import os
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import obstore
import orjson
from obstore.store import S3Store

SECONDS = 10
KEPT_ERRORS = 20
#: Labels in one request.
LABELS = 200
#: Growth of a bucket of the latency histogram.
GROWTH = math.log(1.02)
DATATYPES = {"f": "FP32", "U": "BYTES"}


def fetch(source: str) -> dict[str, Any]:
    """Return the arrays: the model's inputs by name, and `truth`."""
    if source.startswith("s3://"):
        bucket, _, key = source.removeprefix("s3://").partition("/")
        store = S3Store(
            bucket,
            endpoint=os.environ["AWS_ENDPOINT_URL"],
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        content = bytes(obstore.get(store, key).bytes())
    else:
        content = Path(source).read_bytes()
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return {name: each for name, each in arrays.items() if each.size}


def as_json(value: float | str) -> float | str:
    """Return a value as the protocol writes it: what is no number as a string."""
    return "NaN" if value != value else value  # noqa: PLR0124 - only NaN differs from itself


class Client:
    """Sends rows, then what became of them, and counts."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.arrays = fetch(told["source"])
        self.truth = self.arrays.pop("truth").tolist()
        self.at = told["first"]
        self.ended = False
        self.sent = self.failed = self.rows = 0
        self.errors: list[str] = []
        self.revisions: Counter[str] = Counter()
        self.latency: Counter[int] = Counter()
        self.labels: Counter[str] = Counter()
        self.due: deque[tuple[float, dict[str, Any]]] = deque()
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))

    def next_rows(self) -> slice:
        """Return which rows come now; after the last one comes the first again."""
        if self.at >= self.told["last"]:
            self.at = self.told["first"]
        wanted = slice(self.at, min(self.at + self.told["rows"], self.told["last"]))
        self.at = wanted.stop
        return wanted

    def body(self, wanted: slice) -> bytes:
        """Return the request for some rows."""
        tensors = [
            {
                "name": name,
                "shape": [wanted.stop - wanted.start, each.shape[1]],
                "datatype": DATATYPES[each.dtype.kind],
                "data": [as_json(value) for value in each[wanted].ravel().tolist()],
            }
            for name, each in self.arrays.items()
        ]
        return orjson.dumps({"inputs": tensors})

    async def send(self, wanted: slice) -> None:
        """Send rows and count the outcome."""
        body = self.body(wanted)
        began = time.perf_counter()
        headers = {"content-type": "application/json"}
        try:
            async with self.session.post(self.told["url"], data=body, headers=headers) as answer:
                text = await answer.read()
                took = time.perf_counter() - began
                problem = "" if answer.status == 200 else f"{answer.status}: {text[:200]!r}"
                self.revisions[answer.headers.get("driftline-revision", "?")] += 1
                self.remember(answer.headers, wanted)
        except (aiohttp.ClientError, TimeoutError) as error:
            took, problem = time.perf_counter() - began, f"{type(error).__name__}: {error}"
        self.sent += 1
        self.rows += wanted.stop - wanted.start
        self.latency[int(math.log(max(took * 1e6, 1)) / GROWTH)] += 1
        if problem:
            self.failed += 1
            self.errors = [*self.errors, f"{time.strftime('%H:%M:%S')} {problem}"][-KEPT_ERRORS:]

    def remember(self, headers: Any, wanted: slice) -> None:
        """Keep what the outcomes belong to, until they are known."""
        delay = self.told["label_after"]
        if delay is None:
            return
        names = ("driftline-receipt", "driftline-prediction-id")
        held = {name.rpartition("-")[2]: headers[name] for name in names if headers.get(name)}
        self.due.append((time.monotonic() + delay, {**held, "label": self.truth[wanted]}))

    async def tell_labels(self) -> None:
        """Send the outcomes that are known by now."""
        while self.due or not self.ended:
            await asyncio.sleep(0.2)
            ready: list[dict[str, Any]] = []
            while self.due and self.due[0][0] <= time.monotonic() and len(ready) < LABELS:
                ready.append(self.due.popleft()[1])
            if ready:
                await self.tell(ready)

    async def tell(self, items: list[dict[str, Any]]) -> None:
        """Send outcomes, and count what the answer says of them."""
        url = self.told["url"].removesuffix("infer") + "feedback"
        try:
            async with self.session.post(url, json=items) as answer:
                text = await answer.read()
                if answer.status >= 300:
                    self.labels[f"{answer.status}: {text[:200]!r}"] += len(items)
                    return
                self.labels["sent"] += len(items)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.labels[f"{type(error).__name__}: {error}"] += len(items)

    def report(self) -> None:
        """Print the account."""
        told = {
            "time": time.time(),
            "sent": self.sent,
            "failed": self.failed,
            "rows": self.rows,
            "at": self.at,
            "errors": self.errors,
            "revisions": self.revisions,
            "labels": self.labels,
            "latency": self.latency,
        }
        print(json.dumps(told), flush=True)

    async def run(self) -> None:
        """Send at the constant rate, whether or not earlier requests have ended."""
        running: set[asyncio.Task[None]] = set()
        telling = asyncio.create_task(self.tell_labels())
        started = reported = time.monotonic()
        for number in range(int(self.told["seconds"] * self.told["rate"])):
            await asyncio.sleep(started + number / self.told["rate"] - time.monotonic())
            if not self.told["loop"] and self.at >= self.told["last"]:
                break
            task = asyncio.create_task(self.send(self.next_rows()))
            running.add(task)
            task.add_done_callback(running.discard)
            if time.monotonic() - reported >= 1:
                self.report()
                reported = time.monotonic()
        await asyncio.gather(*running)
        self.ended = True
        await telling
        await self.session.close()
        self.report()


async def main() -> None:
    """Replay what the argument says."""
    await Client(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    asyncio.run(main())

"""Runs in a pod: sends one request at a constant rate and prints an account every second.

Its only argument is JSON: `url`, `body`, `rate` (requests a second) and `seconds` (to run). The
body is JSON for http://, and a message of gRPC in base64 for grpc://.
"""

import asyncio
import base64
import json
import sys
import time
from collections import Counter
from typing import Any

import aiohttp
import grpc.aio

SECONDS = 10
KEPT_ERRORS = 20


class Http:
    """Asks over HTTP."""

    def __init__(self, url: str, body: Any) -> None:
        self.url, self.body = url, body
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))

    async def ask(self) -> tuple[str, str]:
        """Return the revision that answered, and what went wrong."""
        try:
            async with self.session.post(self.url, json=self.body) as answer:
                text = await answer.text()
                revision = answer.headers.get("driftline-revision", "?")
                return revision, "" if answer.status == 200 else f"{answer.status}: {text[:200]}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return "", f"{type(error).__name__}: {error}"


class Grpc:
    """Asks over gRPC, on one connection."""

    def __init__(self, url: str, body: str) -> None:
        self.message = base64.b64decode(body)
        channel = grpc.aio.insecure_channel(url.removeprefix("grpc://"))
        self.call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

    async def ask(self) -> tuple[str, str]:
        """Return the revision that answered, and what went wrong."""
        call = self.call(self.message, timeout=SECONDS)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return "", f"{error.code().name}: {error.details()}"
        return str(dict(await call.trailing_metadata()).get("driftline-revision", "?")), ""


class Client:
    """Counts what became of the requests."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.sent = 0
        self.errors: list[str] = []
        self.failed = 0
        self.revisions: Counter[str] = Counter()

    async def send(self, way: Http | Grpc) -> None:
        """Send one request and count its outcome."""
        revision, problem = await way.ask()
        self.sent += 1
        if revision:
            self.revisions[revision] += 1
        if problem:
            self.failed += 1
            self.errors = [*self.errors, f"{time.strftime('%H:%M:%S')} {problem}"][:KEPT_ERRORS]

    def report(self) -> None:
        """Print the account."""
        told = {"sent": self.sent, "failed": self.failed, "errors": self.errors}
        print(json.dumps({**told, "revisions": self.revisions}), flush=True)

    async def run(self) -> None:
        """Send at the constant rate, whether or not earlier requests have ended."""
        running: set[asyncio.Task[None]] = set()
        started = time.monotonic()
        reported = started
        kind = Grpc if self.told["url"].startswith("grpc://") else Http
        way = kind(self.told["url"], self.told["body"])
        for number in range(int(self.told["seconds"] * self.told["rate"])):
            await asyncio.sleep(started + number / self.told["rate"] - time.monotonic())
            task = asyncio.create_task(self.send(way))
            running.add(task)
            task.add_done_callback(running.discard)
            if time.monotonic() - reported >= 1:
                self.report()
                reported = time.monotonic()
        await asyncio.gather(*running)
        self.report()


if __name__ == "__main__":
    asyncio.run(Client(json.loads(sys.argv[1])).run())

"""Runs in a pod: sends one request at a constant rate and prints an account every second.

Its only argument is JSON: `url`, `body`, `rate` (requests a second) and `seconds` (to run).
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=10)
KEPT_ERRORS = 20


class Client:
    """Counts what became of the requests."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.sent = 0
        self.errors: list[str] = []
        self.failed = 0
        self.revisions: Counter[str] = Counter()

    async def send(self, session: aiohttp.ClientSession) -> None:
        """Send one request and count its outcome."""
        try:
            async with session.post(self.told["url"], json=self.told["body"]) as answer:
                text = await answer.text()
                self.revisions[answer.headers.get("driftline-revision", "?")] += 1
                problem = "" if answer.status == 200 else f"{answer.status}: {text[:200]}"
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = f"{type(error).__name__}: {error}"
        self.sent += 1
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
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            for number in range(int(self.told["seconds"] * self.told["rate"])):
                await asyncio.sleep(started + number / self.told["rate"] - time.monotonic())
                task = asyncio.create_task(self.send(session))
                running.add(task)
                task.add_done_callback(running.discard)
                if time.monotonic() - reported >= 1:
                    self.report()
                    reported = time.monotonic()
            await asyncio.gather(*running)
        self.report()


if __name__ == "__main__":
    asyncio.run(Client(json.loads(sys.argv[1])).run())

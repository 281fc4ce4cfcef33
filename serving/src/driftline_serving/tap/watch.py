"""Counts what servers tell that have `--tap SOCKET`.

`python -m driftline_serving.tap.watch SOCKET`
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections import Counter
from pathlib import Path

import orjson
import uvloop

from driftline_serving.tap.frame import Frame
from driftline_serving.tap.layout import Counters
from driftline_serving.tap.reader import Reader


class Counts:
    """What the workers have told so far."""

    def __init__(self) -> None:
        self._frames = 0
        self._seen: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._latest: dict[str, Counters] = {}

    def add(self, frame: Frame) -> None:
        """Count a frame."""
        worker = frame.source.worker
        self._frames += 1
        self._seen[worker] += frame.count
        self._statuses.update(map(str, frame.status.tolist()))
        self._latest[worker] = frame.counters

    def line(self) -> bytes:
        """Return them as a line of JSON."""
        counts = {
            "workers": len(self._latest),
            "frames": self._frames,
            "offered": sum(each.offered for each in self._latest.values()),
            "seen": self._seen.total(),
            "dropped": sum(each.dropped for each in self._latest.values()),
            "statuses": self._statuses,
        }
        return orjson.dumps(counts, option=orjson.OPT_APPEND_NEWLINE)


async def watch(path: Path, seconds: float) -> None:
    """Listen until SIGTERM or SIGINT, and tell the counts every so many seconds and at the end."""
    counts, stop = Counts(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    reader = Reader(path, counts.add)
    await reader.start()
    while not stop.is_set():
        _tell(counts)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
    await reader.stop()
    _tell(counts)


def _tell(counts: Counts) -> None:
    sys.stdout.buffer.write(counts.line())
    sys.stdout.buffer.flush()


def main() -> None:
    """Watch one socket."""
    parser = argparse.ArgumentParser(description="Counts the inferences that model servers tell.")
    parser.add_argument("socket", type=Path, help="where to listen; give it to a server as --tap")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="between two lines (default: %(default)s)"
    )
    arguments = parser.parse_args()
    uvloop.run(watch(arguments.socket, arguments.seconds))


if __name__ == "__main__":
    main()

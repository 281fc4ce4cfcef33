"""Readers as they are in life: quick, slow, stuck, and gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from driftline_serving.tap.frame import Frame
from driftline_serving.tap.reader import Reader, read_frame
from driftline_serving.tap.records import Inference
from tests.serving.tap_frames import number_of


class Told:
    """What readers have been told, one after the other."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    @property
    def inferences(self) -> list[Inference]:
        return [each for frame in self.frames for each in frame.inferences()]

    @property
    def numbers(self) -> list[int]:
        return [number_of(each) for each in self.inferences]

    @property
    def seen(self) -> int:
        return sum(frame.count for frame in self.frames)

    def accounts_for(self, offered: int) -> bool:
        """Whether all of these were seen, or told to be dropped."""
        last = self.frames[-1].counters if self.frames else None
        return last is not None and last.offered == offered == self.seen + last.dropped

    async def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait for something that comes by itself."""
        try:
            async with asyncio.timeout(30):
                while not done():  # noqa: ASYNC110 - what is waited for may be anything
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"not within 30 s: {what}") from None

    async def until_seen(self, count: int) -> None:
        await self.until(lambda: self.seen >= count, f"{count} are seen")


@asynccontextmanager
async def listening(path: Path, told: Told) -> AsyncIterator[Reader]:
    """The real reader."""
    reader = Reader(path, told.frames.append)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


@asynccontextmanager
async def dragging(
    path: Path, told: Told, before: Callable[[], Awaitable[object]]
) -> AsyncIterator[None]:
    """One that waits for something before each frame that it reads."""
    tasks: set[asyncio.Task[None]] = set()

    async def receive(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
        try:
            await before()
            while (frame := await read_frame(stream)) is not None:
                told.frames.append(frame)
                await before()
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_unix_server(receive, path)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        path.unlink()  # noqa: ASYNC240 - takes no time to speak of

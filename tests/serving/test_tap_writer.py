"""The writer against real sockets: no reader makes it wait, and everyone is accounted for."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from driftline_serving.tap.frame import Frame
from driftline_serving.tap.queue import Room
from driftline_serving.tap.reader import Reader
from driftline_serving.tap.writer import TapSettings, Writer
from tests.serving.tap_frames import an_inference, same, waiting
from tests.serving.tap_readers import Told, dragging, listening

SMALL = Room(count=500, size=10_000_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tap"


@asynccontextmanager
async def writing(
    path: Path, room: Room = SMALL, close_seconds: float = 5
) -> AsyncIterator[Writer]:
    writer = Writer(
        TapSettings(
            path=path, room=room, about={"model": "m"}, retry_seconds=(0.01, 0.02),
            close_seconds=close_seconds,
        )
    )  # fmt: skip
    writer.start()
    yield writer
    await writer.close()


def offer(writer: Writer, first: int, last: int, rows: int = 1) -> None:
    told = [an_inference(number, rows) for number in range(first, last)]
    writer.tell(waiting(told, size=(1000 + 20 * rows) * len(told)))


async def flow(writer: Writer, first: int, last: int, rows: int = 1) -> None:
    """A server at work: it answers some, and turns to others."""
    for number in range(first, last, 20):
        offer(writer, number, min(number + 20, last), rows)
        await asyncio.sleep(0)


async def test_all_is_told_in_order(path: Path) -> None:
    told = Told()
    async with listening(path, told), writing(path) as writer:
        await told.until(lambda: bool(told.frames), "it is connected")
        for number in range(0, 2000, 100):
            offer(writer, number, number + 100)
            await asyncio.sleep(0.01)
        await told.until_seen(2000)
    assert told.numbers == list(range(2000))
    assert told.accounts_for(2000)
    assert told.frames[-1].counters.dropped == 0
    assert max(frame.count for frame in told.frames) <= 256
    assert same(told.inferences[7], an_inference(7))


async def test_a_reader_hears_of_a_worker_before_it_has_answered_anything(path: Path) -> None:
    told = Told()
    async with listening(path, told) as reader, writing(path):
        await told.until(lambda: bool(told.frames), "it is told")
        assert (told.accounts_for(0), reader.connections) == (True, 1)
        assert told.frames[0].source.about == {"model": "m"}
        assert len(told.frames) == 1


async def test_one_alone_is_told_soon(path: Path) -> None:
    told = Told()
    async with listening(path, told), writing(path) as writer:
        await told.until(lambda: bool(told.frames), "it is connected")
        offer(writer, 0, 1)
        await told.until_seen(1)


async def test_without_a_reader_the_newest_are_kept_for_it(path: Path) -> None:
    told = Told()
    async with writing(path) as writer:
        await flow(writer, 0, 10_000)
        assert (writer.queue.count, writer.queue.dropped) == (500, 9500)
        async with listening(path, told):
            await told.until(lambda: told.accounts_for(10_000), "what is left is told")
    assert told.numbers == list(range(9500, 10_000))
    assert told.frames[-1].counters.dropped == 9500


async def test_a_stuck_reader_changes_nothing_for_the_server(path: Path) -> None:
    told, wakes = Told(), asyncio.Event()
    async with dragging(path, told, wakes.wait), writing(path) as writer:
        await flow(writer, 0, 20_000, rows=10)
        assert told.frames == []
        assert (writer.queue.count, writer.queue.offered) == (500, 20_000)
        assert writer.queue.dropped > 10_000
        wakes.set()
        await told.until(lambda: told.accounts_for(20_000), "it has caught up")
    assert told.numbers == sorted(set(told.numbers))
    assert told.numbers[-1] == 19_999


async def test_bytes_are_bounded_as_well_as_numbers(path: Path) -> None:
    room = Room(count=500, size=1_000_000)
    async with writing(path, room) as writer:
        await flow(writer, 0, 1000, rows=1000)
        assert writer.queue.size <= 1_000_000
        assert 0 < writer.queue.count < 1000


async def test_a_slow_reader_is_told_what_it_can_take(path: Path) -> None:
    told = Told()
    async with dragging(path, told, lambda: asyncio.sleep(0.01)), writing(path) as writer:
        await flow(writer, 0, 20_000, rows=10)
        await told.until(lambda: told.accounts_for(20_000), "it has caught up")
        assert writer.queue.dropped > 0
    assert told.numbers == sorted(set(told.numbers))


async def test_a_reader_that_comes_back_is_told_what_came_meanwhile(path: Path) -> None:
    told = Told()
    async with writing(path) as writer:
        async with listening(path, told):
            offer(writer, 0, 100)
            await told.until_seen(100)
        offer(writer, 100, 400)
        async with listening(path, told):
            await told.until_seen(400)
            offer(writer, 400, 500)
            await told.until_seen(500)
    assert told.numbers == list(range(500))
    assert told.accounts_for(500)


async def test_what_a_reader_took_and_never_read_is_known_to_the_next(path: Path) -> None:
    """A frame of which only a part was taken is written again; what was taken whole is counted."""
    told = Told()
    async with writing(path) as writer:
        async with dragging(path, Told(), asyncio.Event().wait):
            await flow(writer, 0, 20_000, rows=10)
        async with listening(path, told):
            await told.until(lambda: bool(told.frames), "it is connected")
            unread = told.frames[0].counters.sent
            assert unread > 0
            await told.until(lambda: told.numbers[-1] == 19_999, "what is left is told")
            assert unread + told.seen + told.frames[-1].counters.dropped == 20_000
    assert told.numbers == sorted(set(told.numbers))


async def test_readers_may_come_and_go_all_the_time(path: Path) -> None:
    told, sent = Told(), 0
    async with writing(path) as writer:
        for first in range(0, 10_000, 1000):
            async with listening(path, told):
                await flow(writer, first, first + 1000)
                await asyncio.sleep(0.02)
        async with listening(path, told):
            await told.until(lambda: told.frames[-1].counters.offered == 10_000, "all is told")
            await told.until(lambda: writer.queue.count == 0, "nothing waits")
            sent = writer.sent
    assert told.numbers == sorted(set(told.numbers))
    assert told.seen <= sent
    assert sent + writer.queue.dropped == 10_000


async def test_what_waits_at_the_end_is_still_told(path: Path) -> None:
    told = Told()
    async with listening(path, told):
        async with writing(path, Room()) as writer:
            await told.until(lambda: bool(told.frames), "it is connected")
            offer(writer, 0, 3000)
        await told.until_seen(3000)
    assert told.accounts_for(3000)
    assert (writer.sent, writer.queue.dropped) == (3000, 0)


async def test_a_stuck_reader_does_not_hold_up_the_end(path: Path) -> None:
    stuck = dragging(path, Told(), asyncio.Event().wait)
    async with stuck, writing(path, close_seconds=0.05) as writer:
        await flow(writer, 0, 20_000, rows=10)
    assert writer.sent + writer.queue.dropped == writer.queue.offered == 20_000


async def test_nobody_is_waited_for_at_the_end_who_is_not_there(path: Path) -> None:
    async with asyncio.timeout(5), writing(path, close_seconds=60) as writer:
        offer(writer, 0, 100)
    assert (writer.sent, writer.queue.dropped) == (0, 100)


async def test_a_reader_that_goes_at_the_end_is_not_waited_for(path: Path) -> None:
    async with asyncio.timeout(20):
        async with dragging(path, Told(), asyncio.Event().wait):
            writer = Writer(TapSettings(path=path, room=SMALL, close_seconds=60))
            writer.start()
            await flow(writer, 0, 20_000, rows=10)
            closing = asyncio.create_task(writer.close())
            await asyncio.sleep(0.01)
        await closing
    assert writer.sent + writer.queue.dropped == 20_000


async def test_what_cannot_be_written_takes_nothing_else_with_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    async with listening(path, told), writing(path) as writer:
        await told.until(lambda: bool(told.frames), "it is connected")
        writer.tell(waiting([an_inference()._replace(inputs={"x": np.zeros(1, np.complex64)})]))
        await told.until(lambda: told.frames[-1].counters.dropped == 1, "it is told as dropped")
        offer(writer, 1, 3)
        await told.until_seen(2)
    assert told.numbers == [1, 2]
    assert "a bug in Driftline: 1 inferences are not told" in caplog.text


async def test_the_log_says_once_that_nobody_listens(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told = Told()
    async with writing(path):
        await asyncio.sleep(0.1)
        async with listening(path, told):
            await told.until(lambda: bool(told.frames), "it is connected")
    lines = [record.message for record in caplog.records if "tap" in record.message]
    assert lines[0].startswith(f"tap: nobody listens on {path} ([Errno 2]")
    assert lines[1] == f"tap: connected to {path}"
    assert lines[-1] == "tap: 0 inferences sent, 0 dropped"


async def test_one_reader_takes_from_several_workers(path: Path) -> None:
    told = Told()
    async with listening(path, told), writing(path) as one, writing(path) as other:
        await told.until(lambda: len(told.frames) == 2, "both are connected")
        offer(one, 0, 300)
        offer(other, 1000, 1400)
        await told.until_seen(700)
    of_one = [frame for frame in told.frames if frame.source == told.frames[0].source]
    of_other = [frame for frame in told.frames if frame not in of_one]
    assert {sum(frame.count for frame in each) for each in (of_one, of_other)} == {300, 400}


async def test_who_sends_something_else_is_shown_the_door(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    async with listening(path, told), writing(path) as writer:
        stream, intruder = await asyncio.open_unix_connection(path)
        intruder.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await stream.read() == b""
        intruder.close()
        await intruder.wait_closed()
        offer(writer, 0, 10)
        await told.until_seen(10)
    assert "a frame begins with b'DTAP', this with b'GET '" in caplog.text


async def test_a_reader_survives_its_own_mistakes(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()

    def handle(frame: Frame) -> None:
        told.frames.append(frame)
        if frame.count == 13:
            raise KeyError(frame)

    reader = Reader(path, handle)
    await reader.start()
    async with writing(path) as writer:
        for first, last in ((0, 13), (13, 20)):
            offer(writer, first, last)
            await told.until_seen(last)
    await reader.stop()
    assert "tap: a connection is closed" in caplog.text
    assert not path.exists()  # noqa: ASYNC240 - takes no time to speak of


async def test_a_reader_takes_the_place_of_one_that_was_killed(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    told = Told()
    async with listening(path, told), writing(path):
        await told.until(lambda: bool(told.frames), "it is connected")

"""A TCP proxy on the loopback that does to connections what networks do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Fault:
    """What befalls the connections, one after the other; those after the last are left alone.

    Each item is how many bytes go to the client before the connection is cut; `stall` holds it
    instead, open and silent.
    """

    cuts: list[int] = field(default_factory=list)
    stall: bool = False
    before_cut: Callable[[], None] = lambda: None


@dataclass(kw_only=True)
class Proxy:
    """A running proxy, and how much it carried."""

    port: int = 0
    connections: int = 0
    to_client: int = 0


@asynccontextmanager
async def proxy(target: int, fault: Fault) -> AsyncIterator[Proxy]:
    """Pass connections on to a local port."""
    state = Proxy()
    handlers: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        cut = fault.cuts.pop(0) if fault.cuts else None
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", target)
        upward = asyncio.ensure_future(_copy(reader, up_writer))
        try:
            await _copy_until_cut(up_reader, writer, state, cut)
            if cut is not None:
                await asyncio.to_thread(fault.before_cut)
                if fault.stall:
                    await asyncio.Event().wait()
        finally:
            upward.cancel()
            for each in (writer, up_writer):
                each.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(carry(reader, writer))
        handlers.add(task)
        await asyncio.wait((task,))

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        ended = await asyncio.gather(*handlers, return_exceptions=True)
        await asyncio.sleep(0)  # the transports' own closing
        expected = (asyncio.CancelledError, ConnectionError, type(None))
        assert all(isinstance(each, expected) for each in ended), ended


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()


async def _copy_until_cut(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: Proxy, cut: int | None
) -> None:
    left = cut
    while left is None or left > 0:
        chunk = await reader.read(65536 if left is None else min(65536, left))
        if not chunk:
            return
        writer.write(chunk)
        await writer.drain()
        state.to_client += len(chunk)
        if left is not None:
            left -= len(chunk)

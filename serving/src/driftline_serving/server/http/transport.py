"""Listens, and keeps the connections: their number, their deadlines, and their end."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from driftline_serving.server.http.connection import Answering, Connection, Limits

_BACKLOG = 1024
#: Seconds between two looks at the deadlines of all connections.
_SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where to listen and what to bound; port 0 takes a free one."""

    host: str = "0.0.0.0"  # noqa: S104 - a pod's server listens on the pod's address
    port: int = 8080
    #: With other processes of ours.
    shared: bool = False
    connections: int = 4096
    limits: Limits = field(default_factory=Limits)
    #: How long requests in flight may take once listening has ended.
    finish_seconds: float = 20.0


class HttpTransport:
    """The listener and its connections.

    Args:
        answering: Decides what requests are answered with.
        settings: Where to listen and what to bound.
        is_draining: Whether clients on kept connections are told to come back on another one.
    """

    def __init__(
        self, answering: Answering, settings: HttpSettings, is_draining: Callable[[], bool]
    ) -> None:
        self._limits = settings.limits
        self._answering = answering
        self._settings = settings
        self._is_draining = is_draining
        self._connections: set[Connection] = set()
        self._admitted = 0
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()

    @property
    def limits(self) -> Limits:
        """See `connection.Members`."""
        return self._limits

    @property
    def draining(self) -> bool:
        """See `connection.Members`."""
        return self._is_draining()

    def enter(self, connection: Connection) -> bool:
        """See `connection.Members`."""
        self._connections.add(connection)
        admitted = self._admitted < self._settings.connections
        self._admitted += admitted
        if len(self._connections) > 2 * self._settings.connections:
            connection.abort()
        return admitted

    def leave(self, connection: Connection) -> None:
        """See `connection.Members`."""
        self._connections.discard(connection)
        self._admitted -= connection.admitted
        if not self._connections:
            self._emptied.set()

    async def start(self) -> int:
        """Listen; returns the port."""
        loop = asyncio.get_running_loop()
        settings = self._settings
        self._server = await loop.create_server(
            # It has all that is asked of a protocol, and is none by its class.
            lambda: cast("asyncio.Protocol", Connection(self._answering, self)),
            settings.host,
            settings.port,
            backlog=_BACKLOG,
            reuse_port=settings.shared,
        )
        self._sweeper = asyncio.create_task(self._sweep())
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Listen no more, close idle connections, and let requests in flight finish."""
        if self._server is None or self._sweeper is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.close_if_idle()
        self._emptied.clear()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.finish_seconds):
                    await self._emptied.wait()
        self._sweeper.cancel()
        for connection in list(self._connections):
            connection.abort()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            for connection in [each for each in self._connections if each.deadline <= now]:
                connection.expire()

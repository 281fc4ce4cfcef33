"""The process: where it listens, what it says of itself, and its end."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry

from driftline_api.names import PROXY_ADMIN_PORT
from driftline_serving.errors import ListenError
from driftline_serving.proxy.admin import Admin, Exposition
from driftline_serving.proxy.calls import Ledger
from driftline_serving.proxy.passage import Passage
from driftline_serving.proxy.relay import Relay
from driftline_serving.proxy.telling import Teller
from driftline_serving.server.http.transport import HttpSettings, HttpTransport
from driftline_serving.server.prediction_id import PredictionIds, pod_hash
from driftline_serving.server.service import Identity
from driftline_serving.server.stopping import stop_signal
from driftline_serving.tap.writer import TapSettings

_BACKLOG: Final = 1024
_ADMIN_CONNECTIONS: Final = 64
_ADMIN_FINISH: Final = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """What the proxy is to do.

    Attributes:
        identity: of the model.
        passages: between clients and the server.
        host: on which to listen.
        server_host: of the server.
        admin_port: of its own health and metrics.
        tap: where it tells of calls; None: nowhere.
        connections: of clients, at a time.
        finish_seconds: for which connections may go on after the end was asked for.
    """

    identity: Identity
    passages: Sequence[Passage]
    host: str = "0.0.0.0"  # noqa: S104 - a pod's proxy listens on the pod's address
    server_host: str = "127.0.0.1"
    admin_port: int = PROXY_ADMIN_PORT
    tap: TapSettings | None = None
    connections: int = 4096
    finish_seconds: float = 25.0


@dataclass(slots=True)
class _Places:
    """Where it listens."""

    passages: list[asyncio.Server] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


class Proxy:
    """All connections; see `relay.Home`."""

    def __init__(self, settings: ProxySettings, teller: Teller) -> None:
        ids = PredictionIds(pod_hash(settings.identity.pod_ip))
        self._ledger = Ledger(settings.identity.headers, ids, teller)
        self._settings = settings
        self._relays: set[Relay] = set()
        self._places = _Places()
        self._emptied = asyncio.Event()

    @property
    def ledger(self) -> Ledger:
        """See `relay.Home`."""
        return self._ledger

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._relays)

    def enter(self, relay: Relay) -> bool:
        """See `relay.Home`."""
        if len(self._relays) >= self._settings.connections:
            self._ledger.counts.refused += 1
            return False
        self._relays.add(relay)
        return True

    def leave(self, relay: Relay) -> None:
        """See `relay.Home`."""
        self._relays.discard(relay)
        if not self._relays:
            self._emptied.set()

    async def start(self) -> list[int]:
        """Listen; returns the ports.

        Raises:
            ListenError: one of them is not to be had.
        """
        for passage in self._settings.passages:
            await self._listen(passage)
        return self._places.ports

    async def _listen(self, passage: Passage) -> None:
        settings = self._settings
        server = settings.server_host, passage.server
        loop = asyncio.get_running_loop()
        try:
            listening = await loop.create_server(
                lambda: Relay(self, server).client, settings.host, passage.port, backlog=_BACKLOG
            )
        except OSError as error:
            where = f"{settings.host}:{passage.port}"
            why = error.strerror or error
            raise ListenError(
                f"cannot listen on {where} ({why}); choose another port with --pass"
            ) from error
        self._places.passages.append(listening)
        self._places.ports.append(listening.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Listen no more; connections may go on for a while, and end with the server's."""
        for listening in self._places.passages:
            listening.close()
        self._emptied.clear()
        if self._relays:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.finish_seconds):
                    await self._emptied.wait()
        for relay in list(self._relays):
            relay.abort()
        await asyncio.sleep(0)  # in which the loop tells them that they are over


async def run(settings: ProxySettings) -> None:
    """Pass on until told to stop.

    Raises:
        ListenError: a port is not to be had.
    """
    stop = stop_signal()
    teller = Teller(settings.tap)
    proxy = Proxy(settings, teller)
    teller.start()
    try:
        ports = await proxy.start()
        admin, admin_port = await _admin(settings, proxy, teller)
        log.info("%s; metrics on %d", _described(settings, ports), admin_port)
        await stop.wait()
        log.info("leaving: %d connections may go on", proxy.connections)
        await proxy.stop()
        await admin.stop()
    finally:
        await teller.close()
    log.info("stopped")


async def _admin(
    settings: ProxySettings, proxy: Proxy, teller: Teller
) -> tuple[HttpTransport, int]:
    registry = CollectorRegistry()
    registry.register(Exposition(_about(settings.identity), proxy, teller))
    where = HttpSettings(
        host=settings.host,
        port=settings.admin_port,
        connections=_ADMIN_CONNECTIONS,
        finish_seconds=_ADMIN_FINISH,
    )
    admin = HttpTransport(Admin(registry), where, lambda: False)
    try:
        return admin, await admin.start()
    except OSError as error:
        raise ListenError(
            f"cannot listen on {settings.host}:{settings.admin_port} ({error.strerror or error}); "
            "choose another port with --admin-port"
        ) from error


def _about(identity: Identity) -> Mapping[str, str]:
    return {
        "model": identity.model,
        "revision": identity.revision,
        "digest": identity.digest,
    }


def _described(settings: ProxySettings, ports: Sequence[int]) -> str:
    pairs = zip(ports, settings.passages, strict=True)
    passed = ", ".join(f"{port} to {settings.server_host}:{each.server}" for port, each in pairs)
    return f"passing on: {passed}"

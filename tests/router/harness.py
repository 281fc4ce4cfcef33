"""The real Envoy, the real xDS feed, and small servers in the place of model servers."""

import asyncio
import contextlib
import json
import socket
import struct
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from driftline_api.model import Traffic
from driftline_operator.core.store import Store
from driftline_operator.router.bootstrap import Ports, render_bootstrap
from driftline_operator.router.inputs import Endpoint, Locate, wanted
from driftline_operator.router.manifests import envoy_args
from driftline_operator.router.ports import Allocation, allocate
from driftline_operator.router.stats import (
    OUTCOMES_QUERY,
    SERVED_QUERY,
    Reported,
    parse_outcomes,
    parse_served,
)
from driftline_operator.router.traffic import Acknowledged
from driftline_operator.shell.xds import Patience, XdsFeed
from tests.router.builders import NAMESPACE, NOW

ENVOY = Path(sys.executable).parent / "envoy"
QUICK = Patience(unchanged=1.0, incoherent=0.1, rejected=0.2, tick=0.02)


def free_ports(number: int) -> list[int]:
    """Return ports of loopback that nobody has, each another one."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    return free_ports(1)[0]


def a_free_uid() -> str:
    """Return a Model's uid whose port nobody has: tests run side by side, on one loopback.

    Envoy shares a port that it finds taken by another Envoy, instead of failing.
    """
    while True:
        uid = str(uuid.uuid4())
        model = wanted("m", uid, Traffic())
        (held,) = allocate([model], Allocation(held={}, freed={}), NOW).held.values()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", held.port))
            return uid


async def eventually(what: str, check: Callable[[], Any], within: float = 15.0) -> Any:
    """Return the first true result of `check`, which may be a coroutine function."""
    until = time.monotonic() + within
    result: Any = None
    while time.monotonic() < until:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            result = check()
            result = await result if asyncio.iscoroutine(result) else result
            if result:
                return result
        await asyncio.sleep(0.03)
    message = f"{what}: not within {within} s, last seen {result!r}"
    raise AssertionError(message)


@dataclass(slots=True)
class Upstream:
    """A server that answers in the place of one revision, and says what it was asked."""

    name: str
    port: int = field(default_factory=free_port)
    address: str = "127.0.0.1"
    healthy: bool = True
    health_delay: float = 0.0
    status: int = 200
    delay: float = 0.0
    served: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, self.port).start()

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path == "/v2/health/ready":
            await asyncio.sleep(self.health_delay)
            return web.Response(status=200 if self.healthy else 503)
        await request.read()
        await asyncio.sleep(self.delay)
        self.served += 1
        said = {"by": self.name, "headers": {k.lower(): v for k, v in request.headers.items()}}
        return web.json_response(said, status=self.status)


@dataclass(slots=True)
class Feed:
    """The xDS feed on a port of its own, which survives a stop and a start."""

    store: Store
    locate: Locate
    port: int = field(default_factory=free_port)
    requests: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve."""
        app = XdsFeed(self.store, lambda _: self.locate, QUICK).application()
        app.middlewares.append(self._count())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Be as an operator that is down."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def _count(self) -> Any:
        @web.middleware
        async def count(request: web.Request, handler: Any) -> web.StreamResponse:
            self.requests += 1
            response: web.StreamResponse = await handler(request)
            return response

        return count


class Names(asyncio.DatagramProtocol):
    """A DNS server that knows one name's addresses; with `failing`, it fails to say."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.failing = False
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Serve on a port of its own."""
        loop = asyncio.get_running_loop()
        made = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._transport = made[0]
        self.port = self._transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        """Close the socket."""
        if self._transport:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer each question with the addresses, which may be kept for half a minute."""
        end = data.index(b"\0", 12) + 5
        is_v4 = data[end - 4 : end - 2] == b"\0\x01"
        known = [] if self.failing or not is_v4 else self.addresses
        flags = 0x8182 if self.failing else 0x8180
        header = data[:2] + struct.pack(">HHHHH", flags, 1, len(known), 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 30, 4)
        answers = b"".join(record + socket.inet_aton(address) for address in known)
        assert self._transport
        self._transport.sendto(header + data[12:end] + answers, addr)

    @property
    def resolver(self) -> dict[str, Any]:
        """The part of a bootstrap that has Envoy ask here."""
        kind = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
        address = {"address": "127.0.0.1", "port_value": self.port}
        config = {
            "@type": f"type.googleapis.com/{kind}",
            "resolvers": [{"socket_address": address}],
            "dns_resolver_options": {"no_default_search_domain": True},
        }
        return {"name": "envoy.network.dns_resolver.cares", "typed_config": config}


@dataclass(slots=True)
class Router:
    """A running Envoy with our bootstrap."""

    ports: Ports
    config: Path
    http: aiohttp.ClientSession
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; this does not wait for readiness."""
        args = envoy_args(str(self.config), 1, node=f"{NAMESPACE}/router-1")
        with self.config.with_suffix(".log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(ENVOY), *args, stdout=log, stderr=log
            )

    async def stop(self) -> None:
        """End the process, whatever it does."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def ready(self) -> bool:
        """Ask what the kubelet asks."""
        assert self.process
        assert self.process.returncode is None, self.config.with_suffix(".log").read_text()
        return await self.status(f"http://127.0.0.1:{self.ports.ready}/ready") == 200

    async def status(self, url: str, method: str = "GET") -> int:
        """Return the status of a request, 0 where the connection is refused."""
        try:
            async with self.http.request(method, url) as response:
                return response.status
        except aiohttp.ClientConnectionError:
            return 0

    async def stats(self, query: str) -> str:
        """Return an answer of the statistics listener."""
        url = f"http://127.0.0.1:{self.ports.stats}{query}"
        async with self.http.get(url) as response:
            assert response.status == 200
            return await response.text()

    async def acknowledged(self) -> Acknowledged:
        """Return the versions that it reports."""
        return parse_served(await self.stats(SERVED_QUERY))

    async def reported(self) -> Reported:
        """Return the outcomes that it has counted."""
        return parse_outcomes(await self.stats(OUTCOMES_QUERY))


class Startable(Protocol):
    """A server."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Listen no more."""


@contextlib.asynccontextmanager
async def running(*servers: Startable) -> AsyncIterator[None]:
    """Start servers, and stop them whatever happens."""
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            stack.push_async_callback(server.stop)
            await server.start()
        yield


@contextlib.asynccontextmanager
async def a_router(
    directory: Path, xds_port: int, names: Names | None = None
) -> AsyncIterator[Router]:
    """Start an Envoy that asks 127.0.0.1:`xds_port`, and end it."""
    ready, stats, admin = free_ports(3)
    ports = Ports(ready=ready, stats=stats, admin=admin)
    config = directory / "envoy.json"
    bootstrap = render_bootstrap("127.0.0.1", xds_port, ports)
    if names:
        bootstrap["typed_dns_resolver_config"] = names.resolver
    config.write_text(json.dumps(bootstrap))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        router = Router(ports=ports, config=config, http=http)
        await router.start()
        try:
            yield router
        finally:
            await router.stop()


def at(upstreams: Mapping[str, Upstream]) -> Locate:
    """Return where each revision is served; an unknown one nowhere."""
    nowhere = free_port()
    return lambda revision: Endpoint(
        host="127.0.0.1",
        port=upstreams[revision].port if revision in upstreams else nowhere,
        monitor_port=upstreams[revision].port if revision in upstreams else nowhere,
    )

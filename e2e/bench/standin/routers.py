"""Routers that fetch their configuration and report its version, and route nothing.

Each has a loopback address of its own, since the operator asks every one at the same port. It
polls as Envoy does: one request for each kind of resource, the next a while after the answer.
"""

import asyncio
import contextlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import aiohttp
import orjson
from aiohttp import web

STATS_PORT = 9902
_FIRST = IPv4Address("127.77.0.1")

_TYPE = "type.googleapis.com/envoy.config"
_TYPES = {
    "listeners": f"{_TYPE}.listener.v3.Listener",
    "clusters": f"{_TYPE}.cluster.v3.Cluster",
    "routes": f"{_TYPE}.route.v3.RouteConfiguration",
}
#: Envoy's pause between an answer and the next request, as the operator's configuration has it;
#: Envoy adds up to as much again at random.
REFRESH_SECONDS = 0.25
#: The operator may hold a request while there is nothing new, for less than this.
TIMEOUT_SECONDS = 30


@dataclass(slots=True, kw_only=True)
class Router:
    """One router pod.

    Attributes:
        node: `<namespace>/<pod>`, by which xDS knows it.
        ip: its address.
        on_configured: called once, when everything has come.
        versions: what it has got, by kind of resource; by `routes/<name>` for routes.
        wanted: names of the route configurations that its listeners refer to.
        revisions: those whose servers it knows; it says of all that they are healthy.
    """

    node: str
    ip: str
    on_configured: Callable[[], None]
    versions: dict[str, str] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    revisions: list[str] = field(default_factory=list)

    @property
    def configured(self) -> bool:
        """Whether everything has come once, so that Envoy would open its readiness listener."""
        routes = {f"routes/{name}" for name in self.wanted}
        return self.versions.keys() >= {"listeners", "clusters", *routes}

    def stats(self) -> Iterator[tuple[str, str]]:
        """Yield the versions under Envoy's names for them."""
        for kind, version in sorted(self.versions.items()):
            if kind == "clusters":
                yield "cluster_manager.cds.version_text", version
            elif kind == "listeners":
                yield "listener_manager.lds.version_text", version
            else:
                name = kind.removeprefix("routes/")
                yield f"http.{name}.rds.{name}.version_text", version
        for revision in self.revisions:
            yield f"cluster.{revision}.membership_healthy", "1"


def route_names(listeners: object) -> Iterator[str]:
    """Yield each `route_config_name` anywhere in listener resources."""
    if isinstance(listeners, dict):
        for key, value in listeners.items():
            if key == "route_config_name":
                yield value
            else:
                yield from route_names(value)
    elif isinstance(listeners, list):
        for each in listeners:
            yield from route_names(each)


class Routers:
    """All router pods, and the port at which they answer for their statistics."""

    def __init__(self, xds: str) -> None:
        self._xds = xds
        self._routers: dict[str, Router] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        )
        app = web.Application()
        app.router.add_get("/stats", self._stats)
        self._runner = web.AppRunner(app, access_log=None)

    async def add(self, node: str, on_configured: Callable[[], None]) -> Router:
        """Start a router, and return it with the address that it listens at."""
        if not self._routers:
            await self._runner.setup()
        ip = str(_FIRST + len(self._routers))
        router = Router(node=node, ip=ip, on_configured=on_configured)
        self._routers[router.ip] = router
        await web.TCPSite(self._runner, router.ip, STATS_PORT).start()
        self._spawn(router, "listeners")
        self._spawn(router, "clusters")
        return router

    def _spawn(self, router: Router, kind: str, name: str = "") -> None:
        task = asyncio.create_task(self._subscribe(router, kind, name))
        self._tasks.add(task)

    async def _subscribe(self, router: Router, kind: str, name: str) -> None:
        """Poll one kind of resource for ever."""
        while True:
            # As Envoy: it keeps what it has and asks again.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self._fetch(router, kind, name)
            await asyncio.sleep(REFRESH_SECONDS + random.uniform(0, REFRESH_SECONDS))  # noqa: S311 - jitter

    async def _fetch(self, router: Router, kind: str, name: str) -> None:
        key = f"{kind}/{name}" if name else kind
        request = {
            "version_info": router.versions.get(key, ""),
            "node": {"id": router.node, "cluster": "driftline-router"},
            "resource_names": [name] if name else [],
            "type_url": _TYPES[kind],
        }
        url = f"{self._xds}/v3/discovery:{kind}"
        async with self._session.post(url, data=orjson.dumps(request)) as answer:
            if answer.status == 200:
                self._take(router, kind, key, orjson.loads(await answer.read()))

    def _take(self, router: Router, kind: str, key: str, answer: dict[str, Any]) -> None:
        before = router.configured
        router.versions[key] = answer["version_info"]
        if kind == "clusters":
            names = (each["name"] for each in answer["resources"])
            router.revisions = sorted(name for name in names if "/" not in name)
        if kind == "listeners":
            known = router.wanted
            router.wanted = frozenset(route_names(answer["resources"]))
            for name in router.wanted - known:
                self._spawn(router, "routes", name)
        if router.configured and not before:
            router.on_configured()

    async def _stats(self, request: web.Request) -> web.Response:
        """Answer as Envoy's admin does: text, filtered by a regular expression."""
        assert request.transport is not None
        router = self._routers[request.transport.get_extra_info("sockname")[0]]
        pattern = re.compile(request.query.get("filter", ""))
        stats = [(name, value) for name, value in router.stats() if pattern.search(name)]
        return web.Response(text="".join(f'{name}: "{value}"\n' for name, value in stats))

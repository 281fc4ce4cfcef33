"""What a monitor answers over HTTP; `driftline_api.monitor` has what is said."""

import asyncio
import hmac
import logging
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, generate_latest

from driftline_api.keys import ReceiptKey, monitor_token
from driftline_api.monitor import MonitorConfig, parse
from driftline_serving.monitor.config import ConfigRefusedError
from driftline_serving.monitor.counting import ENOUGH, proposed
from driftline_serving.monitor.monitor import Monitor

#: Bytes of a configuration: a plan of 1,024 features is smaller.
MOST_BYTES: Final = 16 * 1024 * 1024
_PROTECTED: Final = frozenset({"/summary", "/config", "/profile", "/plan"})
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"

Keys = Callable[[], Sequence[ReceiptKey]]

log = logging.getLogger(__name__)


class Endpoints:
    """The endpoints of one monitor."""

    def __init__(self, monitor: Monitor, registry: CollectorRegistry) -> None:
        self._monitor = monitor
        self._registry = registry
        self._proposing = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered."""
        return [
            web.get("/healthz", self._healthz),
            web.get("/metrics", self._metrics),
            web.get("/summary", self._summary),
            web.put("/config", self._config),
            web.get("/profile", self._profile),
            web.post("/plan", self._plan),
        ]

    async def _healthz(self, _: web.Request) -> web.Response:
        """Alive means that the event loop turns: servers and operators come and go."""
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": _TEXT})

    async def _summary(self, request: web.Request) -> web.StreamResponse:
        summary = self._monitor.summary()
        response = _json(summary.model_dump_json(by_alias=True))
        await response.prepare(request)
        await response.write_eof()
        if summary.final:
            self._monitor.told.set()
        return response

    async def _config(self, request: web.Request) -> web.Response:
        try:
            await self._monitor.configuring.put(parse(MonitorConfig, await request.read()))
        except ValueError as error:
            return web.Response(status=400, text=f"this is no configuration: {error}\n")
        except ConfigRefusedError as error:
            return web.Response(status=409, text=f"it cannot be counted by: {error}\n")
        return web.Response(status=204)

    async def _profile(self, _: web.Request) -> web.Response:
        counting = self._monitor.counting
        if counting is None or counting.profile is None:
            return web.Response(status=404, text="there is no profile that is counted by\n")
        return _json(counting.profile.model_dump_json(by_alias=True))

    async def _plan(self, _: web.Request) -> web.Response:
        counting = self._monitor.counting
        sample = counting.sample if counting else None
        if sample is None:
            return web.Response(status=409, text="no sample is kept: there is a plan already\n")
        if sample.kept < ENOUGH:
            short = f"{sample.kept} of {ENOUGH} rows have come; ask again when there are more\n"
            return web.Response(status=409, text=short)
        async with self._proposing:
            plan = await asyncio.to_thread(proposed, sample.features, sample.frozen())
        return _json(plan.to_json())


def application(
    monitor: Monitor, registry: CollectorRegistry, keys: Keys | None
) -> web.Application:
    """Return the application.

    Args:
        monitor: that it is of.
        registry: what `/metrics` shows.
        keys: returns those of which a token is accepted; None: no token is wanted.
    """
    app = web.Application(
        client_max_size=MOST_BYTES, middlewares=[] if keys is None else [_wanting_token(keys)]
    )
    app.add_routes(Endpoints(monitor, registry).routes())
    return app


def _wanting_token(keys: Keys) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _PROTECTED and (refusal := _refusal(request, keys())):
            return refusal
        return await handler(request)

    return middleware


def _refusal(request: web.Request, keys: Sequence[ReceiptKey]) -> web.Response | None:
    """Return why somebody is not answered; None if there is no reason."""
    if not keys:
        return web.Response(status=503, text="no key is known yet, and so no token\n")
    given = request.headers.get("Authorization", "").encode()
    if any(hmac.compare_digest(given, f"Bearer {monitor_token(key)}".encode()) for key in keys):
        return None
    return web.Response(
        status=401,
        text="a token is wanted: one of the keys that receipts are signed with makes it\n",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")

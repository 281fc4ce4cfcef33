"""The operator's own endpoints, and how any of its applications is served.

Kopf's liveness endpoint hangs when a probe raises, so these are ours.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

#: Seconds that a request under way has to end when we stop.
_SHUTDOWN: Final = 2.0


def health_application(
    registry: CollectorRegistry, is_ready: Callable[[], bool]
) -> web.Application:
    """Return the application of /healthz, /readyz and /metrics.

    Alive means that the event loop turns; an API server that is away is no reason to restart.
    Ready means that all objects were seen once, so that what we tell routers is whole.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if is_ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="not all objects have been listed yet\n")

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=generate_latest(registry), headers=headers)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


@asynccontextmanager
async def served(app: web.Application, port: int) -> AsyncIterator[None]:
    """Serve an application on all addresses while the context lasts."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()

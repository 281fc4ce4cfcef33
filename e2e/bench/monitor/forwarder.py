"""The reverse proxy that most people would write: aiohttp at both ends, body by body.

`python -m e2e.bench.monitor.forwarder PORT`: passes on to that port, and prints its own.
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

_OWN = ("Transfer-Encoding", "Content-Length", "Content-Encoding", "Date", "Server", "Connection")


def application(session: aiohttp.ClientSession, port: int) -> web.Application:
    """Return the application."""

    async def forward(request: web.Request) -> web.Response:
        url = f"http://127.0.0.1:{port}{request.raw_path}"
        body = await request.read()
        async with session.request(
            request.method, url, data=body, headers=request.headers
        ) as answer:
            headers = {name: each for name, each in answer.headers.items() if name not in _OWN}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    made = web.Application(client_max_size=64 * 1024 * 1024)
    made.router.add_route("*", "/{path:.*}", forward)
    return made


async def _serve(port: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        runner = web.AppRunner(application(session, port), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print("listening on port", runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))

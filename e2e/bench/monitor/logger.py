"""The payload logger that most people would write: aiohttp, one event a request, a line in a file.

`python -m e2e.bench.monitor.logger FILE`: prints its port. It looks at nothing and bounds nothing.
"""

import asyncio
import sys
from pathlib import Path
from typing import IO

import uvloop
from aiohttp import web


def application(file: IO[bytes]) -> web.Application:
    """Return the application."""

    async def take(request: web.Request) -> web.Response:
        file.write(await request.read() + b"\n")
        return web.Response(status=204)

    made = web.Application()
    made.router.add_post("/", take)
    return made


async def _serve(path: Path) -> None:
    with path.open("wb") as file:
        runner = web.AppRunner(application(file), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print("listening on port", runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))

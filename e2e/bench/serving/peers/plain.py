"""The server that most people would write: aiohttp, orjson and ONNX Runtime, request by request.

Nothing is validated, bounded or counted.
"""

import uvloop
from aiohttp import web

from e2e.bench.serving.peers.onnx_model import OnnxModel, Told, told


def application(asked: Told) -> web.Application:
    """Return the application for one model."""
    model = OnnxModel(asked.path)

    async def infer(request: web.Request) -> web.Response:
        rows = model.read(await request.read(), binary=asked.binary)
        return web.Response(body=model.write(model.run(rows)), content_type="application/json")

    made = web.Application(client_max_size=64 * 1024 * 1024)
    made.router.add_post("/v2/models/m/infer", infer)
    return made


def main() -> None:
    """Serve until stopped."""
    asked = told()
    loop = uvloop.new_event_loop()
    web.run_app(application(asked), host="127.0.0.1", port=asked.port, access_log=None, loop=loop)


if __name__ == "__main__":
    main()

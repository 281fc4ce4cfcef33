"""The server that most people would write: aiohttp, orjson and ONNX Runtime, request by request.

`python -m e2e.bench.serving.plain MODEL.onnx PORT`. Nothing is validated, bounded or counted.
"""

import sys

import numpy as np
import onnxruntime as ort
import orjson
import uvloop
from aiohttp import web

_KINDS = {"FP32": np.float32}


def application(path: str) -> web.Application:
    """Return the application for one model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]

    async def infer(request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())
        inputs = {
            each["name"]: np.array(each["data"], dtype=_KINDS[each["datatype"]]).reshape(
                each["shape"]
            )
            for each in asked["inputs"]
        }
        found = [np.asarray(each) for each in session.run(names, inputs)]
        outputs = [
            {"name": name, "shape": list(each.shape), "data": each.ravel()}
            for name, each in zip(names, found, strict=True)
        ]
        body = orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        return web.Response(body=body, content_type="application/json")

    async def ready(_request: web.Request) -> web.Response:
        return web.Response()

    made = web.Application(client_max_size=64 * 1024 * 1024)
    made.router.add_post("/v2/models/m/infer", infer)
    made.router.add_get("/v2/health/ready", ready)
    return made


def main() -> None:
    """Serve until stopped."""
    _, path, port = sys.argv
    loop = uvloop.new_event_loop()
    web.run_app(application(path), host="127.0.0.1", port=int(port), access_log=None, loop=loop)


if __name__ == "__main__":
    main()

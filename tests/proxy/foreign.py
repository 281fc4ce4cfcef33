"""A server of the protocol that is not ours: it gives back what it gets, and knows no tap.

`python -m tests.proxy.foreign`: prints its ports for HTTP and gRPC, and serves until stopped.
"""

import asyncio
import json
from typing import Any

import grpc
import grpc.aio
from aiohttp import web
from tritonclient.grpc import service_pb2, service_pb2_grpc

JSON_LENGTH = "Inference-Header-Content-Length"


async def ready(_: web.Request) -> web.Response:
    return web.json_response({"ready": True})


async def infer(request: web.Request) -> web.Response:
    """Give back each input as the output of its name, as it came: as JSON or as bytes."""
    content = await request.read()
    length = int(request.headers.get(JSON_LENGTH, len(content)))
    try:
        given = json.loads(content[:length])
    except ValueError:
        return web.json_response({"error": "this is not JSON"}, status=400)
    answer = {"model_name": "m", "outputs": given["inputs"]}
    if length == len(content):
        return web.json_response(answer)
    text = json.dumps(answer).encode()
    return web.Response(body=text + content[length:], headers={JSON_LENGTH: str(len(text))})


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # without types
    """The same over gRPC."""

    async def ServerReady(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - gRPC's name
        return service_pb2.ServerReadyResponse(ready=True)

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        if not request.inputs:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "inputs are missing")
        answer = service_pb2.ModelInferResponse(model_name="m", id=request.id)
        for each in request.inputs:
            answer.outputs.add(name=each.name, datatype=each.datatype, shape=each.shape)
        answer.raw_output_contents.extend(request.raw_input_contents)
        return answer


async def main() -> None:
    application = web.Application(client_max_size=1024**3)
    application.router.add_get("/v2/health/ready", ready)
    application.router.add_post("/v2/models/m/infer", infer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _, http = runner.addresses[0]
    print(http, port, flush=True)  # noqa: T201 - told to who started it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

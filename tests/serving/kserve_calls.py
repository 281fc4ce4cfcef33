"""Asks by KServe's own client, unmodified: a question a line in, an answer a line out.

It runs in an environment of its own, whose packages need not go together with ours.
"""

import asyncio
import json
import sys
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferOutput,
    InferRequest,
    InferResponse,
)
from kserve.inference_client import RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from kserve.protocol.infer_type import RequestedOutput
from kserve.protocol.rest.v2_datamodels import ModelMetadataResponse, ServerMetadataResponse
from kserve.utils.numpy_codec import to_np_dtype


def tensor_of(told: dict[str, Any]) -> InferInput:
    """An input: from a numpy array, or from a list, which the client sends as it is."""
    made = InferInput(told["name"], told["shape"], told["datatype"])
    if told["form"] == "list":
        made.data = told["data"]
        return made
    array = np.array(told["data"], dtype=to_np_dtype(told["datatype"])).reshape(told["shape"])
    made.set_data_from_numpy(array, binary_data=told["form"] == "binary")
    return made


def request_of(told: dict[str, Any]) -> InferRequest:
    wanted = [
        RequestedOutput(each["name"], each.get("parameters")) for each in told.get("outputs", ())
    ]
    return InferRequest(
        model_name=told.get("model", "m"),
        infer_inputs=[tensor_of(each) for each in told["inputs"]],
        request_id=told.get("id"),
        parameters=told.get("parameters"),
        request_outputs=wanted or None,
        model_version=told.get("version"),
    )


def values(output: InferOutput) -> list[Any]:
    found = output.as_numpy()
    assert list(found.shape) == list(output.shape)
    flat = found.reshape(-1).tolist()
    return [each.decode() if isinstance(each, bytes) else each for each in flat]


def told_of(response: InferResponse) -> dict[str, Any]:
    return {
        "id": response.id,
        "model": response.model_name,
        "outputs": [
            {
                "name": output.name,
                "datatype": output.datatype,
                "shape": list(output.shape),
                "data": values(output),
            }
            for output in response.outputs
        ],
    }


class OverRest:
    """KServe's client of REST; its models of the metadata, which the client does not fetch."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"
        self.client = InferenceRESTClient(RESTConfig(protocol="v2"))

    async def infer(self, told: dict[str, Any]) -> dict[str, Any]:
        headers: dict[str, str] = {}
        model = told.get("model", "m")
        response = await self.client.infer(
            self.url, request_of(told), model_name=model, response_headers=headers
        )
        return {**told_of(response), "headers": headers}

    async def live(self, _told: dict[str, Any]) -> bool:
        return bool(await self.client.is_server_live(self.url))

    async def ready(self, _told: dict[str, Any]) -> bool:
        return bool(await self.client.is_server_ready(self.url))

    async def model_ready(self, told: dict[str, Any]) -> bool:
        return bool(await self.client.is_model_ready(self.url, told["model"]))

    async def metadata(self, _told: dict[str, Any]) -> dict[str, Any]:
        async with httpx.AsyncClient() as plain:
            server = ServerMetadataResponse(**(await plain.get(f"{self.url}/v2")).json())
            model = ModelMetadataResponse(**(await plain.get(f"{self.url}/v2/models/m")).json())
        return {"server": server.model_dump(), "model": model.model_dump()}


class OverGrpc:
    """KServe's client of gRPC; its stub for the metadata, which the client does not fetch."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = InferenceGRPCClient(address)

    async def infer(self, told: dict[str, Any]) -> dict[str, Any]:
        return told_of(await self.client.infer(request_of(told)))

    async def live(self, _told: dict[str, Any]) -> bool:
        return bool(await self.client.is_server_live())

    async def ready(self, _told: dict[str, Any]) -> bool:
        return bool(await self.client.is_server_ready())

    async def model_ready(self, told: dict[str, Any]) -> bool:
        return bool(await self.client.is_model_ready(told["model"]))

    async def metadata(self, _told: dict[str, Any]) -> dict[str, Any]:
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub = GRPCInferenceServiceStub(channel)
            server = await stub.ServerMetadata(messages.ServerMetadataRequest())
            model = await stub.ModelMetadata(messages.ModelMetadataRequest(name="m"))
        tensors = {
            side: [
                {"name": each.name, "datatype": each.datatype, "shape": list(each.shape)}
                for each in getattr(model, side)
            ]
            for side in ("inputs", "outputs")
        }
        return {
            "server": {
                "name": server.name,
                "version": server.version,
                "extensions": list(server.extensions),
            },
            "model": {
                "name": model.name,
                "versions": list(model.versions),
                "platform": model.platform,
                **tensors,
            },
        }


async def answer(told: dict[str, Any], clients: dict[tuple[str, str], Any]) -> dict[str, Any]:
    kind = OverRest if told["over"] == "rest" else OverGrpc
    client = clients.setdefault((told["over"], told["address"]), kind(told["address"]))
    try:
        return {"answer": await getattr(client, told["ask"])(told)}
    except httpx.HTTPStatusError as error:
        return {"error": str(error), "status": str(error.response.status_code)}
    except grpc.aio.AioRpcError as error:
        return {"error": error.details(), "status": error.code().name}


async def main() -> None:
    clients: dict[tuple[str, str], Any] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        sys.stdout.write(json.dumps(await answer(json.loads(line), clients)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())

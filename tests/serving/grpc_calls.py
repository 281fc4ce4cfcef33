"""Calls of gRPC with Triton's messages, which are not ours, and without its client's help."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from driftline_serving.server.tensors import Array
from tests.serving import onnx_models
from tests.serving.processes import Server

#: A connection of its own for each channel.
APART = (("grpc.use_local_subchannel_pool", 1),)


@contextmanager
def channel_to(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_address, options=APART) as channel:
        yield channel


@contextmanager
def stub_of(server: Server) -> Iterator[Any]:
    """Methods to call, on a connection of their own."""
    with channel_to(server) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def health_of(channel: grpc.Channel) -> Any:
    """Methods of the standard health service."""
    return health_pb2_grpc.HealthStub(channel)


def request(inputs: Sequence[dict[str, Any]], raw: Sequence[bytes] = (), **members: Any) -> Any:
    """A request to the model `m`."""
    return service_pb2.ModelInferRequest(
        **{"model_name": "m", "inputs": inputs, "raw_input_contents": raw, **members}
    )


def rows(first: int, last: int, **members: Any) -> Any:
    """A request for some rows of the breast cancer data."""
    data = onnx_models.cancer_rows()[0][first:last]
    tensor = {"name": "X", "datatype": "FP32", "shape": data.shape}
    return request([tensor], [data.tobytes()], **members)


def labour(rounds: int) -> Any:
    """A request to the model that works as long as it is told."""
    contents = {"int64_contents": [rounds]}
    return request([{"name": "rounds", "datatype": "INT64", "shape": [1], "contents": contents}])


def probabilities(response: Any) -> Array:
    """The second output of the forest, which came raw."""
    assert response.outputs[1].name == "probabilities"
    raw = response.raw_output_contents[1]
    return np.frombuffer(raw, np.float32).reshape(response.outputs[1].shape)

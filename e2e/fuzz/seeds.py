"""Valid requests to begin with, and the words that requests are made of."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from driftline_serving.server import tensor_binary
from driftline_serving.server.grpc.open_inference_pb2 import ModelInferRequest
from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec
from e2e.fuzz.oracles import MODELS

WORDS = (
    "inputs", "outputs", "name", "datatype", "shape", "data", "parameters", "id", "binary_data",
    "binary_data_size", "binary_data_output", "classification", "shared_memory_region", "null",
    "true", "false", "NaN", "Infinity", "-Infinity", "1e400", "1e39", "65520", "-0", "-0.0",
    "9223372036854775808", "18446744073709551616", "1099511627777", "\\ud800", "\\u0000",
    "a", "b", "x", *(datatype.value for datatype in Datatype),
)  # fmt: skip
HTTP_WORDS = (
    "GET ", "POST ", "HEAD ", "PUT ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "/v2/models/m/infer",
    "/v2/health/live", "/v2/health/ready", "/v2/models/m/versions/1/infer", "/v2", "host: m\r\n",
    "content-length: ", "transfer-encoding: chunked\r\n", "connection: close\r\n",
    "connection: keep-alive\r\n", "connection: Upgrade\r\nupgrade: h2c\r\n",
    "expect: 100-continue\r\n", "content-encoding: gzip\r\n", "content-encoding: deflate\r\n",
    "inference-header-content-length: ", "0\r\n\r\n", "\r\n\r\n", "\r\n", "http://m:80",
)  # fmt: skip


def values(spec: TensorSpec, rows: int = 2) -> Array:
    """Return an array for an input."""
    shape = [rows if axis < 0 else axis for axis in spec.shape]
    if spec.datatype is Datatype.BYTES:
        return np.full(shape, "ü", object)
    return np.ones(shape, spec.datatype.dtype)


def json_bodies(model: Signature) -> Iterator[bytes]:
    """Yield requests in JSON: flat, nested, empty, and with all that may be said."""
    for rows in (0, 1, 2):
        for nested in (True, False):
            arrays = {spec.name: values(spec, rows) for spec in model.inputs}
            inputs = [
                {**_outline(spec, arrays[spec.name]), "data": _listed(arrays[spec.name], nested)}
                for spec in model.inputs
            ]
            yield _dumped({"inputs": inputs})
            outputs = [{"name": spec.name, "parameters": {"binary_data": nested}}
                       for spec in model.outputs]  # fmt: skip
            yield _dumped({
                "id": "7", "parameters": {"binary_data_output": nested}, "inputs": inputs,
                "outputs": outputs,
            })  # fmt: skip


def binary_bodies(model: Signature) -> Iterator[tuple[bytes, bytes]]:
    """Yield requests with raw tensors: the JSON, and what comes after it."""
    for rows in (0, 1, 2):
        arrays = {spec.name: values(spec, rows) for spec in model.inputs}
        tails = {name: tensor_binary.from_array(array) for name, array in arrays.items()}
        inputs = [
            {
                **_outline(spec, arrays[spec.name]),
                "parameters": {"binary_data_size": len(tails[spec.name])},
            }
            for spec in model.inputs
        ]
        yield _dumped({"inputs": inputs}), b"".join(tails.values())


def messages(model: Signature) -> Iterator[bytes]:
    """Yield requests of gRPC, raw and typed."""
    for rows in (0, 1, 2):
        arrays = {spec.name: values(spec, rows) for spec in model.inputs}
        outlines = [_outline(spec, arrays[spec.name]) for spec in model.inputs]
        raw = [tensor_binary.from_array(array) for array in arrays.values()]
        named = [{"name": spec.name} for spec in model.outputs]
        yield ModelInferRequest(
            model_name="m", inputs=outlines, raw_input_contents=raw
        ).SerializeToString()
        for field in ("fp32", "fp64", "int", "int64", "uint", "uint64", "bool", "bytes"):
            content: Any = [b"a" if field == "bytes" else 1] * rows
            inputs = [{**each, "contents": {f"{field}_contents": content}} for each in outlines]
            yield ModelInferRequest(id="7", inputs=inputs, outputs=named).SerializeToString()


def streams() -> Iterator[bytes]:
    """Yield what clients send over HTTP."""
    live = b"GET /v2/health/live HTTP/1.1\r\nhost: m\r\n\r\n"
    post = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: m\r\n"
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    body = _dumped({"inputs": [tensor]})
    raw = {**tensor, "parameters": {"binary_data_size": 8}}
    del raw["data"]
    header = _dumped({"inputs": [raw]})
    sized = b"content-length: %d\r\n"
    yield live
    yield live * 7
    yield live.replace(b"GET", b"HEAD") + live
    yield live[:-2] + b"connection: Upgrade\r\nupgrade: h2c\r\n\r\n" + live
    yield live.replace(b"1.1", b"1.0") + live
    yield b"GET /v2/models/m HTTP/1.1\r\n\r\nGET /v2/models/m/versions/2/ready HTTP/1.1\r\n\r\n"
    for coding, packed in ((b"identity", body), (b"deflate", zlib.compress(body))):
        yield (
            post + b"content-encoding: " + coding + b"\r\n" + sized % len(packed) + b"\r\n" + packed
        ) * 6
    chunked = b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    yield (post + chunked) * 2
    yield post + b"expect: 100-continue\r\n" + sized % len(body) + b"\r\n" + body + live
    length = b"inference-header-content-length: %d\r\n" % len(header)
    yield post + length + sized % (len(header) + 8) + b"\r\n" + header + bytes(8) + live


def corpus() -> dict[str, list[bytes]]:
    """Return what each target begins with, in the form that its oracle takes."""
    found: dict[str, list[bytes]] = {"http": [bytes([n]) + s for s in streams() for n in (0, 3)]}
    numbered = [(bytes([number]), model) for number, model in enumerate(MODELS)]
    found["json"] = [mark + body for mark, model in numbered for body in json_bodies(model)]
    found["grpc"] = [mark + data for mark, model in numbered for data in messages(model)]
    found["binary"] = [
        mark + len(header).to_bytes(2, "big") + header + tail
        for mark, model in numbered
        for header, tail in binary_bodies(model)
    ]
    return found


def _outline(spec: TensorSpec, array: Array) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(array.shape)}


def _listed(array: Array, nested: bool) -> object:
    return array.tolist() if nested and array.ndim else array.reshape(-1).tolist()


def _dumped(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=False).encode()

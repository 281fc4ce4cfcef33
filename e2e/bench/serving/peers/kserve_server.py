"""KServe's Python runtime: ModelServer with a model of its own kind, one worker.

https://kserve.github.io/website/docs/model-serving/predictive-inference/batcher: its batcher is
another process in the pod, and does not speak this protocol; so it computes one by one. What it
logs of each request is switched off, as others log none.
"""

import logging
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from e2e.bench.serving.peers.onnx_model import OnnxModel, told
from e2e.bench.serving.peers.ports import free_port


class Runtime(Model):  # type: ignore[misc]  # it is not installed where types are checked
    """Runs an ONNX model."""

    def __init__(self, path: str) -> None:
        super().__init__("m")
        self._onnx = OnnxModel(path)
        self.ready = True

    async def predict(self, payload: InferRequest, *_headers: Any) -> InferResponse:
        results = self._onnx.run(payload.inputs[0].as_numpy())
        outputs = []
        for name, each in zip(self._onnx.outputs, results, strict=True):
            datatype = "INT64" if each.dtype == np.int64 else "FP32"
            output = InferOutput(name=name, shape=list(each.shape), datatype=datatype)
            output.set_data_from_numpy(each, binary_data=False)
            outputs.append(output)
        return InferResponse(response_id=payload.id or "", model_name="m", infer_outputs=outputs)


def main() -> None:
    """Serve until stopped."""
    asked = told()
    server = ModelServer(
        http_port=asked.port, grpc_port=free_port(), workers=1, enable_latency_logging=False
    )
    for name in ("kserve.trace", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    server.start([Runtime(asked.path)])


if __name__ == "__main__":
    main()

"""MLServer with a runtime of its own kind, and adaptive batching.

https://docs.seldon.ai/mlserver/user-guide/adaptive-batching says to find the limits by trying;
https://docs.seldon.ai/mlserver/user-guide/parallel-inference, that a pool of processes is for more
cores than one.
"""

import uvloop
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

from e2e.bench.serving.peers.onnx_model import OnnxModel, Told, told
from e2e.bench.serving.peers.ports import free_port

MOST_ROWS = 32
WAIT_SECONDS = 0.001


class Runtime(MLModel):  # type: ignore[misc]  # it is not installed where types are checked
    """Runs an ONNX model."""

    async def load(self) -> bool:
        self._onnx = OnnxModel(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        results = self._onnx.run(NumpyCodec.decode_input(payload.inputs[0]))
        outputs = [
            NumpyCodec.encode_output(name, each)
            for name, each in zip(self._onnx.outputs, results, strict=True)
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)


async def _serve(asked: Told) -> None:
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=asked.port,
        grpc_port=free_port(),
        metrics_port=free_port(),
        parallel_workers=0,
    )
    model = ModelSettings(
        name="m",
        implementation=Runtime,
        parameters=ModelParameters(uri=asked.path),
        max_batch_size=MOST_ROWS,
        max_batch_time=WAIT_SECONDS,
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    uvloop.run(_serve(told()))

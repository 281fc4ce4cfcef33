"""What the peers have in common: ONNX Runtime on one thread, and tensors in JSON."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a peer is told on its command line: `MODEL.onnx PORT`, and `binary` for raw rows."""

    path: str
    port: int
    binary: bool


def told() -> Told:
    """Read the command line, and leave none of it to the peer's own reader."""
    _, path, port, wire = sys.argv
    del sys.argv[1:]
    return Told(path=path, port=int(port), binary=wire == "binary")


class OnnxModel:
    """A model of one input, `X`."""

    def __init__(self, path: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.outputs = [each.name for each in self._session.get_outputs()]
        self._shape = (-1, *self._session.get_inputs()[0].shape[1:])

    def run(self, rows: Array) -> list[Array]:
        """Return all outputs."""
        return [np.asarray(each) for each in self._session.run(self.outputs, {"X": rows})]

    def read(self, body: bytes, *, binary: bool) -> Array:
        """Return the rows of a request: raw float32, or JSON of the Open Inference Protocol."""
        if binary:
            return np.frombuffer(body, dtype=np.float32).reshape(self._shape)
        (tensor,) = orjson.loads(body)["inputs"]
        return np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])

    def write(self, results: Sequence[Array]) -> bytes:
        """Return the response."""
        outputs = [
            {"name": name, "shape": list(each.shape), "data": each.ravel()}
            for name, each in zip(self.outputs, results, strict=True)
        ]
        return orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)

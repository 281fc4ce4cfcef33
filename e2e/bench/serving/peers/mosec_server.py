"""mosec: its server in Rust joins calls and hands them to one Python process.

https://mosecorg.github.io/mosec/: `max_wait_time` should be less than a batch takes, so it is the
least that can be said, 1 ms; orjson and raw bytes stand in for its JSON, as it advises.
"""

import os
from collections.abc import Sequence

import numpy as np
from mosec import Server, Worker

from e2e.bench.serving.peers.onnx_model import Array, OnnxModel, told

MOST_ROWS = 32
WAIT_MS = 1
#: By default 3 s, which 64 large requests in JSON may take longer than.
TIMEOUT_SECONDS = 60
BODY_BYTES = 64 * 1024 * 1024
PATH, WIRE = "BENCH_MODEL", "BENCH_WIRE"


class Infer(Worker):  # type: ignore[misc]  # it is not installed where types are checked
    """The only stage."""

    def __init__(self) -> None:
        super().__init__()
        self._model = OnnxModel(os.environ[PATH])
        self._binary = os.environ[WIRE] == "binary"

    def deserialize(self, data: bytes) -> Array:
        return self._model.read(data, binary=self._binary)

    def forward(self, data: Sequence[Array]) -> list[list[Array]]:
        results = self._model.run(np.concatenate(data))
        return [[each[row : row + 1] for each in results] for row in range(len(data))]

    def serialize(self, data: Sequence[Array]) -> bytes:
        return self._model.write(data)


def main() -> None:
    """Serve until stopped."""
    asked = told()
    os.environ.update(
        MOSEC_ADDRESS="127.0.0.1", MOSEC_PORT=str(asked.port), MOSEC_LOG_LEVEL="warning"
    )
    os.environ["MOSEC_MAX_REQUEST_SIZE"] = str(BODY_BYTES)
    os.environ["MOSEC_TIMEOUT"] = str(TIMEOUT_SECONDS * 1000)
    server = Server()
    server.append_worker(
        Infer,
        max_batch_size=MOST_ROWS,
        max_wait_time=WAIT_MS,
        env=[{PATH: asked.path, WIRE: "binary" if asked.binary else "json"}],
        route="/v2/models/m/infer",
    )
    server.run()


if __name__ == "__main__":
    main()

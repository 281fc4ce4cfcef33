"""What the model server does, whatever carries the requests to it."""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from driftline_serving.errors import RequestError, UnavailableError
from driftline_serving.server.bounded import BoundedExecutor
from driftline_serving.server.codec import Body, decode_request, encode_response
from driftline_serving.server.engine import Engine
from driftline_serving.server.prediction_id import RANDOM_BITS, pod_hash, prediction_id
from driftline_serving.server.tensors import TensorSpec

SERVER_NAME = "driftline"
SERVER_VERSION = "0.1.0"
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "onnxruntime_onnx"
#: The version of a model that no revision names: what runs outside a cluster.
UNNAMED_VERSION = "1"

log = logging.getLogger(__name__)


class Phase(Enum):
    """Where in its life the server is. It answers inference calls in the last two."""

    LOADING = auto()
    READY = auto()
    DRAINING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which model this is; revision and digest are empty outside a cluster."""

    model: str
    revision: str = ""
    digest: str = ""
    pod_ip: str = "127.0.0.1"

    @property
    def version(self) -> str:
        """The model's version in the protocol's sense."""
        return self.revision or UNNAMED_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """A finished inference call."""

    body: Body
    prediction_id: str


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


class InferenceService:
    """One model behind the Open Inference Protocol; the transports call it.

    Args:
        identity: Which model.
        executor: Where decoding, inference and encoding run. All three, because a large body of
            JSON would hold up the event loop, and with it the health endpoints.
        now_ms: The clock, Unix milliseconds.
    """

    def __init__(
        self,
        identity: Identity,
        executor: BoundedExecutor,
        now_ms: Callable[[], int] = _unix_ms,
    ) -> None:
        self.identity = identity
        self.phase = Phase.LOADING
        self._executor = executor
        self._now_ms = now_ms
        self._pod = pod_hash(identity.pod_ip)
        self._engine: Engine | None = None

    def serve(self, engine: Engine) -> None:
        """Answer with this model, which has been warmed up."""
        self._engine = engine
        self.phase = Phase.READY

    def drain(self) -> None:
        """Be not ready from now on, and answer all the same."""
        self.phase = Phase.DRAINING

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.phase is Phase.READY

    def server_metadata(self) -> dict[str, object]:
        """What `GET /v2` says."""
        return {"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": list(EXTENSIONS)}

    def model_metadata(self, model: str, version: str | None) -> dict[str, object]:
        """What `GET /v2/models/<model>` says.

        Raises:
            RequestError: it is another model or version, or still loading.
        """
        signature = self._find(model, version).signature
        return {
            "name": self.identity.model,
            "versions": [self.identity.version],
            "platform": PLATFORM,
            "inputs": [_describe(spec) for spec in signature.inputs],
            "outputs": [_describe(spec) for spec in signature.outputs],
        }

    def check_model(self, model: str, version: str | None) -> None:
        """Check that a request is for this model.

        Raises:
            RequestError: it is not.
        """
        if model != self.identity.model:
            raise RequestError(
                f"unknown model {model!r}; this server has {self.identity.model!r}", status=404
            )
        if version is not None and version != self.identity.version:
            raise RequestError(
                f"unknown version {version!r} of {model!r}; this server has "
                f"{self.identity.version!r}",
                status=404,
            )

    async def infer(self, model: str, version: str | None, body: Body) -> Inferred:
        """Answer one inference call.

        Raises:
            RequestError: the client's mistake.
            UnavailableError: no room, or no model yet.
            InferenceError: the model failed.
        """
        engine = self._find(model, version)
        answer = await self._executor.run(lambda: self._answer(engine, body))
        identifier = prediction_id(self._now_ms(), secrets.randbits(RANDOM_BITS), self._pod)
        return Inferred(body=answer, prediction_id=identifier)

    def _find(self, model: str, version: str | None) -> Engine:
        self.check_model(model, version)
        if self._engine is None:
            raise UnavailableError("the model is still loading")
        return self._engine

    def _answer(self, engine: Engine, body: Body) -> Body:
        request = decode_request(body, engine.signature)
        results = engine.run(request.inputs, [wanted.name for wanted in request.outputs])
        about = {"model_name": self.identity.model, "model_version": self.identity.version}
        return encode_response(request, results, about, engine.signature)


def _describe(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(spec.shape)}

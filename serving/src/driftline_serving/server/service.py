"""What the model server does, whatever carries the requests to it."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeVar

from driftline_serving.errors import InferenceError, RequestError, ServingError, UnavailableError
from driftline_serving.server.batcher import Batcher, Call, Results, rows_of
from driftline_serving.server.codec import (
    MOST_JSON_BYTES,
    Body,
    InferRequest,
    decode_request,
    encode_response,
)
from driftline_serving.server.engine import Engine
from driftline_serving.server.prediction_id import RANDOM_BITS, pod_hash, prediction_id
from driftline_serving.server.tensors import Array, TensorSpec
from driftline_serving.server.trial import Trial

SERVER_NAME = "driftline"
SERVER_VERSION = "0.1.0"
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "onnxruntime_onnx"
#: The version of a model that no revision names: what runs outside a cluster.
UNNAMED_VERSION = "1"

#: Bytes of a body, and of results, above which they are read and written on a thread: a few
#: milliseconds of JSON would hold up everybody else who is connected.
LARGE: Final = 64 * 1024

log = logging.getLogger(__name__)

T = TypeVar("T")


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


Done = Callable[[Inferred | ServingError], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the server takes on.

    Attributes:
        runs: of the model, at a time.
        waiting: further requests that may wait; more are refused at once.
        seconds: for which a request is worth an answer.
        json_bytes: of a body, beside tensors that are sent as binary data.
    """

    runs: int = 1
    waiting: int = 256
    seconds: float = 60.0
    json_bytes: int = MOST_JSON_BYTES


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


class InferenceService:
    """One model behind the Open Inference Protocol; the transports call it, from one event loop.

    Args:
        identity: Which model.
        bounds: What is taken on.
        now_ms: The clock, Unix milliseconds.
    """

    def __init__(
        self, identity: Identity, bounds: Bounds, now_ms: Callable[[], int] = _unix_ms
    ) -> None:
        self.identity = identity
        self.phase = Phase.LOADING
        self._bounds = bounds
        self._now_ms = now_ms
        self._pod = pod_hash(identity.pod_ip)
        self._about = {"model_name": identity.model, "model_version": identity.version}
        self._coding = ThreadPoolExecutor(1, thread_name_prefix="coding")
        self._engine: Engine | None = None
        self._batcher: Batcher | None = None
        self._inside = 0

    def serve(self, engine: Engine, trial: Trial) -> None:
        """Answer with this model, which has been warmed up and tried."""
        bounds = self._bounds
        self._engine = engine
        self._batcher = Batcher(engine, trial, runs=bounds.runs)
        self.phase = Phase.READY

    def close(self) -> None:
        """Compute no more."""
        self._coding.shutdown(wait=False, cancel_futures=True)
        if self._batcher:
            self._batcher.close()

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

    def infer(self, model: str, version: str | None, body: Body, done: Done) -> Callable[[], None]:
        """Begin an inference call; `done` gets the answer, or why there is none.

        Returns:
            What is called when nobody waits any more.

        Raises:
            RequestError: the client's mistake.
            UnavailableError: no room, or no model yet.
        """
        engine, batcher = self._find(model, version), self._batcher
        if batcher is None:
            raise UnavailableError("the model is still loading")
        self._check_room(batcher)
        expires = asyncio.get_running_loop().time() + self._bounds.seconds
        pending = _Pending(
            service=self,
            batcher=batcher,
            engine=engine,
            body=body,
            done=done,
            expires=expires,
            json_bytes=self._bounds.json_bytes,
        )
        if len(body.content) > LARGE or body.unpack:
            self.on_thread(pending.decode, pending.decoded)
        else:
            pending.decoded(pending.decode())
        self._inside += 1
        return pending.abandon

    def leave(self) -> None:
        """A request is over, however it ended."""
        self._inside -= 1

    def _check_room(self, batcher: Batcher) -> None:
        room = self._bounds.runs + self._bounds.waiting
        if self._inside >= room:
            batcher.drop_dead()
        if self._inside >= room:
            raise UnavailableError(
                f"{self._inside} requests are running or waiting, which is the limit"
            )

    def on_thread(self, work: Callable[[], T], then: Callable[[T | ServingError], None]) -> None:
        """Do something on a thread of its own, and hand on what came of it."""

        def finished(future: "asyncio.Future[T]") -> None:
            if not future.cancelled():
                result = _attempt(future.result)
                then(result)

        future = asyncio.get_running_loop().run_in_executor(self._coding, work)
        future.add_done_callback(finished)

    def inferred(self, engine: Engine, request: InferRequest, results: list[Array]) -> Inferred:
        """Return the answer to a request; may be called on any thread."""
        body = encode_response(request, results, self._about, engine.signature)
        identifier = prediction_id(self._now_ms(), secrets.randbits(RANDOM_BITS), self._pod)
        return Inferred(body=body, prediction_id=identifier)

    def _find(self, model: str, version: str | None) -> Engine:
        self.check_model(model, version)
        if self._engine is None:
            raise UnavailableError("the model is still loading")
        return self._engine


@dataclass(slots=True, kw_only=True, eq=False)
class _Pending:
    """One inference call on its way from a body to a body. It counts until `_finish`."""

    service: InferenceService
    batcher: Batcher
    engine: Engine
    body: Body
    done: Done
    expires: float
    json_bytes: int
    request: InferRequest | None = None
    call: Call | None = None
    abandoned: bool = False

    def abandon(self) -> None:
        """Nobody waits any more."""
        self.abandoned = True
        if self.call:
            self.call.abandoned = True

    def decode(self) -> InferRequest:
        """Read the request; on whatever thread.

        Raises:
            RequestError: it is not a request that this model can be asked.
            UnavailableError: nobody waits for the answer any more.
        """
        if self.abandoned:
            raise UnavailableError("the client has gone")
        return decode_request(self.body, self.engine.signature, self.json_bytes)

    def decoded(self, request: InferRequest | ServingError) -> None:
        """Go on to the model."""
        if isinstance(request, ServingError):
            self._finish(request)
            return
        self.request = request
        self.body = Body(content=b"")
        self.call = Call(
            inputs=request.inputs,
            outputs=tuple(wanted.name for wanted in request.outputs),
            rows=rows_of(request.inputs),
            size=sum(array.size for array in request.inputs.values()),
            deliver=self._computed,
            expires=self.expires,
            abandoned=self.abandoned,
        )
        self.batcher.submit(self.call)

    def _computed(self, results: Results) -> None:
        if isinstance(results, ServingError) or self.abandoned:
            self._finish(results if isinstance(results, ServingError) else _GONE)
        elif sum(map(_weight, results)) > LARGE:
            self.service.on_thread(lambda: self._encode(results), self._finish)
        else:
            self._finish(_attempt(lambda: self._encode(results)))

    def _encode(self, results: list[Array]) -> Inferred:
        assert self.request is not None
        return self.service.inferred(self.engine, self.request, results)

    def _finish(self, result: Inferred | ServingError) -> None:
        self.service.leave()
        if not self.abandoned:
            self.done(result)


_GONE: Final = UnavailableError("the client has gone")
#: Bytes that a string is taken to have, whose array only counts pointers.
_STRING_BYTES: Final = 64


def _weight(array: Array) -> int:
    return int(array.size * _STRING_BYTES if array.dtype == object else array.nbytes)


def _attempt(work: Callable[[], T]) -> T | ServingError:
    try:
        return work()
    except ServingError as error:
        return error
    except Exception as error:
        log.exception("a bug in Driftline")
        return InferenceError(f"internal error: {type(error).__name__}")


def _describe(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(spec.shape)}

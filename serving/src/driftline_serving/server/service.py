"""What the model server does, whatever carries the requests to it."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from driftline_api.names import DIGEST_HEADER, REVISION_HEADER
from driftline_serving.errors import InferenceError, RequestError, ServingError, UnavailableError
from driftline_serving.server.batcher import Batcher, Results, rows_of
from driftline_serving.server.engine import Engine
from driftline_serving.server.keyring import Keyring
from driftline_serving.server.observation import Finished, Observer
from driftline_serving.server.prediction_id import PredictionIds, pod_hash
from driftline_serving.server.predictions import Predictions
from driftline_serving.server.provenance import Provenance
from driftline_serving.server.request import LARGE, MOST_JSON_BYTES, InferRequest, Question
from driftline_serving.server.tensors import Array, Signature, TensorSpec
from driftline_serving.server.trial import Trial

if TYPE_CHECKING:  # pydantic is imported only for a model that has a signature
    from driftline_api.signature import ModelSignature

SERVER_NAME = "driftline"
SERVER_VERSION = "0.1.0"
EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "onnxruntime_onnx"
#: The version of a model that no revision names: what runs outside a cluster.
UNNAMED_VERSION = "1"

log = logging.getLogger(__name__)

T = TypeVar("T")
AnswerT = TypeVar("AnswerT")


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

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers that tell who answered."""
        known = {REVISION_HEADER: self.revision, DIGEST_HEADER: self.digest}
        return {name: value for name, value in known.items() if value}


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


class InferenceService:
    """One model behind the Open Inference Protocol; the transports call it, from one event loop.

    Args:
        identity: Which model.
        bounds: What is taken on.
        keyring: Signs receipts; by default there are none.
        now: The clock, Unix nanoseconds.
        is_whole: Whether all of the server is ready, where this is a part of it.
    """

    def __init__(
        self,
        identity: Identity,
        bounds: Bounds,
        keyring: Keyring | None = None,
        now: Callable[[], int] = time.time_ns,
        is_whole: Callable[[], bool] | None = None,
    ) -> None:
        self.identity = identity
        self.phase = Phase.LOADING
        self.bounds = bounds
        self.observers: list[Observer] = []
        self.provenance = Provenance(identity.headers, keyring or Keyring(None, ""))
        #: Is told, with protocol and status, of requests that never become inference calls.
        self.refused: Callable[[str, int], None] = lambda _protocol, _status: None
        self.about: Mapping[str, str] = {
            "model_name": identity.model,
            "model_version": identity.version,
        }
        self.now = now
        self._is_whole = is_whole or (lambda: self.phase is Phase.READY)
        self._ids = PredictionIds(pod_hash(identity.pod_ip))
        self._coding = ThreadPoolExecutor(1, thread_name_prefix="coding")
        self._parameters: Mapping[str, object] = {}
        self._engine: Engine | None = None
        self._batcher: Batcher | None = None
        self._inside = 0
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever the phase, or `is_ready`, has changed."""
        self._watchers.append(changed)

    def tell(self) -> None:
        """Let those who watch look again."""
        for changed in self._watchers:
            changed()

    def serve(
        self, engine: Engine, trial: Trial, signature: "ModelSignature | None" = None
    ) -> None:
        """Answer with this model, which has been warmed up and tried."""
        self._parameters = _parameters(trial, signature)
        if signature and signature.prediction:
            self.provenance.predictions = Predictions(signature.prediction)
        bounds = self.bounds
        self._engine = engine
        self._batcher = Batcher(engine, trial, runs=bounds.runs, observers=self.observers)
        self._enter(Phase.READY)

    def close(self) -> None:
        """Compute no more."""
        self._coding.shutdown(wait=False, cancel_futures=True)
        if self._batcher:
            self._batcher.close()

    def drain(self) -> None:
        """Be not ready from now on, and answer all the same."""
        self._enter(Phase.DRAINING)

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        return self._is_whole()

    @property
    def holds(self) -> tuple[int, int]:
        """Requests inside, and how many of these wait for a run."""
        return self._inside, self._batcher.waiting if self._batcher else 0

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
            "parameters": self._parameters,
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

    def infer(
        self, model: str, version: str | None, question: Question[AnswerT]
    ) -> Callable[[], None]:
        """Begin an inference call; `question.deliver` gets the answer, or why there is none.

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
        received = self.now()
        pending = _Pending(self, batcher, engine.signature, question)
        pending.received, pending.prediction_id = received, self._ids(received // 1_000_000)
        self._inside += 1
        if question.is_large:
            self.on_thread(pending.decode, pending.decoded)
        else:
            pending.decoded(_attempt(pending.decode))
        return pending.abandon

    def leave(self, call: Finished) -> None:
        """A request is over, however it ended."""
        self._inside -= 1
        for observer in self.observers:
            observer.finished(call)

    def _check_room(self, batcher: Batcher) -> None:
        room = self.bounds.runs + self.bounds.waiting
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

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.tell()

    def _find(self, model: str, version: str | None) -> Engine:
        self.check_model(model, version)
        if self._engine is None:
            raise UnavailableError("the model is still loading")
        return self._engine


class _Pending(Finished, Generic[AnswerT]):
    """One inference call on its way from a question to an answer. It counts until `_finish`."""

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    rows: int
    size: int
    abandoned = False

    def __init__(
        self,
        service: InferenceService,
        batcher: Batcher,
        signature: Signature,
        question: Question[AnswerT],
    ) -> None:
        # All that a record of a call has: compiled, a default of a dataclass is there only if its
        # own __init__ has set it.
        self.protocol = question.protocol
        self.headers = question.headers
        self.request = None
        self.results = ()
        self.status = 0
        self.seconds = 0.0
        self._service = service
        self._batcher = batcher
        self._signature = signature
        self._question = question
        self._began = batcher.time()
        self.expires = self._began + service.bounds.seconds

    def abandon(self) -> None:
        """Nobody waits any more."""
        self.abandoned = True

    def decode(self) -> InferRequest:
        """Read the request; on whatever thread.

        Raises:
            RequestError: it is not a request that this model can be asked.
            UnavailableError: nobody waits for the answer any more.
        """
        if self.abandoned:
            raise UnavailableError("the client has gone")
        return self._question.read(self._signature)

    def decoded(self, request: InferRequest | ServingError) -> None:
        """Go on to the model."""
        if isinstance(request, ServingError):
            self._finish(request)
            return
        self.request = request
        self.inputs = inputs = request.inputs
        self.outputs = self._signature.names_of(request.outputs)
        self.rows = rows_of(inputs)
        self.size = sum([array.size for array in inputs.values()])
        self._batcher.submit(self)

    def deliver(self, results: Results) -> None:
        """See `batcher.Call`."""
        if isinstance(results, ServingError):
            self._finish(results)
        elif self.abandoned:
            self._finish(UnavailableError("the client has gone"))
        else:
            self.results = results
            if sum([_weight(array) for array in results]) > LARGE:
                self._service.on_thread(self._answer, self._finish)
            else:
                self._finish(_attempt(self._answer))

    def _answer(self) -> AnswerT:
        return self._question.answer(self, self._signature)

    def _finish(self, result: AnswerT | ServingError) -> None:
        if self.abandoned:
            self.status = _NOBODY_WAITED
        else:
            self.status = result.status if isinstance(result, ServingError) else _OK
            self._question.deliver(result)
        # The loop's clock stands still for a whole turn.
        self.seconds = max(0.0, (self._service.now() - self.received) / 1e9)
        self._service.leave(self)


_OK: Final = 200
_NOBODY_WAITED: Final = 499
#: How much more a string takes than the pointer to it, which is all that an array counts.
_STRING: Final = 8


def _weight(array: Array) -> int:
    return array.nbytes * _STRING if array.dtype.hasobject else array.nbytes


def _attempt(work: Callable[[], T]) -> T | ServingError:
    try:
        return work()
    except ServingError as error:
        return error.with_traceback(None)  # whose frames hold the call, and the call may hold it
    except Exception as error:
        log.exception("a bug in Driftline")
        return InferenceError(f"internal error: {type(error).__name__}")


def _describe(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(spec.shape)}


def _parameters(trial: Trial, signature: "ModelSignature | None") -> Mapping[str, object]:
    """Return what of the metadata is ours and not the protocol's."""
    batching = {"joined": trial.joins, "reason": trial.reason}
    if signature is None:
        return {"batching": batching}
    said = signature.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"batching": batching, "signature": said}

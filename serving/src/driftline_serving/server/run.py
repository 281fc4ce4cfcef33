"""One worker's life: listen, load, be ready, drain, leave."""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from driftline_serving.server import engine
from driftline_serving.server.board import Board, Desk, State
from driftline_serving.server.engine import OnnxEngine
from driftline_serving.server.grpc.settings import GrpcSettings
from driftline_serving.server.heartbeat import beating
from driftline_serving.server.http.routes import Routes
from driftline_serving.server.http.transport import HttpSettings, HttpTransport
from driftline_serving.server.keyring import Keyring
from driftline_serving.server.measures import Measures
from driftline_serving.server.service import Bounds, Identity, InferenceService, Phase
from driftline_serving.server.signature import load_signature
from driftline_serving.server.stopping import stop_signal
from driftline_serving.server.trial import Trial, try_out
from driftline_serving.tap.observer import Tap
from driftline_serving.tap.writer import TapSettings

if TYPE_CHECKING:  # pydantic is imported only for a model that has a signature
    from driftline_api.signature import ModelSignature

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What the command line says."""

    identity: Identity
    model_dir: Path
    bounds: Bounds
    #: What the Model's spec says that the numbers mean, as JSON; empty if it says nothing.
    signature: str = ""
    #: Where the keys of receipts lie; None: no receipts.
    keys: Path | None = None
    #: That one run of the model uses.
    threads: int = 1
    #: How long new requests are still taken after SIGTERM, for those who have not heard yet.
    drain_seconds: float = 3.0
    http: HttpSettings = field(default_factory=HttpSettings)
    #: None: no gRPC.
    grpc: GrpcSettings | None = field(default_factory=GrpcSettings)
    #: The Unix socket of who is told every call; None: nobody.
    tap: Path | None = None
    #: Is told, once the server is ready, what it knows of its model.
    greet: Callable[[Mapping[str, object]], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a worker stands among the others.

    Attributes:
        late: the others answer already, so nobody may be sent here before the model is there.
    """

    board: Board
    desk: Desk
    late: bool


class Transport(Protocol):
    """Brings requests to the service."""

    async def start(self) -> int:
        """Listen; returns the port."""

    async def stop(self) -> None:
        """Listen no more, and let requests in flight finish."""


async def serve(settings: ServeSettings, place: Place) -> None:
    """Serve until SIGTERM.

    The first workers listen before the model is loaded, so that clients are told what goes on.

    Raises:
        ArtifactError: the model cannot be served.
    """
    stop = stop_signal()
    keyring = Keyring(settings.keys, settings.identity.revision)
    keyring.refresh()
    watching = asyncio.create_task(keyring.watch())
    service = InferenceService(
        settings.identity, settings.bounds, keyring, is_whole=lambda: place.board.is_ready
    )
    measures = Measures(place.desk.counters)
    service.observers.append(measures)
    service.refused = measures.refused
    transports = _transports(service, settings)
    tap = _tap(service, settings.tap)
    async with beating(service, place.desk, measures, lambda: _dropped(tap)):
        try:
            if not place.late:
                await _listen(transports, place.desk)
            if await _load(service, settings, stop, measures):
                if place.late:
                    await _listen(transports, place.desk)
                place.desk.state = State.READY
                _greet_once_ready(service, settings)
                await stop.wait()
                place.desk.state = State.LEAVING
                await _drain(service, settings)
        finally:
            service.drain()
            watching.cancel()
            await asyncio.gather(*(transport.stop() for transport in transports))
            service.close()
            if tap:
                await tap.close()


async def _listen(transports: Sequence[Transport], desk: Desk) -> None:
    for transport in transports:
        await transport.start()
    desk.state = State.LISTENING


def _greet_once_ready(service: InferenceService, settings: ServeSettings) -> None:
    greet, model = settings.greet, service.identity.model

    def greet_once() -> None:
        nonlocal greet
        if service.is_ready and greet:
            told, greet = greet, None
            told(service.model_metadata(model, None))

    service.watch(greet_once)


def _transports(service: InferenceService, settings: ServeSettings) -> Sequence[Transport]:
    routes = Routes(service, settings.http.limits.body_bytes)
    http = HttpTransport(routes, settings.http, lambda: service.phase is Phase.DRAINING)
    if settings.grpc is None:
        return (http,)
    from driftline_serving.server.grpc.transport import (  # noqa: PLC0415 - spares 13 MB without
        GrpcTransport,
    )

    return http, GrpcTransport(service, settings.grpc)


def _tap(service: InferenceService, path: Path | None) -> Tap | None:
    if path is None:
        return None
    identity = service.identity
    about = {"model": identity.model, "revision": identity.revision, "digest": identity.digest}
    tap = Tap(TapSettings(path=path, about=about))
    service.observers.append(tap)
    tap.start()
    return tap


def _dropped(tap: Tap | None) -> int:
    return tap.writer.queue.dropped if tap else 0


async def _load(
    service: InferenceService, settings: ServeSettings, stop: asyncio.Event, measures: Measures
) -> bool:
    """Load the model and serve it; False if SIGTERM came first."""
    began = time.monotonic()
    loading = asyncio.ensure_future(asyncio.to_thread(_loaded, settings))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.cancel():
        # What came of it is of no interest to anybody, and asyncio else tells of it.
        loading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return False
    model, trial, signature = loading.result()
    gc.collect()
    gc.freeze()  # what is here now stays: a collection that walks it all holds up every request
    gc.collect()  # and how much there is to collect is compared with what is here from now on
    gc.set_threshold(50_000)
    measures.loaded(time.monotonic() - began)
    service.serve(model, trial, signature)
    batches = "joined" if trial.joins else "not joined"
    log.info("loaded: %s; requests are %s: %s", service.identity.model, batches, trial.reason)
    return True


def _loaded(settings: ServeSettings) -> tuple[OnnxEngine, Trial, "ModelSignature | None"]:
    """Load the model, warm it up, check its signature against it, and try it out.

    On one thread trees give the same answers in batches of any size, to the last bit, and must.
    """
    model = engine.load(settings.model_dir, settings.threads)
    exact = settings.threads == 1 and engine.is_trees(settings.model_dir)
    signature = load_signature(settings.model_dir, settings.signature, model.signature)
    return model, try_out(model, exact=exact), signature


async def _drain(service: InferenceService, settings: ServeSettings) -> None:
    service.drain()
    await asyncio.sleep(settings.drain_seconds)

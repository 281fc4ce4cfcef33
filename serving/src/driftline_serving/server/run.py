"""The model server's life: listen, load, be ready, drain, leave."""

import asyncio
import gc
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from driftline_serving import termination
from driftline_serving.errors import ArtifactError
from driftline_serving.server import engine
from driftline_serving.server.engine import OnnxEngine
from driftline_serving.server.grpc.settings import GrpcSettings
from driftline_serving.server.http.transport import HttpSettings, HttpTransport
from driftline_serving.server.keyring import Keyring
from driftline_serving.server.service import Bounds, Identity, InferenceService
from driftline_serving.server.signature import load_signature
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
    termination_log: Path = termination.DEFAULT_PATH


class Transport(Protocol):
    """Brings requests to the service."""

    async def start(self) -> int:
        """Listen; returns the port."""

    async def stop(self) -> None:
        """Listen no more, and let requests in flight finish."""


async def serve(settings: ServeSettings) -> int:
    """Serve until SIGTERM; returns the exit code.

    It listens before the model is loaded, so that the liveness probe can tell a slow load from a
    dead process.
    """
    stop = _stop_signal()
    keyring = Keyring(settings.keys, settings.identity.revision)
    keyring.refresh()
    watching = asyncio.create_task(keyring.watch())
    service = InferenceService(settings.identity, settings.bounds, keyring)
    transports = _transports(service, settings)
    tap = _tap(service, settings.tap)
    try:
        ports = [str(await transport.start()) for transport in transports]
        where = " and, for gRPC, ".join(ports)
        log.info("listening on port %s; loading %s", where, settings.model_dir)
        if await _load(service, settings, stop):
            await stop.wait()
            await _drain(service, settings)
    except ArtifactError as error:
        termination.leave_failure(settings.termination_log, error)
        return 1
    finally:
        service.drain()
        watching.cancel()
        await asyncio.gather(*(transport.stop() for transport in transports))
        service.close()
        if tap:
            await tap.close()
    log.info("stopped")
    return 0


def _transports(service: InferenceService, settings: ServeSettings) -> Sequence[Transport]:
    http = HttpTransport(service, settings.http)
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


async def _load(service: InferenceService, settings: ServeSettings, stop: asyncio.Event) -> bool:
    """Load the model and serve it; False if SIGTERM came first."""
    loading = asyncio.ensure_future(asyncio.to_thread(_loaded, settings))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.cancel():
        return False
    model, trial, signature = loading.result()
    gc.collect()
    gc.freeze()  # what is here now stays: a collection that walks it all holds up every request
    service.serve(model, trial, signature)
    batches = "joined" if trial.joins else "not joined"
    log.info("ready: %s; requests are %s: %s", service.identity.model, batches, trial.reason)
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
    log.info("draining: not ready, and taking requests for %g s more", settings.drain_seconds)
    await asyncio.sleep(settings.drain_seconds)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop

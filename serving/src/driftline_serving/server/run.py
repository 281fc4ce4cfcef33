"""The model server's life: listen, load, be ready, drain, leave."""

import asyncio
import logging
import signal
from dataclasses import dataclass, field
from pathlib import Path

from driftline_serving import termination
from driftline_serving.errors import ArtifactError
from driftline_serving.server import engine
from driftline_serving.server.bounded import BoundedExecutor
from driftline_serving.server.http import HttpSettings, HttpTransport
from driftline_serving.server.service import Identity, InferenceService

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What the command line says."""

    identity: Identity
    model_dir: Path
    threads: int
    max_queue: int = 256
    #: How long new requests are still taken after SIGTERM, for those who have not heard yet.
    drain_seconds: float = 3.0
    http: HttpSettings = field(default_factory=HttpSettings)
    termination_log: Path = termination.DEFAULT_PATH


async def serve(settings: ServeSettings) -> int:
    """Serve until SIGTERM; returns the exit code.

    It listens before the model is loaded, so that the liveness probe can tell a slow load from a
    dead process.
    """
    stop = _stop_signal()
    executor = BoundedExecutor(threads=settings.threads, waiting=settings.max_queue)
    service = InferenceService(settings.identity, executor)
    transport = HttpTransport(service, settings.http)
    port = await transport.start()
    log.info("listening on port %d; loading %s", port, settings.model_dir)
    try:
        if await _load(service, settings, stop):
            await stop.wait()
            await _drain(service, settings)
    except ArtifactError as error:
        termination.leave_failure(settings.termination_log, error)
        return 1
    finally:
        await transport.stop()
        executor.close()
    log.info("stopped")
    return 0


async def _load(service: InferenceService, settings: ServeSettings, stop: asyncio.Event) -> bool:
    """Load the model and serve it; False if SIGTERM came first."""
    loading = asyncio.ensure_future(
        asyncio.to_thread(engine.load, settings.model_dir, settings.threads)
    )
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.cancel():
        return False
    service.serve(loading.result())
    log.info("ready: %s with %d threads", service.identity.model, settings.threads)
    return True


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

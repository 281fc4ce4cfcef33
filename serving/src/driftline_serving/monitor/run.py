"""The process: listen, count, and at the end hold what was counted until somebody has it."""

import argparse
import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from driftline_api.names import SIGNATURE_VARIABLE
from driftline_serving.errors import ListenError
from driftline_serving.monitor.app import Keys, application
from driftline_serving.monitor.config import Credentials
from driftline_serving.monitor.exposition import Exposition
from driftline_serving.monitor.feedback.part import FeedbackPart, place_of
from driftline_serving.monitor.model import Model, Place
from driftline_serving.monitor.monitor import Identity, Monitor
from driftline_serving.monitor.sampling import Governor
from driftline_serving.server.keyring import Keyring
from driftline_serving.server.listening import unavailable
from driftline_serving.server.stopping import stop_signal
from driftline_serving.tap.reader import Reader

_LOOPBACK: Final = "127.0.0.1"
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - a pod's monitor listens on the pod's address
#: Between two looks at the socket and at what was spent.
_LOOK_SECONDS: Final = 1.0
_SHUTDOWN_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Watch until told to stop; returns the exit code."""
    try:
        uvloop.run(watch(arguments, environ))
    except ListenError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says all
        return 1
    return 0


async def watch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Watch until SIGTERM.

    Raises:
        ListenError: the port is not to be had.
    """
    stop = stop_signal()
    keyring = Keyring(arguments.keys, "", lack="nobody is answered")
    model = Model(_place(arguments, environ))
    monitor = _monitor(arguments, environ, model, lambda: keyring.keys)
    reader = Reader(arguments.tap, monitor.intake.take)
    registry = CollectorRegistry()
    registry.register(Exposition(monitor, lambda: reader.connections))
    if arguments.keys:
        keyring.refresh()
    app = application(monitor, registry, (lambda: keyring.keys) if arguments.keys else None)
    for part in monitor.parts:
        part.join(app)
    tasks = [model.learn(), _look(reader, monitor, Governor(arguments.cpu_share))]
    tasks += [keyring.watch()] if arguments.keys else []
    async with _served(app, arguments), _running(tasks):
        await stop.wait()
        await _finish(reader, monitor, arguments)
    await monitor.configuring.stop()


def _monitor(
    arguments: argparse.Namespace, environ: Mapping[str, str], model: Model, keys: Keys
) -> Monitor:
    here = place_of(arguments.model_name, arguments.port, environ)
    parts = (FeedbackPart(model.signature, here, keys),)
    credentials = Credentials(model_dir=arguments.model_dir, environ=environ)
    return Monitor(_identity(arguments, environ), model, credentials, parts)


def _identity(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Identity:
    return Identity(
        model=arguments.model_name,
        revision=environ.get("DRIFTLINE_REVISION", ""),
        digest=environ.get("DRIFTLINE_DIGEST", ""),
        pod=environ.get("POD_UID", ""),
    )


def _place(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Place:
    return Place(
        name=arguments.model_name,
        directory=arguments.model_dir,
        signature=environ.get(SIGNATURE_VARIABLE, ""),
        server=arguments.server.rstrip("/"),
    )


@asynccontextmanager
async def _served(app: web.Application, arguments: argparse.Namespace) -> AsyncIterator[None]:
    host = arguments.host or (_ANYWHERE if arguments.keys else _LOOPBACK)
    if not arguments.keys and not _is_loopback(host):
        raise ListenError(f"--host {host} without --keys: anybody could ask; give --keys")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, arguments.port)
        try:
            await site.start()
        except OSError as error:
            raise unavailable(host, arguments.port, "--port", error) from error
        log.info("listening on port %d", runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()


def _is_loopback(host: str) -> bool:
    try:
        return socket.gethostbyname(host).startswith("127.")
    except OSError:
        return False


@asynccontextmanager
async def _running(coroutines: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _look(reader: Reader, monitor: Monitor, governor: Governor) -> None:
    """Keep the socket there, and the rate right, until cancelled."""
    told = ""
    while True:
        try:
            await reader.keep()
            told = ""
        except OSError as error:
            if str(error) != told:
                log.warning("tap: cannot listen (%s); trying again", error)
            told = str(error)
        before, monitor.intake.rate = monitor.intake.rate, governor.look()
        if monitor.intake.rate != before:
            log.info("rows of %g of all inferences are counted", monitor.intake.rate)
        await asyncio.sleep(_LOOK_SECONDS)


async def _finish(reader: Reader, monitor: Monitor, arguments: argparse.Namespace) -> None:
    """Hear servers out, then hold the last summary until somebody has asked for it."""
    log.info("leaving: hearing out %d workers", reader.connections)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(arguments.finish_seconds):
            await reader.deserted()
    await reader.stop()
    monitor.finish()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(arguments.hold_seconds):
            await monitor.told.wait()
    totals = monitor.intake.totals()
    log.info("seen %d, dropped %d, lost %d", totals.seen, totals.dropped, totals.lost)

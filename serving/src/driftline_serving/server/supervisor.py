"""The process that starts the workers, watches them, and speaks for all of them.

It takes no inference calls, and knows neither numpy nor ONNX Runtime nor gRPC: it stays small, and
whatever a model does to a worker leaves it standing.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from driftline_api import RELEASE
from driftline_serving import termination
from driftline_serving.errors import ListenError, WorkerError
from driftline_serving.server.admin import Admin
from driftline_serving.server.board import Board
from driftline_serving.server.cpu import usable_cpus
from driftline_serving.server.crew import Crew
from driftline_serving.server.exposition import Exposition
from driftline_serving.server.http.transport import HttpSettings, HttpTransport
from driftline_serving.server.listening import reserve, unavailable
from driftline_serving.server.measures import PLACES
from driftline_serving.server.memory import usable_memory
from driftline_serving.server.staffing import Staffing, size_of, staffing
from driftline_serving.server.stopping import stop_signal
from driftline_serving.server.task import Task

#: Seconds between two looks at the workers: while something is awaited, and else.
_LOOK: Final = 0.05
_CALM_LOOK: Final = 0.2
#: Seconds beyond what a worker may take to leave, after which it is killed.
_SLACK: Final = 5.0
_ADMIN_CONNECTIONS: Final = 64
#: Seconds that a request for metrics or health may still take when we leave.
_ADMIN_FINISH: Final = 1.0

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until told to stop; returns the exit code.

    Args:
        arguments: What `options` read, and `termination_log`, where to leave why we failed.
        environ: The environment.
    """
    try:
        with contextlib.ExitStack() as held:
            _reserve(arguments, held)
            return asyncio.run(_supervise(arguments, environ))
    except ListenError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says all
        return 1


def _reserve(arguments: argparse.Namespace, held: contextlib.ExitStack) -> None:
    """Hold the workers' ports, and put those that the system has chosen into the arguments."""
    ports = [("port", "--port")] + [("grpc_port", "--grpc-port")] * arguments.grpc
    for name, flag in ports:
        reserved = held.enter_context(reserve(arguments.host, getattr(arguments, name), flag))
        setattr(arguments, name, reserved.getsockname()[1])


async def _supervise(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    stop = stop_signal()
    staff = _staffing(arguments)
    board = Board.create(staff.workers, PLACES)

    def launch(number: int, late: bool) -> int:
        return _launch(
            Task(
                number=number,
                board=board.fd,
                parent=os.getpid(),
                runs=staff.runs,
                late=late,
                arguments=_passed_on(arguments, shows=number == 0 and not late),
            )
        )

    crew = Crew(board, launch)
    admin, where = await _admin(crew, arguments, environ)
    log.info("starting %s: %s", staff.described, staff.reason)
    try:
        code = await _kept(crew, stop, f"{where}; loading {arguments.model_dir}", arguments)
        clean = await _dismissed(crew, arguments)
    finally:
        await admin.stop()
    log.info("stopped")
    return code if clean else code or 1


async def _kept(crew: Crew, stop: asyncio.Event, where: str, arguments: argparse.Namespace) -> int:
    """Keep the workers until told to stop, or until they cannot go on; return the exit code."""
    told = crew.is_listening, crew.is_ready
    while not stop.is_set():
        try:
            crew.look(time.monotonic())
        except WorkerError as error:
            _tell(error, arguments.termination_log)
            return error.code
        if crew.is_listening and not told[0]:
            log.info("listening on %s", where)
        if crew.is_ready != told[1]:
            log.info("ready: %d of %d workers", crew.ready, len(crew.desks))
        told = told[0] or crew.is_listening, crew.is_ready
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _CALM_LOOK if crew.is_whole else _LOOK)
    if crew.is_ready:
        log.info("draining: not ready, and taking requests for %g s more", arguments.drain_seconds)
    return 0


async def _dismissed(crew: Crew, arguments: argparse.Namespace) -> bool:
    """Let all workers finish what they do; whether they did in time and in order."""
    crew.dismiss(signal.SIGTERM)
    seconds = arguments.drain_seconds + arguments.finish_seconds + _SLACK
    last = time.monotonic() + seconds
    codes: list[int] = []
    while not crew.is_empty:
        if time.monotonic() > last:
            log.error("a worker is still there after %g s: killing it", seconds)
            crew.dismiss(signal.SIGKILL)
            last = float("inf")
        await asyncio.sleep(_LOOK)
        codes += [dead.code for dead in crew.reap()]
    return not set(codes) - {0, -signal.SIGTERM}


def _launch(task: Task) -> int:
    """Start a worker in a fresh interpreter.

    It finds our modules where we did, and nothing in the working directory. A signal from a
    terminal is for us alone, so it has a process group of its own.
    """
    module = "driftline_serving.server.worker"
    argv = [sys.executable, "-P", "-m", module, task.told()]
    return os.posix_spawn(sys.executable, argv, os.environ, setpgroup=0)


def _passed_on(arguments: argparse.Namespace, *, shows: bool) -> dict[str, object]:
    """Return what a worker is told of the command line; one of the first shows the example."""
    passed = {name: value for name, value in vars(arguments).items() if name != "command"}
    return passed | {"example": shows and passed.get("example", False)}


def _staffing(arguments: argparse.Namespace) -> Staffing:
    return staffing(
        cpus=arguments.cpus or usable_cpus(),
        threads=arguments.threads,
        memory=usable_memory(),
        artifact=size_of(Path(arguments.model_dir)),
        wanted=arguments.workers or 0,
    )


async def _admin(
    crew: Crew, arguments: argparse.Namespace, environ: Mapping[str, str]
) -> tuple[HttpTransport, str]:
    """Listen for those who ask after all; return also where all listen, in words.

    Raises:
        ListenError: the port is not to be had.
    """
    registry = CollectorRegistry()
    registry.register(Exposition(crew, _about(arguments, environ)))
    host, port = arguments.host, arguments.admin_port
    settings = HttpSettings(
        host=host, port=port, connections=_ADMIN_CONNECTIONS, finish_seconds=_ADMIN_FINISH
    )
    admin = HttpTransport(Admin(crew, registry), settings, lambda: False)
    try:
        port = arguments.admin_port = await admin.start()
    except OSError as error:
        raise unavailable(host, port, "--admin-port", error) from error
    grpc = f" and, for gRPC, {arguments.grpc_port}" if arguments.grpc else ""
    return admin, f"port {arguments.port}{grpc}; metrics on {port}"


def _about(arguments: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    return {
        "model": arguments.model_name,
        "revision": environ.get("DRIFTLINE_REVISION", ""),
        "digest": environ.get("DRIFTLINE_DIGEST", ""),
        "version": RELEASE,
        "onnxruntime": metadata.version("onnxruntime"),
    }


def _tell(error: WorkerError, path: Path | None) -> None:
    """Say what ended us, and leave it where it is looked for."""
    if error.left and path:
        termination.leave(path, json.loads(error.left))
    else:
        log.error("%s", json.loads(error.left)["message"] if error.left else error)

"""`python -m driftline_serving.server.worker TASK`: one worker, started by the supervisor."""

import ctypes
import json
import logging
import os
import signal
import sys
from typing import Final

import uvloop

from driftline_serving import logs, termination
from driftline_serving.errors import ArtifactError
from driftline_serving.server import command
from driftline_serving.server.board import Board, Desk
from driftline_serving.server.measures import PLACES
from driftline_serving.server.run import Place, ServeSettings, serve
from driftline_serving.server.task import Task

#: `linux/prctl.h`.
_PR_SET_PDEATHSIG: Final = 1

log = logging.getLogger(__name__)


def main(told: str) -> None:
    """Work until told to stop, and leave without waiting for threads: nobody is there for them."""
    task = Task.heard(told)
    _leave_with(task.parent)
    arguments = task.namespace
    logs.configure(arguments.log_format, arguments.log_level, task.number)
    board = Board(task.board, PLACES)
    place = Place(board=board, desk=board.desks[task.number], late=task.late)
    settings = command.settings_of(arguments, task.runs, os.environ)
    code = uvloop.run(_exit_code(settings, place))
    logging.shutdown()
    os._exit(code)


async def _exit_code(settings: ServeSettings, place: Place) -> int:
    try:
        await serve(settings, place)
    except ArtifactError as error:
        _give_up(place.desk, error)
        return 1
    except OSError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says all: the port is taken
        return 1
    return 0


def _give_up(desk: Desk, error: ArtifactError) -> None:
    """Say why to the supervisor, who tells it once for all."""
    desk.message = json.dumps(termination.failure(error), ensure_ascii=False).encode()


def _leave_with(parent: int) -> None:
    """Have the kernel end us with the supervisor, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])

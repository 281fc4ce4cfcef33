"""The workers as the supervisor keeps them: started, watched, started again, dismissed."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from driftline_serving.errors import WorkerError
from driftline_serving.server.board import Board, Desk, State
from driftline_serving.server.measures import COUNTERS

#: Seconds before a worker that died is started again: the first time, and at most.
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
#: A worker that lived so long died of something else than the one before it.
LONG_LIFE: Final = 60.0
#: Seconds without a sign of life, after which a worker that was ready is taken to hang.
SILENCE: Final = 60.0

log = logging.getLogger(__name__)

#: Starts a worker, by its number and whether others answer already; returns its process id.
Launch = Callable[[int, bool], int]


@dataclass(slots=True, kw_only=True)
class _Member:
    """One place in the crew.

    Attributes:
        pid: of the worker that has it; 0 between two of them.
        began: when it was started.
        due: when the next one is.
        pause: the one before that.
    """

    number: int
    desk: Desk
    pid: int = 0
    began: float = 0.0
    due: float = 0.0
    pause: float = 0.0


class _Dead(NamedTuple):
    """Who died, of what, and what it left as its reason."""

    member: _Member
    code: int
    message: bytes


class Crew:
    """All workers.

    Until all have been ready once, the death of one ends everything, as that of a single process
    would: whoever started us sees it, and starts us again. Afterwards the others go on, and it is
    started again, after a pause that doubles while it keeps dying young.

    Args:
        board: Has a desk for each.
        launch: Starts one.

    Attributes:
        restarts: workers that were started again.
        retired: what workers counted that are no more.
    """

    def __init__(self, board: Board, launch: Launch) -> None:
        self._board = board
        self._launch = launch
        self._members = [_Member(number=n, desk=desk) for n, desk in enumerate(board.desks)]
        self._was_whole = False
        self.restarts = 0
        self.retired = [0.0] * COUNTERS

    @property
    def desks(self) -> tuple[Desk, ...]:
        """Those of all workers, present or not."""
        return self._board.desks

    @property
    def ready(self) -> int:
        """How many workers are."""
        return sum(desk.state is State.READY for desk in self.desks)

    @property
    def is_whole(self) -> bool:
        """Whether all workers are ready."""
        return self.ready == len(self.desks)

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        return self._board.is_ready

    @property
    def is_listening(self) -> bool:
        """Whether all listen, which they do before they load the model."""
        return all(desk.state >= State.LISTENING for desk in self.desks)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is left."""
        return not any(member.pid for member in self._members)

    def look(self, now: float) -> None:
        """See to what has happened.

        Raises:
            WorkerError: a worker ended in a way that ends all.
        """
        for dead in self.reap():
            self._mourn(dead, now)
        for member in self._members:
            if not member.pid and member.due <= now:
                self._start(member, now)
            elif member.desk.state is State.READY and member.desk.heartbeat < now - SILENCE:
                log.error("worker %d hangs: killing it", member.number)
                os.kill(member.pid, signal.SIGKILL)
        self._was_whole = self._was_whole or self.is_whole
        self._board.is_ready = self._was_whole and self.ready > 0

    def dismiss(self, number: signal.Signals) -> None:
        """Be not ready from now on, and send all a signal."""
        self._board.is_ready = False
        for member in self._members:
            if member.pid:
                os.kill(member.pid, number)

    def reap(self) -> Iterator[_Dead]:
        """Take leave of the dead."""
        for member in self._members:
            if member.pid:
                pid, status = os.waitpid(member.pid, os.WNOHANG)
                if pid:
                    member.pid = 0
                    yield _Dead(member, os.waitstatus_to_exitcode(status), self._cleared(member))

    def _cleared(self, member: _Member) -> bytes:
        """Keep what the dead one counted; return the message it left."""
        desk = member.desk
        counted = desk.counters[:COUNTERS]
        self.retired = [a + b for a, b in zip(self.retired, counted, strict=True)]
        message = desk.message
        desk.clear()
        return message

    def _mourn(self, dead: _Dead, now: float) -> None:
        member, code = dead.member, dead.code
        how = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
        if code == -signal.SIGKILL:
            how += " (killed; for want of memory, unless somebody did it)"
        if dead.message or not self._was_whole:
            why = f"worker {member.number} {how} before all were ready"
            raise WorkerError(why, 128 - code if code < 0 else code or 1, dead.message)
        is_young = now - member.began < LONG_LIFE
        member.pause = (
            min(2 * member.pause or FIRST_PAUSE, LONGEST_PAUSE) if is_young else FIRST_PAUSE
        )
        member.due = now + member.pause
        pause = f"{member.pause:g} s"
        log.error("worker %d %s; starting it again in %s", member.number, how, pause)

    def _start(self, member: _Member, now: float) -> None:
        self.restarts += member.began > 0
        member.began = member.desk.heartbeat = now
        try:
            member.pid = self._launch(member.number, self._was_whole)
        except OSError as error:
            log.error("worker %d cannot be started: %s", member.number, error)  # noqa: TRY400 - the message says all
            member.due = now + LONGEST_PAUSE

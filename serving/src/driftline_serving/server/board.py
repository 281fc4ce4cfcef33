"""What the supervisor and its workers share: a block of memory in which each has its own places.

All places are doubles, aligned and written by one process alone, so a reader finds the old value or
the new one, and whoever is killed at any instant spoils nothing for the others. A double counts
exactly up to 2**53.
"""

import mmap
import os
from enum import IntEnum
from typing import Final

#: Places of a worker before its counters: state, heartbeat, bytes of the message it left.
_STATE, _BEAT, _LEFT, _COUNTERS = range(4)
#: Bytes of a place.
_PLACE: Final = 8
#: Bytes for the supervisor's own word, and for what a worker may leave.
_HEAD: Final = 64
LONGEST_MESSAGE: Final = 16_384


class State(IntEnum):
    """How far a worker is."""

    STARTING = 0
    LISTENING = 1
    READY = 2
    LEAVING = 3


class Desk:
    """One worker's part of the board.

    Attributes:
        counters: what it counted, for `measures` to name.
    """

    def __init__(self, memory: memoryview) -> None:
        self._text = memory[:LONGEST_MESSAGE]
        self._places = memory[LONGEST_MESSAGE:].cast("d")
        self.counters = self._places[_COUNTERS:]

    @property
    def state(self) -> State:
        """Where in its life the worker is."""
        return State(int(self._places[_STATE]))

    @state.setter
    def state(self, state: State) -> None:
        self._places[_STATE] = state

    @property
    def heartbeat(self) -> float:
        """When its event loop last turned, by the clock that all processes share."""
        return float(self._places[_BEAT])

    @heartbeat.setter
    def heartbeat(self, now: float) -> None:
        self._places[_BEAT] = now

    @property
    def message(self) -> bytes:
        """Why it cannot serve; empty while it can."""
        return bytes(self._text[: int(self._places[_LEFT])])

    @message.setter
    def message(self, message: bytes) -> None:
        size = min(len(message), LONGEST_MESSAGE)
        self._text[:size] = message[:size]
        self._places[_LEFT] = size

    def clear(self) -> None:
        """Make room for the next worker; the last one must be dead."""
        self._places[:] = memoryview(bytes(self._places.nbytes)).cast("d")


class Board:
    """The whole block.

    Args:
        fd: What `create` has made, here or in the process that started us.
        counters: Places that each worker has for its counters.
    """

    def __init__(self, fd: int, counters: int) -> None:
        self.fd = fd
        desk = _desk_bytes(counters)
        memory = memoryview(mmap.mmap(fd, os.fstat(fd).st_size))
        self._word = memory[:_HEAD].cast("d")
        starts = range(_HEAD, len(memory), desk)
        self.desks = tuple(Desk(memory[start : start + desk]) for start in starts)

    @classmethod
    def create(cls, workers: int, counters: int) -> "Board":
        """Make a board of zeros; it lasts as long as a process holds it, and no file is left."""
        fd = os.memfd_create("driftline-board")
        os.ftruncate(fd, _HEAD + workers * _desk_bytes(counters))
        os.set_inheritable(fd, True)
        return cls(fd, counters)

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here: the supervisor's word, the same to all workers."""
        return bool(self._word[0])

    @is_ready.setter
    def is_ready(self, ready: bool) -> None:
        self._word[0] = float(ready)


def _desk_bytes(counters: int) -> int:
    return LONGEST_MESSAGE + (_COUNTERS + counters) * _PLACE

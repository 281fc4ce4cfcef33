"""What waits for a reader: bounded by number and size, and the oldest gives way to the newest."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from driftline_serving.tap.records import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many inferences a queue may hold, and bytes."""

    count: int = 4096
    size: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Some inferences.

    Attributes:
        count: how many.
        size: tells how many bytes are not freed before they are told or given up.
        batch: makes what is told of them.
    """

    count: int
    size: Callable[[], int]
    batch: Callable[[], Batch]


class Queue:
    """Inferences that wait, in portions.

    Attributes:
        offered: how many have ever come.
        dropped: how many of them have been given up.
        count: how many are here.
        size: bytes that those here hold.
    """

    def __init__(self, room: Room) -> None:
        self.offered = 0
        self.dropped = 0
        self.count = 0
        self.size = 0
        self._room = room
        self._waiting: deque[tuple[Waiting, int]] = deque()

    def put(self, some: Waiting) -> None:
        """Take them in."""
        size = some.size()
        self._waiting.append((some, size))
        self.offered += some.count
        self.count += some.count
        self.size += size
        while self.count > self._room.count or self.size > self._room.size:
            self.dropped += self._out().count

    def take(self) -> Waiting | None:
        """Take out the oldest portion, if there is one."""
        return self._out() if self._waiting else None

    def clear(self) -> None:
        """Give up all."""
        while self._waiting:
            self.dropped += self._out().count

    def _out(self) -> Waiting:
        some, size = self._waiting.popleft()
        self.count -= some.count
        self.size -= size
        return some

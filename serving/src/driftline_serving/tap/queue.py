"""Frames that wait for a reader: bounded in all respects, the oldest give way to the newest."""

from collections import deque
from dataclasses import dataclass

from driftline_serving.tap.encode import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many inferences a queue may hold, and bytes."""

    count: int = 100_000
    size: int = 16 * 1024 * 1024


class Queue:
    """Frames, and counts of the inferences in them.

    Attributes:
        offered: how many have ever come.
        dropped: how many of them have been given up.
        count: how many are here.
        size: bytes that those here take.
    """

    def __init__(self, room: Room) -> None:
        self.offered = 0
        self.dropped = 0
        self.count = 0
        self.size = 0
        self._room = room
        self._waiting: deque[Payload] = deque()

    def put(self, frame: Payload) -> None:
        """Take in a frame."""
        self._waiting.append(frame)
        self.offered += frame.count
        self.count += frame.count
        self.size += len(frame.content)
        while self.count > self._room.count or self.size > self._room.size:
            self.dropped += self._out().count

    def take(self) -> Payload | None:
        """Take out the oldest, if there is one."""
        return self._out() if self._waiting else None

    def give_up(self, count: int) -> None:
        """Count inferences that never got here."""
        self.offered += count
        self.dropped += count

    def clear(self) -> None:
        """Give up all."""
        while self._waiting:
            self.dropped += self._out().count

    def _out(self) -> Payload:
        frame = self._waiting.popleft()
        self.count -= frame.count
        self.size -= len(frame.content)
        return frame

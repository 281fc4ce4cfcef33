"""Reads along with one direction of a connection, whose bytes go on whatever becomes of that."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

log = logging.getLogger(__name__)


class UnclearError(Exception):
    """What comes cannot be read along."""


class Along(ABC):
    """See the module.

    Args:
        lost: Is called once when nothing more is read along.
    """

    #: What says that the bytes are unclear; anything else is a bug of ours.
    UNCLEAR: ClassVar[tuple[type[Exception], ...]] = (UnclearError,)

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._blind = False
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Read along; return what may be passed on by now."""
        if self._held:
            data, self._held = self._held + data, b""
        if self.is_blind():
            return data
        passed: list[bytes] = []
        at = 0
        try:
            while (moved := self._step(data, at, passed)) > at:
                at = moved
        except self.UNCLEAR:
            self.end_sight()
        except Exception:
            log.exception("a bug in Driftline: a connection is passed on unread")
            self.end_sight()
        if self.is_blind():
            passed.append(data[at:])
        else:
            self._held = data[at:]
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def end_sight(self) -> None:
        """Read along no more."""
        if not self._blind:
            self._blind = True
            self._lost()

    def is_blind(self) -> bool:
        """Tell whether nothing is read along any more."""
        return self._blind

    def rest(self) -> bytes:
        """Return what was held back, at the end of the connection."""
        held, self._held = self._held, b""
        return held

    @abstractmethod
    def _step(self, data: bytes, at: int, passed: list[bytes]) -> int:
        """Take what is at hand; return how far that is, which is `at` if more is needed."""

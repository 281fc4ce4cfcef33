"""Counting fewer rows where counting all would take too much of a CPU, fairly and at a known rate.

Which inferences are counted follows from a hash of their ids alone: neither their time nor what is
in them matters, and those counted at a low rate are among those counted at a higher one.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

#: The lowest rate: one in 1,024.
LOWEST: Final = 2.0**-10
#: Twice the rate takes at most twice the time: below a third of the share there is room for that.
_ROOM: Final = 3.0


class Governor:
    """Halves and doubles the rate, by the CPU time that the event loop has taken.

    A second that took too much, such as one in which a configuration came, changes nothing; the
    next one does if it took too much as well.

    >>> used = iter([0.0, 0.5, 1.0, 1.2, 1.2])
    >>> times = iter([0.0, 1.0, 2.0, 3.0, 4.0])
    >>> governor = Governor(0.25, clock=lambda: next(times), cpu=lambda: next(used))
    >>> [governor.look() for _ in range(4)]
    [1.0, 0.5, 0.5, 1.0]

    Args:
        share: of one CPU that may be taken.
        clock: seconds that only go forward.
        cpu: seconds of CPU that the thread has taken.

    Attributes:
        rate: share of inferences whose rows are counted.
    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self.rate = 1.0
        self._share = share
        self._clock = clock
        self._cpu = cpu
        self._seen = clock(), cpu()
        self._was_over = False

    def look(self) -> float:
        """Choose the rate by what was taken since the last look; call it about once a second."""
        (since, before), self._seen = self._seen, (self._clock(), self._cpu())
        now, taken = self._seen
        used = (taken - before) / max(now - since, 1e-3)
        is_over = used > self._share
        if is_over and self._was_over:
            self.rate = max(self.rate / 2, LOWEST)
        elif used < self._share / _ROOM:
            self.rate = min(self.rate * 2, 1.0)
        self._was_over = is_over
        return self.rate


def chosen(ids: npt.NDArray[Any], rate: float) -> npt.NDArray[np.bool_]:
    """Say which of some inferences are counted at a rate.

    Args:
        ids: UUIDs, uint8 of shape [count, 16].
        rate: at most 1.
    """
    words = np.ascontiguousarray(ids).view("<u8")
    with np.errstate(over="ignore"):
        mixed = words[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ words[:, 1]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    found: npt.NDArray[np.bool_] = mixed < np.uint64(min(int(rate * 2.0**64), 2**64 - 1))
    return found

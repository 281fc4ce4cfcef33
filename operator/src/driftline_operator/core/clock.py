"""Time as a parameter."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """`now` is UTC and for people; `monotonic` is seconds and for waiting."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


#: For the process; everything below it is handed a clock.
SYSTEM_CLOCK: Final = Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)

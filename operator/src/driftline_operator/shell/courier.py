"""Sends CloudEvents to a webhook: each at least once, or it is given up and counted.

Events wait in memory no more than `MOST_ON_THEIR_WAY`; whoever offers one beyond that keeps it and
offers it again. What a receiver refuses for good is not sent again.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

import aiohttp

from driftline_operator.drift.notices import Notice

log = logging.getLogger(__name__)

MOST_ON_THEIR_WAY: Final = 256
AT_ONCE: Final = 8
_JSON: Final = "application/cloudevents+json; charset=utf-8"
#: Refusals that may be none a moment later; every other answer of 4xx is for good.
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})

Fate = Literal["delivered", "retried", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where events go, and how long that is tried.

    Attributes:
        url: of the webhook; empty where nobody wants any.
        headers: that go with each, for instance for authorization; they are in no log.
        timeout: seconds for one attempt.
        attempts: after which an event is given up.
        pause: seconds before the second attempt; doubled for each further one.
        longest: seconds between two attempts.
    """

    url: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: float = 10.0
    attempts: int = 10
    pause: float = 1.0
    longest: float = 300.0


class Courier:
    """The events that are on their way.

    Args:
        delivery: where to.
        note: is told what became of each attempt.
        random: for jitter.
    """

    def __init__(
        self,
        delivery: Delivery,
        note: Callable[[Fate], None],
        random: Random | None = None,
    ) -> None:
        self._delivery = delivery
        self._note = note
        self._random = random or Random()  # noqa: S311 - jitter
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    @property
    def wanted(self) -> bool:
        """Whether there is anybody to send to."""
        return bool(self._delivery.url)

    @property
    def waiting(self) -> int:
        """How many events are on their way."""
        return len(self._sending)

    def offer(self, notice: Notice, done: Callable[[], None]) -> bool:
        """Take an event, unless there are too many; `done` is called when it needs no other try.

        An event that is on its way already is not taken twice.
        """
        if notice.id in self._sending:
            return True
        if len(self._sending) >= MOST_ON_THEIR_WAY:
            return False
        self._sending[notice.id] = asyncio.create_task(self._deliver(notice, done))
        return True

    def give_up(self, notice: Notice, why: str) -> None:
        """Count an event that will never be sent."""
        self._note("dead")
        log.error("event %s %s is given up: %s", notice.type, notice.id, why)

    async def stop(self) -> None:
        """End what is on its way; whoever offered it has kept it."""
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        # One that was cancelled before it began never came to an end of its own.
        self._sending.clear()

    async def _deliver(self, notice: Notice, done: Callable[[], None]) -> None:
        last = ""
        try:
            for attempt in range(self._delivery.attempts):
                if attempt:
                    self._note("retried")
                    await asyncio.sleep(self._pause(attempt))
                said = await self._attempt(notice)
                if said is None:
                    self._note("delivered")
                    break
                last = said.message
                if said.final:
                    self.give_up(notice, last)
                    break
            else:
                self.give_up(notice, f"{self._delivery.attempts} attempts; the last: {last}")
            done()
        finally:
            self._sending.pop(notice.id, None)

    def _pause(self, attempt: int) -> float:
        longest = min(self._delivery.longest, self._delivery.pause * 2.0 ** (attempt - 1))
        return longest * self._random.uniform(0.5, 1.0)

    async def _attempt(self, notice: Notice) -> "_Refusal | None":
        """Return what was wrong; None where nothing was."""
        delivery = self._delivery
        headers = {"Content-Type": _JSON, **dict(delivery.headers)}
        timeout = aiohttp.ClientTimeout(total=delivery.timeout)
        try:
            async with (
                self._slots,
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    delivery.url, data=notice.body.encode(), headers=headers, allow_redirects=False
                ) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _Refusal(message=f"no answer: {error or type(error).__name__}", final=False)
        except ValueError as error:
            return _Refusal(message=f"it cannot be sent: {type(error).__name__}", final=True)
        if 200 <= status < 300:
            return None
        final = 300 <= status < 500 and status not in _WORTH_ANOTHER_TRY
        return _Refusal(message=f"the webhook answered {status}", final=final)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    message: str
    final: bool

"""One leader among the replicas, by a Lease.

A replica that leads has renewed within `DEADLINE`; one that wants to lead waits until the Lease
has stood unchanged for `DURATION`, by its own monotonic clock, since nobody's wall clock can be
trusted. What lies between the two is longer than any request takes, so that the last write of a
former leader arrives before the first of the next.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from driftline_operator.core.clock import Clock
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.errors import DriftlineError, NotLeaderError
from driftline_operator.kube.api import Api

log = logging.getLogger(__name__)

DURATION: Final = 15.0
DEADLINE: Final = 10.0
RETRY: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Sighting:
    version: str
    since: float


class Lease:
    """Our part in the election.

    Args:
        api: performs the requests; each must end before `DURATION - DEADLINE`.
        ref: the Lease.
        identity: ours, unique to this process.
        clock: time.
        retry: seconds between two attempts.
    """

    def __init__(
        self, api: Api, ref: ObjectRef, identity: str, *, clock: Clock, retry: float = RETRY
    ) -> None:
        self._api = api
        self._ref = ref
        self._identity = identity
        self._clock = clock
        self._retry = retry
        self._renewed: float | None = None
        self._seen: _Sighting | None = None
        self.transitions = 0

    @property
    def leads(self) -> bool:
        """Whether we may write now."""
        renewed = self._renewed
        return renewed is not None and self._clock.monotonic() - renewed < DEADLINE

    def permit(self) -> None:
        """Raise NotLeaderError unless we may write now."""
        if not self.leads:
            raise NotLeaderError(f"the Lease was not renewed within {DEADLINE:g} s")

    async def attempt(self) -> bool:
        """Try once to take or renew the Lease; return whether we lead.

        Time counts from before the request: the others' wait begins when it arrives.
        """
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(DURATION - DEADLINE):
                if await self._take(started):
                    self._renewed = started
        except (DriftlineError, TimeoutError) as error:
            log.warning("Lease %s: %s", self._ref.name, error or type(error).__name__)
        return self.leads

    async def release(self) -> None:
        """Give the Lease up, so that another need not wait. Nothing may be written after this."""
        if self._renewed is None:
            return
        self._renewed = None
        try:
            live = await self._api.get(self._ref)
            if live and _holder(live) == self._identity:
                await self._api.replace(self._held(live, holder="", duration=1))
        except DriftlineError as error:
            log.warning("Lease %s not released: %s", self._ref.name, error)

    async def run(self, while_leading: Callable[[], Awaitable[None]]) -> None:
        """Take part until cancelled, and run `while_leading` for as long as we lead.

        It is cancelled as soon as we do not, and awaited, before we try again. If it fails, the
        Lease is given up: a leader that does nothing must not keep others from leading.
        """
        try:
            while True:
                if await self.attempt():
                    await self._lead(while_leading)
                await asyncio.sleep(self._retry)
        finally:
            await asyncio.shield(self.release())

    async def _lead(self, while_leading: Callable[[], Awaitable[None]]) -> None:
        log.info("%s leads, transition %d", self._identity, self.transitions)
        work = asyncio.ensure_future(while_leading())
        try:
            while not work.done() and await self._stay(work):
                pass
        finally:
            work.cancel()
            (result,) = await asyncio.gather(work, return_exceptions=True)
            log.info("%s no longer leads", self._identity)
        if isinstance(result, Exception):
            log.error("leading failed, and the Lease is given up", exc_info=result)
            await self.release()

    async def _stay(self, work: asyncio.Future[None]) -> bool:
        """Wait and renew. A renewal that hangs must not outlive the deadline, which it cannot."""
        await asyncio.wait({work}, timeout=self._retry)
        return await self.attempt()

    async def _take(self, now: float) -> bool:
        live = await self._api.get(self._ref)
        if live is None:
            self.transitions = 0
            await self._api.create(self._held(None, holder=self._identity))
            return True
        if _holder(live) not in ("", self._identity) and not self._is_abandoned(live, now):
            return False
        answer = await self._api.replace(self._held(live, holder=self._identity))
        self.transitions = int(answer["spec"]["leaseTransitions"])
        return True

    def _is_abandoned(self, live: Manifest, now: float) -> bool:
        """Tell whether we have seen the Lease unchanged for its whole duration."""
        version = live["metadata"]["resourceVersion"]
        if self._seen is None or self._seen.version != version:
            self._seen = _Sighting(version, now)
            return False
        return now - self._seen.since > DURATION

    def _held(self, live: Manifest | None, *, holder: str, duration: float = DURATION) -> Manifest:
        now = _micro_time(self._clock.now())
        before: dict[str, Any] = dict(live["spec"]) if live else {}
        moved = bool(holder) and before.get("holderIdentity") != holder and live is not None
        base = live or {
            "apiVersion": self._ref.api_version,
            "kind": self._ref.kind,
            "metadata": {"namespace": self._ref.namespace, "name": self._ref.name},
        }
        return {
            **base,
            "spec": {
                **before,
                "holderIdentity": holder,
                "leaseDurationSeconds": int(duration),
                "renewTime": now,
                "acquireTime": now if moved or live is None else before.get("acquireTime", now),
                "leaseTransitions": before.get("leaseTransitions", 0) + moved,
            },
        }


def lease_ref(namespace: str, name: str) -> ObjectRef:
    """Return the reference of a Lease."""
    return ObjectRef(
        api_version="coordination.k8s.io/v1", kind="Lease", namespace=namespace, name=name
    )


def _holder(live: Manifest) -> str:
    return str(live.get("spec", {}).get("holderIdentity") or "")


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

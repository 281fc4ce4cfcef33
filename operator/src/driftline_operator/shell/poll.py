"""Asks the routers what they serve, so that a Model's traffic can be acknowledged.

Runs on the leader alone. A namespace is asked often while a version is on its way, or while a
router has yet to find a server that is ready, and seldom when all is told; whichever Models it
concerns are reconciled.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from driftline_operator.core.controller import Snapshot, Stamp
from driftline_operator.core.plan import Key
from driftline_operator.router.acks import RouterAcks
from driftline_operator.router.bootstrap import STATS_PORT
from driftline_operator.router.observe import Observer, RouterPod, live_routers
from driftline_operator.router.state import RouterState
from driftline_operator.router.stats import SERVED_QUERY, parse_served
from driftline_operator.router.traffic import Acknowledged, Agreed, agreed

logger = logging.getLogger(__name__)

ASKED_AT_ONCE: Final = 64
MAX_ANSWER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often a namespace's routers are asked, in seconds.

    Attributes:
        unacknowledged: while a version is on its way to them, or they to a server.
        settled: when they serve all there is.
        timeout: for one answer.
    """

    unacknowledged: float = 0.5
    settled: float = 60.0
    timeout: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What the last poll of a namespace saw and heard, and when.

    `pods` are the stamps of all pods there: as long as they stay, so do the routers.
    """

    at: float
    pods: Mapping[str, Stamp]
    routers: tuple[RouterPod, ...]
    silent: frozenset[RouterPod]
    said: Agreed


_NOTHING: Final = _Heard(at=0.0, pods={}, routers=(), silent=frozenset(), said=Agreed())


class RouterPoll:
    """The loop, and what it last heard."""

    def __init__(
        self,
        snapshot: Snapshot,
        acks: RouterAcks,
        enqueue: Callable[[Key], None],
        cadence: Cadence | None = None,
        stats_port: int = STATS_PORT,
    ) -> None:
        """Read routers from `snapshot`, note in `acks`, and `enqueue` the Models concerned."""
        self._snapshot = snapshot
        self._acks = acks
        self._enqueue = enqueue
        self._cadence = cadence or Cadence()
        self._stats_port = stats_port
        self._observer = Observer()
        self._heard: dict[str, _Heard] = {}
        self._asking: set[str] = set()
        self._slots = asyncio.Semaphore(ASKED_AT_ONCE)

    async def run(self) -> None:
        """Poll until cancelled, as long as this replica leads."""
        for namespace in list(self._heard):
            self._forget(namespace)
        timeout = aiohttp.ClientTimeout(total=self._cadence.timeout)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as polls:
            while True:
                for namespace in self._due(asyncio.get_running_loop().time()):
                    self._asking.add(namespace)
                    polls.create_task(self._poll(namespace, session))
                await asyncio.sleep(self._cadence.unacknowledged)

    def _due(self, now: float) -> list[str]:
        """Return the namespaces to ask now, none of which is being asked."""
        namespaces = self._snapshot.namespaces("ConfigMap")
        for gone in self._heard.keys() - set(namespaces):
            self._forget(gone)
        free = (each for each in namespaces if each not in self._asking)
        return [each for each in free if self._is_due(each, now)]

    def _is_due(self, namespace: str, now: float) -> bool:
        """Tell whether there is something to hear, or the last time was long ago."""
        state = self._observer.state(self._snapshot, namespace)
        if not state.version:
            self._forget(namespace)
            return False
        heard = self._heard.get(namespace)
        if heard is None or heard.said.version < state.version:
            return True
        if self._observer.answering(self._snapshot, namespace) - heard.said.reached:
            return True
        return now - heard.at >= self._cadence.settled or self._routers_changed(namespace, heard)

    def _routers_changed(self, namespace: str, heard: _Heard) -> bool:
        pods = self._snapshot.stamps("Pod", namespace)
        if pods == heard.pods:
            return False
        self._heard[namespace] = replace(heard, pods=pods)
        return live_routers(self._snapshot, namespace) != heard.routers

    async def _poll(self, namespace: str, session: aiohttp.ClientSession) -> None:
        try:
            pods = self._snapshot.stamps("Pod", namespace)
            routers = live_routers(self._snapshot, namespace)
            answers = await asyncio.gather(*(self._ask(each, session) for each in routers))
            said = dict(zip(routers, answers, strict=True))
            ready = {router: answer for router, answer in said.items() if router.ready}
            starting = (answer for router, answer in said.items() if answer and not router.ready)
            heard = _Heard(
                at=asyncio.get_running_loop().time(),
                pods=pods,
                routers=routers,
                silent=frozenset(router for router, answer in ready.items() if answer is None),
                said=agreed([each or Acknowledged() for each in ready.values()], [*starting]),
            )
            self._note(namespace, heard)
        finally:
            self._asking.discard(namespace)

    def _note(self, namespace: str, heard: _Heard) -> None:
        before = self._heard.get(namespace, _NOTHING)
        self._heard[namespace] = heard
        self._acks.note(namespace, heard.said)
        for router in heard.silent - before.silent:
            logger.warning("the router of %s at %s gives no answer", namespace, router.address)
        state = self._observer.state(self._snapshot, namespace)
        for model in concerned(state, before.said, heard.said):
            self._enqueue(Key(controller="model", namespace=namespace, name=model))

    async def _ask(self, router: RouterPod, session: aiohttp.ClientSession) -> Acknowledged | None:
        """Return what one router serves, None where it does not say so in time."""
        host = f"[{router.address}]" if ":" in router.address else router.address
        url = f"http://{host}:{self._stats_port}{SERVED_QUERY}"
        try:
            async with self._slots, session.get(url) as response:
                response.raise_for_status()
                return parse_served((await response.content.read(MAX_ANSWER_BYTES)).decode())
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
            return None

    def _forget(self, namespace: str) -> None:
        self._heard.pop(namespace, None)
        self._acks.note(namespace, Agreed())


def concerned(state: RouterState, before: Agreed, now: Agreed) -> list[str]:
    """Return the Models whose traffic or revisions stand otherwise with the routers than before.

    A revision bears its Model's name, and one part more.
    """
    moved = {revision.rpartition("-")[0] for revision in before.reached ^ now.reached}
    return [
        name
        for name, entry in state.models.items()
        if name in moved or (before.version >= entry.version) != (now.version >= entry.version)
    ]

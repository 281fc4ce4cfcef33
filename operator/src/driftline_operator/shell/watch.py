"""Kopf as a shell: it watches, and hands what it sees to the Feed. Nothing is decided here.

Kopf runs in a thread and a loop of its own. When it ends it cancels whatever runs in its loop,
and an error of a watch ends it: neither may touch the Store, the Lease or what routers are told.
It is started anew, and lists anew, for as long as we run.
"""

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import kopf
import uvloop

from driftline_operator.core.kinds import Kind
from driftline_operator.core.plan import Manifest

log = logging.getLogger(__name__)

#: Seconds between two attempts to watch.
_PAUSE: Final = 5.0
#: Objects in one page of kopf's own first LIST. All kinds are listed at once, and memory that was
#: taken is not given back: with 1,000 Models, pages of 200 and kopf's own 5 s took 300 MB.
_CHUNK: Final = 50
#: Seconds for which kopf keeps an object, whole, once it was told of it.
_KEPT: Final = 0.1


class Sink(Protocol):
    """Takes in what was seen."""

    def put(self, manifest: Manifest) -> None:
        """Take in a state of an object."""

    def drop(self, manifest: Manifest) -> None:
        """Take in that an object is gone."""


class Watch:
    """Watches kinds in namespaces (empty: in all), and tells `sink` in the loop of `run`."""

    def __init__(self, sink: Sink, kinds: Sequence[Kind], namespaces: Sequence[str]) -> None:
        self._sink = sink
        self._kinds = tuple(kinds)
        self._namespaces = tuple(namespaces)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            stop, ended = threading.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()
            thread = threading.Thread(
                target=self._watch, args=(loop, stop, ended), name="kopf", daemon=True
            )
            thread.start()
            try:
                await ended.wait()
            finally:
                stop.set()
            log.error("kopf ended; watching again in %g s", _PAUSE)
            await asyncio.sleep(_PAUSE)

    def _watch(
        self, loop: asyncio.AbstractEventLoop, stop: threading.Event, ended: asyncio.Event
    ) -> None:
        """Run kopf in this thread until it ends or is stopped."""
        try:
            uvloop.run(
                kopf.operator(
                    registry=self._registry(loop),
                    settings=watch_settings(self._kinds),
                    stop_flag=stop,
                    # Else it asks who we are, and a container's user has no name. The type is a
                    # string that kopf does not export.
                    identity="driftline",  # type: ignore[arg-type]
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                )
            )
        except Exception:
            log.exception("kopf failed")
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        """Return one handler for all kinds: an event goes to the Feed, in the loop it lives in."""
        registry = kopf.OperatorRegistry()
        crossing = Crossing(self._sink, loop)

        async def tell(event: kopf.RawEvent, **_: Any) -> None:
            crossing.send(event)

        for kind in self._kinds:
            kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(tell)
        login = kopf.login_with_kubeconfig if _has_kubeconfig() else kopf.login_with_service_account
        kopf.on.login(registry=registry)(login)
        return registry


class Crossing:
    """Brings events from kopf's thread to the loop where they are taken in, in their order.

    The loop is woken once for all that has gathered, not for each: a wake-up is a system call,
    and a change of threads.
    """

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        self._sink = sink
        self._loop = loop
        self._events: deque[kopf.RawEvent] = deque()
        self._awaited = False

    def send(self, event: kopf.RawEvent) -> None:
        """Hand over an event. Called in kopf's thread."""
        self._events.append(event)
        if not self._awaited:
            self._awaited = True
            self._loop.call_soon_threadsafe(self._arrive)

    def _arrive(self) -> None:
        """Take in what has gathered. What comes from now on wakes the loop anew."""
        self._awaited = False
        for _ in range(len(self._events)):
            event = self._events.popleft()
            try:
                self._take_in(event)
            except Exception:
                log.exception("a bug in Driftline; %s was not taken in", event["type"])

    def _take_in(self, event: kopf.RawEvent) -> None:
        act = self._sink.drop if event["type"] == "DELETED" else self._sink.put
        act(event["object"])


class _Endless:
    """Backoffs that never end: an API server that is away for an hour is still watched."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0, 4.0)
        while True:
            yield 8.0


def watch_settings(kinds: Sequence[Kind]) -> kopf.OperatorSettings:
    """Return settings under which kopf watches and does nothing else."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.networking.error_backoffs = _Endless()
    settings.networking.connect_timeout = 5.0
    settings.networking.request_timeout = 60.0
    settings.watching.chunk_size = _CHUNK
    settings.queueing.idle_timeout = _KEPT
    settings.process.ultimate_exiting_timeout = None
    settings.persistence.diffbase_storage = NoDiffs()
    settings.persistence.progress_storage = NoProgress()
    for kind in kinds:
        if kind.labels:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.labels
    return settings


class NoDiffs(kopf.DiffBaseStorage):
    """Keeps kopf from copying each object whole, to find changes that nobody asks it for."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return nothing, which never differs from itself."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        """Return that nothing was stored."""

    def store(self, **_: Any) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Remembers no progress of handlers: ours are done when they return."""

    def fetch(self, **_: Any) -> None:
        """Return that there is none."""

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Purge nothing."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return what there is, uncopied: it is empty."""
        return essence


def _has_kubeconfig() -> bool:
    return bool(os.environ.get("KUBECONFIG"))

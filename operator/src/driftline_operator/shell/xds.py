"""Answers routers that ask for their configuration: xDS over REST, on every replica.

A request is held until there is something new, or for `Patience.unchanged`: a change reaches a
router within a fraction of a second, and a router that has all there is asks thrice a quarter of
a minute. A replica that cannot answer says so, and closes the connection, so that the router's
next request may reach another replica.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, get_args

from aiohttp import web

from driftline_operator.core.controller import Snapshot
from driftline_operator.router.inputs import Locate
from driftline_operator.router.observe import Configuration, Observer
from driftline_operator.router.xds import Kind, Offer, answer, render_response

logger = logging.getLogger(__name__)

#: Rendered answers that are kept: those of the namespaces that changed last.
KEPT_ANSWERS: Final = 64
MAX_REQUEST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request is held, in seconds.

    Attributes:
        unchanged: while the router has all there is. Below the router's fetch time-out.
        incoherent: while this replica cannot answer; mostly it can a moment later.
        rejected: before a version is sent again to a router that did not take it.
        tick: between two looks at what is observed.
    """

    unchanged: float = 15.0
    incoherent: float = 1.0
    rejected: float = 2.0
    tick: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a router asks for; `known` is the version it has, 0 while it has none."""

    namespace: str
    node: str
    kind: Kind
    known: int


@dataclass(slots=True)
class _Watch:
    """The requests of a namespace that wait for another configuration than `seen`."""

    seen: Configuration
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0


class XdsFeed:
    """The aiohttp application and what it remembers."""

    def __init__(
        self,
        snapshot: Snapshot,
        locate: Callable[[str], Locate],
        patience: Patience | None = None,
    ) -> None:
        """Serve what `snapshot` shows; `locate` says where the revisions of a namespace are."""
        self._snapshot = snapshot
        self._locate = locate
        self._patience = patience or Patience()
        self._observer = Observer()
        self._watches: dict[str, _Watch] = {}
        self._rendered: dict[tuple[str, Kind], tuple[Configuration, bytes]] = {}
        self._sent: dict[tuple[str, Kind], int] = {}
        self._stopping = False

    def application(self) -> web.Application:
        """Return the application; it looks at the Store for as long as it runs."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_post("/v3/discovery:{kind}", self._handle)
        app.cleanup_ctx.append(self._looking)
        app.on_shutdown.append(self._release)
        return app

    async def _handle(self, http: web.Request) -> web.Response:
        request = _parse(http.match_info["kind"], await http.read())
        if request is None:
            return web.Response(status=400, text="not a DiscoveryRequest with a node id")
        configuration = await self._settled(request)
        match answer(configuration.offer, request.known):
            case "unchanged":
                self._sent.pop((request.node, request.kind), None)
                return web.Response(status=304)
            case "refuse":
                return _refusal(configuration.offer, request)
            case "send":
                return self._send(request, configuration)

    def _send(self, request: Request, configuration: Configuration) -> web.Response:
        version = configuration.offer.version
        if self._was_rejected(request, configuration.offer):
            logger.warning("%s was sent %s %d before", request.node, request.kind, version)
        self._sent[request.node, request.kind] = version
        body = self._answer(request, configuration)
        return web.Response(body=body, content_type="application/json")

    async def _settled(self, request: Request) -> Configuration:
        """Return the configuration once it is worth answering with, or patience is over."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            configuration = self._observer.configuration(self._snapshot, request.namespace)
            remaining = since + self._patience_with(request, configuration.offer) - loop.time()
            if remaining <= 0 or self._stopping:
                return configuration
            await self._changed(request.namespace, configuration, remaining)

    def _patience_with(self, request: Request, offer: Offer) -> float:
        match answer(offer, request.known):
            case "unchanged":
                return self._patience.unchanged
            case "refuse":
                return self._patience.incoherent
            case "send":
                return self._patience.rejected if self._was_rejected(request, offer) else 0.0

    def _was_rejected(self, request: Request, offer: Offer) -> bool:
        """Tell whether a router that has something asks again for what it was sent already.

        It could not make sense of it, or the answer was lost.
        """
        return request.known > 0 and self._sent.get((request.node, request.kind)) == offer.version

    async def _changed(self, namespace: str, seen: Configuration, timeout: float) -> None:  # noqa: ASYNC109 - what remains of a deadline
        """Wait until the configuration is no longer `seen`, at most `timeout` seconds."""
        watch = self._watches.setdefault(namespace, _Watch(seen=seen))
        watch.waiting += 1
        try:
            async with asyncio.timeout(timeout):
                await watch.changed.wait()
        except TimeoutError:
            pass
        finally:
            watch.waiting -= 1
            if not watch.waiting and self._watches.get(namespace) is watch:
                del self._watches[namespace]

    async def _looking(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._look())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _look(self) -> None:
        """Wake those who wait, namespace by namespace, when there is something else to see."""
        while True:
            await asyncio.sleep(self._patience.tick)
            for namespace, watch in list(self._watches.items()):
                if self._is_changed(namespace, watch):
                    watch.changed.set()
                    self._watches.pop(namespace, None)

    def _is_changed(self, namespace: str, watch: _Watch) -> bool:
        try:
            return self._observer.configuration(self._snapshot, namespace) is not watch.seen
        except Exception:  # noqa: BLE001 - a bug; the requests that are woken meet it and answer 500
            return True

    async def _release(self, _: web.Application) -> None:
        self._stopping = True
        for watch in self._watches.values():
            watch.changed.set()

    def _answer(self, request: Request, configuration: Configuration) -> bytes:
        """Return the answer, rendered once for all routers of the namespace."""
        key = (request.namespace, request.kind)
        known = self._rendered.pop(key, None)
        if known is None or known[0] is not configuration:
            locate = self._locate(request.namespace)
            version = configuration.offer.version
            body = render_response(request.kind, version, configuration.routed, locate)
            known = (configuration, body)
        self._rendered[key] = known
        while len(self._rendered) > KEPT_ANSWERS:
            del self._rendered[next(iter(self._rendered))]
        return known[1]


def _parse(kind: str, body: bytes) -> Request | None:
    """Return what is asked for, or None where that cannot be told."""
    known_kind = next((each for each in get_args(Kind) if each == kind), None)
    try:
        asked = json.loads(body)
        node = asked["node"]["id"]
        version = asked.get("version_info") or "0"
        namespace, _, pod = node.partition("/")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if known_kind is None or not namespace or not pod or not str(version).isdecimal():
        return None
    return Request(namespace=namespace, node=node, kind=known_kind, known=int(version))


def _refusal(offer: Offer, request: Request) -> web.Response:
    """Say why this replica cannot answer, and close, so that another may be asked."""
    if offer.coherent:
        why = f"this replica knows version {offer.version}, the router has {request.known}"
    else:
        why = f"this replica does not see what version {offer.version} stands for"
    response = web.Response(status=503, text=why)
    response.force_close()
    return response

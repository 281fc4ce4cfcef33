"""`POST /v2/models/<model>/feedback`: what clients and other monitors ask."""

import asyncio
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from aiohttp import web

from driftline_api.keys import ReceiptKey, monitor_token, signing_key
from driftline_serving.monitor.feedback.desk import Claim, FeedbackDesk, Outcome, What
from driftline_serving.monitor.feedback.forward import FORWARDED_HEADER, Forwarder
from driftline_serving.monitor.feedback.items import (
    MOST_BYTES,
    FeedbackError,
    ItemError,
    read_body,
    read_item,
)
from driftline_serving.monitor.feedback.peers import NamesError, Peers, Place

#: Requests that are read at a time; each may have a body of the greatest length. As many again
#: from other monitors: these wait for nobody, so that two which ask each other both get on.
MOST_REQUESTS: Final = 4
#: Requests that wait for their turn; more are told to come again.
MOST_WAITING: Final = 64
#: For the body of a request to come.
BODY_SECONDS: Final = 10.0
#: Items after which others have their turn: the tap, and who asks whether we are alive.
TURN: Final = 64
_AGAIN: Final = "the pod that it belongs to does not answer: send it again"

Keys = Callable[[], Sequence[ReceiptKey]]


@dataclass(slots=True)
class _Round:
    """The items of one request: what became of each, and which are for others."""

    raw: Sequence[Any]
    outcomes: list[Outcome]
    others: dict[str, list[int]] = field(default_factory=dict)


class FeedbackEndpoint:
    """Takes items, and hands those on that belong to another pod.

    Args:
        desk: what joins those that belong here.
        place: where this monitor stands.
        keys: returns all that are known.
        peers: finds the pods of the Model.
        now: Unix seconds.
    """

    def __init__(
        self,
        desk: FeedbackDesk,
        place: Place,
        keys: Keys,
        peers: Peers | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = f"/v2/models/{place.model}/feedback"
        self._desk = desk
        self._keys = keys
        self._peers = peers or Peers(place)
        self._now = now
        self._forwarder = Forwarder(self.path, place.port, self._key)
        self._turns = {keep: asyncio.Semaphore(MOST_REQUESTS) for keep in (False, True)}
        self._waiting = 0

    async def close(self) -> None:
        """Close connections to other monitors."""
        await self._forwarder.close()

    async def answer(self, request: web.Request) -> web.Response:
        """Return what became of each item."""
        forwarded = FORWARDED_HEADER in request.headers
        if forwarded and not self._is_ours(request.headers.get("Authorization", "")):
            return _json({"error": "the token is not of a key that is known here"}, 401)
        if self._waiting >= MOST_WAITING:
            return _json({"error": "too many requests wait: come again in a second"}, 503)
        self._waiting += 1
        try:
            async with self._turns[forwarded]:
                raw = read_body(await _body(request))
                return _answer(await self._take(raw, keep=forwarded))
        except FeedbackError as error:
            return _json({"error": str(error)}, error.status)
        finally:
            self._waiting -= 1

    async def _take(self, raw: Sequence[Any], *, keep: bool) -> list[Outcome]:
        found = _Round(raw, [Outcome("unavailable", _AGAIN)] * len(raw))
        for at, each in enumerate(raw):
            outcome, owner = await self._take_one(each, keep=keep)
            if owner:
                found.others.setdefault(owner, []).append(at)
            else:
                found.outcomes[at] = outcome
                self._desk.count(outcome.what)
            if at % TURN == TURN - 1:
                await asyncio.sleep(0)
        await asyncio.gather(*(self._hand_on(found, owner) for owner in found.others))
        return found.outcomes

    async def _take_one(self, raw: Any, *, keep: bool) -> tuple[Outcome, str]:
        """Return what became of an item, or the address of the pod that it belongs to."""
        try:
            item = read_item(raw)
        except ItemError as error:
            return Outcome("invalid", str(error)), ""
        claim = self._desk.claim(item, self._now())
        if not isinstance(claim, Claim):
            return claim, ""
        if not keep:
            try:
                owner = await self._owner(claim)
            except NamesError:
                return Outcome("unavailable", _AGAIN), ""
            if owner:
                return Outcome("forwarded"), owner
        return self._desk.settle(claim, self._now()), ""

    async def _owner(self, claim: Claim) -> str | None:
        receipt = claim.receipt
        return await self._peers.owner(claim.id, receipt.revision if receipt else None)

    async def _hand_on(self, found: _Round, owner: str) -> None:
        places = found.others[owner]
        said = await self._forwarder.send(owner, [found.raw[at] for at in places])
        for at, each in zip(places, said or [{}] * len(places), strict=True):
            self._desk.count("forwarded" if said else "unavailable")
            if said:
                found.outcomes[at] = _outcome(each)

    def _key(self) -> ReceiptKey | None:
        return signing_key(self._keys(), datetime.fromtimestamp(self._now(), UTC))

    def _is_ours(self, authorization: str) -> bool:
        """Whether somebody shows a token of any key that is known; without keys there is none."""
        keys = self._keys()
        given = authorization.removeprefix("Bearer ").encode()
        return not keys or any(
            hmac.compare_digest(given, monitor_token(key).encode()) for key in keys
        )


def add_feedback(app: web.Application, endpoint: FeedbackEndpoint) -> None:
    """Let an application answer for feedback."""

    async def close(_: web.Application) -> None:
        await endpoint.close()

    app.router.add_post(endpoint.path, endpoint.answer)
    app.on_cleanup.append(close)


async def _body(request: web.Request) -> bytes:
    """Read a body of bounded length, whatever the application's own bound.

    Raises:
        FeedbackError: it takes too long.
    """
    read = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                read += chunk
                if len(read) > MOST_BYTES:
                    break
    except TimeoutError as error:
        raise FeedbackError(f"the body took longer than {BODY_SECONDS:g} s", 408) from error
    return bytes(read)


def _answer(outcomes: Sequence[Outcome]) -> web.Response:
    """Answer 503 where something is to be sent again, 400 where nothing could be meant.

    To send all of it again is harmless: what was taken is a duplicate then.
    """
    whats = {each.what for each in outcomes}
    status = 503 if "unavailable" in whats else 400 if whats == {"invalid"} else 200
    items = [
        {"outcome": each.what, **({"message": each.message} if each.message else {})}
        for each in outcomes
    ]
    return _json({"items": items}, status)


def _outcome(said: Any) -> Outcome:
    """Read what another monitor says; one that is newer may say what is not known here."""
    what: What = said.get("outcome", "unknown")
    return Outcome(what, str(said.get("message", "")))


def _json(content: object, status: int) -> web.Response:
    headers = {"Retry-After": "1"} if status == 503 else {}
    return web.Response(
        body=orjson.dumps(content), status=status, headers=headers, content_type="application/json"
    )

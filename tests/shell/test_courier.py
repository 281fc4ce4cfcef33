"""Events reach a webhook that is slow, away or broken, or are counted as given up."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from driftline_operator.drift.notices import DETECTED, Notice
from driftline_operator.shell.courier import MOST_ON_THEIR_WAY, Courier, Delivery, Fate


@dataclass
class Webhook:
    """Answers with each of `statuses`, then with 204; with 0 it hangs up."""

    statuses: list[int] = field(default_factory=list)
    got: list[dict[str, object]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        self.got.append(json.loads(await request.read()))
        status = self.statuses.pop(0) if self.statuses else 204
        if not status:
            assert request.transport
            request.transport.close()
        headers = {"Location": self.url} if status == 302 else None
        return web.Response(status=status or 500, headers=headers)


@asynccontextmanager
async def listening(hook: Webhook) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/events", hook.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
        yield hook.url
    finally:
        await runner.cleanup()


def a_notice(name: str = "1") -> Notice:
    body = json.dumps({"specversion": "1.0", "id": name, "type": DETECTED, "source": "/m"})
    return Notice(id=name, type=DETECTED, body=body)


async def sent(hook: Webhook, *notices: Notice, attempts: int = 3) -> list[Fate]:
    """Offer events; return what became of each attempt once none needs another."""
    fates: list[Fate] = []
    async with listening(hook) as url:
        secret = (("Authorization", "Bearer x"),)
        delivery = Delivery(url=url, attempts=attempts, pause=0.001, headers=secret)
        courier = Courier(delivery, fates.append)
        ended = [asyncio.Event() for _ in notices]
        for notice, each in zip(notices, ended, strict=True):
            assert courier.offer(notice, each.set)
        async with asyncio.timeout(20):
            await asyncio.gather(*(each.wait() for each in ended))
        await courier.stop()
        assert courier.waiting == 0
    return fates


async def test_an_event_is_posted_as_structured_json_with_the_header_that_is_wanted() -> None:
    hook = Webhook()
    assert await sent(hook, a_notice()) == ["delivered"]
    assert hook.got[0]["specversion"] == "1.0"
    assert hook.headers[0]["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert hook.headers[0]["Authorization"] == "Bearer x"


async def test_a_webhook_that_fails_for_a_while_gets_the_event_all_the_same() -> None:
    hook = Webhook(statuses=[503, 429, 0])
    fates = await sent(hook, a_notice(), attempts=10)
    assert fates == ["retried"] * 3 + ["delivered"]
    assert {each["id"] for each in hook.got} == {"1"}


async def test_an_event_that_is_never_taken_is_given_up_and_counted() -> None:
    assert await sent(Webhook(statuses=[500] * 9), a_notice()) == ["retried", "retried", "dead"]


async def test_what_is_refused_for_good_is_not_sent_again() -> None:
    assert await sent(Webhook(statuses=[400]), a_notice()) == ["dead"]


async def test_no_redirect_is_followed_with_a_secret_in_hand() -> None:
    hook = Webhook(statuses=[302])
    assert await sent(hook, a_notice()) == ["dead"]
    assert len(hook.got) == 1


async def test_one_event_that_fails_holds_up_no_other() -> None:
    hook = Webhook(statuses=[500])
    fates = await sent(hook, *(a_notice(str(at)) for at in range(20)))
    assert fates.count("delivered") == 20


async def test_a_webhook_that_nobody_listens_at_is_tried_and_given_up() -> None:
    fates: list[Fate] = []
    async with listening(Webhook()) as url:
        gone = url
    courier = Courier(Delivery(url=gone, attempts=2, pause=0.001), fates.append)
    ended = asyncio.Event()
    assert courier.offer(a_notice(), ended.set)
    async with asyncio.timeout(20):
        await ended.wait()
    assert fates == ["retried", "dead"]


async def test_events_on_their_way_are_bounded_and_taken_once() -> None:
    courier = Courier(Delivery(url="http://127.0.0.1:1/", attempts=10, pause=100.0), lambda _: None)
    offered = [courier.offer(a_notice(str(at)), _nothing) for at in range(MOST_ON_THEIR_WAY)]
    assert all(offered)
    assert courier.offer(a_notice("0"), _nothing), "it is on its way"
    assert not courier.offer(a_notice("more"), _nothing)
    assert courier.waiting == MOST_ON_THEIR_WAY
    await courier.stop()
    assert courier.waiting == 0


async def test_a_header_that_cannot_be_sent_is_told_and_stops_nothing() -> None:
    fates: list[Fate] = []
    delivery = Delivery(url="http://127.0.0.1:1/", attempts=1, headers=(("Authorization", "a\nb"),))
    courier = Courier(delivery, fates.append)
    ended = asyncio.Event()
    courier.offer(a_notice(), ended.set)
    async with asyncio.timeout(20):
        await ended.wait()
    assert fates == ["dead"]


def _nothing() -> None:
    """Be told, and do nothing."""

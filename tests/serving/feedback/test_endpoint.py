"""What clients and monitors ask each other: several real ones, each at an address of its own."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from driftline_api.keys import monitor_token
from driftline_serving.monitor.feedback.desk import FeedbackDesk
from driftline_serving.monitor.feedback.endpoint import FeedbackEndpoint, add_feedback
from driftline_serving.monitor.feedback.forward import FORWARDED_HEADER
from driftline_serving.monitor.feedback.peers import Addresses, Names, Peers, Place
from tests.serving.feedback.builders import (
    KEY,
    MODEL,
    REVISION,
    Predicted,
    Server,
    classes,
    frame_of,
)
from tests.serving.keys import a_key

PATH = f"/v2/models/{MODEL}/feedback"


class Pods:
    """The monitors of a Model on addresses of the loopback network, at one port, and their DNS."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.desks: dict[str, FeedbackDesk] = {}
        self.port = 0
        self._runners: dict[str, web.AppRunner] = {}

    async def __call__(self, name: str) -> Addresses:
        return frozenset(self.live) if name == "loans-monitors" else frozenset()

    async def start(self, address: str, key: Any = KEY) -> None:
        desk = FeedbackDesk(classes(), MODEL, REVISION, lambda: (key,))
        app = web.Application()
        port = self.port or await self._listen(address, web.Application())
        if not self.port:
            await self.stop(address)
        self.port = port
        place = Place(
            model=MODEL, revision=REVISION, address=address, peers="loans-monitors", port=port
        )
        peers = Peers(place, Names(self, lambda: time.monotonic() * 1000))
        add_feedback(app, FeedbackEndpoint(desk, place, lambda: (key,), peers))
        await self._listen(address, app)
        self.live.add(address)
        self.desks[address] = desk

    async def _listen(self, address: str, app: web.Application) -> int:
        runner = self._runners[address] = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, address, self.port, reuse_address=True)
        await site.start()
        assert site._server
        assert isinstance(site._server, asyncio.Server)
        port: int = site._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, address: str) -> None:
        """End a pod's process; DNS hears of it only with `live`."""
        await self._runners.pop(address).cleanup()

    async def stop_all(self) -> None:
        for address in list(self._runners):
            await self.stop(address)

    def predict(self, address: str, *, seen: bool = True) -> Predicted:
        predicted = Server(classes(), address).predict(time.time(), label=["bad"])
        if seen:
            self.desks[address].observe(frame_of(predicted))
        return predicted

    async def say(self, address: str, items: Any, **headers: str) -> tuple[int, Any]:
        body = io.BytesIO(items if isinstance(items, bytes) else orjson.dumps(items))
        url = f"http://{address}:{self.port}{PATH}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, headers=headers, data=body) as answer,
        ):
            return answer.status, await answer.json()

    def outcomes(self, address: str) -> dict[str, int]:
        return self.desks[address].feedback().outcomes


A, B, C = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    some = Pods()
    for address in (A, B, C):
        await some.start(address)
    yield some
    await some.stop_all()


def whats(answer: Any) -> list[str]:
    return [each["outcome"] for each in answer["items"]]


async def test_whichever_monitor_is_asked_the_pod_that_predicted_joins(pods: Pods) -> None:
    told = [pods.predict(each) for each in (A, B, C)]
    items = [{"id": each.id, "label": "bad"} for each in told]
    assert await pods.say(A, items) == (200, {"items": [{"outcome": "accepted"}] * 3})
    assert pods.outcomes(A) == {"accepted": 1, "forwarded": 2}
    assert pods.outcomes(B) == pods.outcomes(C) == {"accepted": 1}
    # Once more, by another way, it is the same.
    _, answer = await pods.say(C, items)
    assert whats(answer) == ["duplicate"] * 3
    labelled = [
        cohort.labelled for desk in pods.desks.values() for cohort in desk.feedback().cohorts
    ]
    assert labelled == [1, 1, 1]


async def test_the_answer_is_in_the_order_of_the_items(pods: Pods) -> None:
    known = pods.predict(B)
    items = [
        {"id": known.id, "label": "ugly"},
        {"id": pods.predict(A, seen=False).id, "label": "bad"},
        {"receipt": pods.predict(C, seen=False).receipt, "label": "good"},
        {"label": 1},
        {"id": known.id, "label": "bad"},
    ]
    status, answer = await pods.say(A, items)
    assert status == 200
    assert whats(answer) == ["invalid", "unknown", "accepted", "invalid", "accepted"]
    assert "one of 'good', 'bad'" in answer["items"][0]["message"]


async def test_a_receipt_of_a_pod_that_is_gone_counts_once_whoever_is_asked(pods: Pods) -> None:
    told = [Server(classes(), "127.0.0.9").predict(time.time(), label=["bad"]) for _ in range(30)]
    items = [{"receipt": each.receipt, "label": "bad"} for each in told]
    for address, expected in ((A, "accepted"), (B, "duplicate"), (C, "duplicate")):
        status, answer = await pods.say(address, items)
        assert (status, set(whats(answer))) == (200, {expected})
    by_id = [{"id": each.id, "label": "bad"} for each in told]
    assert set(whats((await pods.say(A, by_id))[1])) == {"unknown"}
    taken = [pods.outcomes(each)["accepted"] for each in (A, B, C)]
    assert sum(taken) == 30
    assert min(taken) > 0


async def test_a_pod_that_does_not_answer_is_not_passed_over(pods: Pods) -> None:
    mine, its = pods.predict(A), pods.predict(B)
    items = [{"id": each.id, "label": "bad", "time": time.time()} for each in (mine, its)]
    await pods.stop(B)
    status, answer = await pods.say(A, items)
    assert (status, whats(answer)) == (503, ["accepted", "unavailable"])
    assert "send it again" in answer["items"][1]["message"]
    assert pods.outcomes(A) == {"accepted": 1, "unavailable": 1}
    # It is back, without its memory: the receipt stands for itself.
    pods.live.discard(B)
    await pods.start(B)
    status, answer = await pods.say(A, [{"receipt": its.receipt, "label": "bad"}, items[0]])
    assert (status, whats(answer)) == (200, ["accepted", "duplicate"])


async def test_only_monitors_say_that_they_have_handed_something_on(pods: Pods) -> None:
    told = pods.predict(B)
    items = [{"receipt": told.receipt, "label": "bad"}]
    handed = {FORWARDED_HEADER: "1"}
    status, answer = await pods.say(A, items, **handed)
    assert (status, answer) == (401, {"error": "the token is not of a key that is known here"})
    stranger = {**handed, "Authorization": f"Bearer {monitor_token(a_key(7))}"}
    assert (await pods.say(A, items, **stranger))[0] == 401
    known = {**handed, "Authorization": f"Bearer {monitor_token(KEY)}"}
    assert (await pods.say(A, items, **known))[0] == 200
    # What was handed on stays where it is, wherever it belongs.
    assert pods.outcomes(A) == {"accepted": 1}
    assert pods.outcomes(B) == {}


async def test_a_monitor_that_does_not_know_the_key_refuses_and_the_item_may_come_again(
    pods: Pods,
) -> None:
    told = pods.predict(B)
    await pods.stop(B)
    await pods.start(B, key=a_key(8))
    status, answer = await pods.say(A, [{"id": told.id, "label": "bad"}])
    assert (status, whats(answer)) == (503, ["unavailable"])


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"label=1", 400), (b"{}", 400), (b"[" + b" " * 4_194_304 + b"]", 413)],
)
async def test_a_body_that_is_no_list_is_refused(pods: Pods, body: bytes, status: int) -> None:
    found, answer = await pods.say(A, body)
    assert found == status
    assert answer["error"]
    assert pods.outcomes(A) == {}


async def test_where_nothing_could_be_meant_the_status_says_so(pods: Pods) -> None:
    assert (await pods.say(A, [{"label": 1}]))[0] == 400
    assert await pods.say(A, []) == (200, {"items": []})


async def test_monitors_that_ask_each_other_for_much_at_once_both_get_on(pods: Pods) -> None:
    told = [pods.predict(each) for each in (A, B, C) for _ in range(40)]
    items = [{"id": each.id, "label": "bad"} for each in told]
    answers = await asyncio.gather(*(pods.say(each, items) for each in (A, B, C) for _ in range(8)))
    assert {status for status, _ in answers} == {200}
    first = [each for _, answer in answers for each in whats(answer)]
    assert first.count("accepted") == 120
    assert first.count("duplicate") == 120 * 23


async def test_who_sends_nothing_keeps_nobody_waiting(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline_serving.monitor.feedback.endpoint.BODY_SECONDS", 0.2)
    slow = []
    for _ in range(6):
        reader, writer = await asyncio.open_connection(A, pods.port)
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode())
        slow.append((reader, writer))
    told = pods.predict(A)
    async with asyncio.timeout(10):
        assert (await pods.say(A, [{"id": told.id, "label": "bad"}]))[0] == 200
        for reader, writer in slow:
            assert b" 408 " in await reader.readline()
            writer.close()

"""Which pod an item belongs to."""

import socket
from uuid import UUID

import pytest

from driftline_serving.monitor.feedback.peers import (
    FRESH_SECONDS,
    Addresses,
    Names,
    NamesError,
    Peers,
    Place,
    addresses_of,
    chosen_of,
)
from driftline_serving.server.prediction_id import PredictionIds, pod_hash

ALL, REVISION, OTHERS = "loans-monitors", "loans-1a2b3c", "loans-9z8y7x"
HERE = "10.0.0.1"


class Dns:
    """Answers, or does not."""

    def __init__(self, **names: set[str]) -> None:
        self.names = {name.replace("_", "-"): frozenset(each) for name, each in names.items()}
        self.asked: list[str] = []
        self.away = False
        self.now = 0.0

    async def __call__(self, name: str) -> Addresses:
        self.asked.append(name)
        if self.away:
            raise NamesError(name)
        return self.names.get(name, frozenset())


def pods(*numbers: int) -> set[str]:
    return {f"10.0.0.{number}" for number in numbers}


def peers(dns: Dns, here: str = HERE) -> Peers:
    place = Place(model="loans", revision=REVISION, address=here, peers=ALL, port=1)
    return Peers(place, Names(dns, lambda: dns.now))


def predicted_at(address: str, number: int = 0) -> UUID:
    return UUID(PredictionIds(pod_hash(address), lambda n: bytes([number]) * n)(number))


async def test_it_belongs_to_the_pod_that_predicted_as_long_as_that_is_there() -> None:
    dns = Dns(loans_monitors=pods(1, 2, 3))
    assert await peers(dns).owner(predicted_at("10.0.0.1"), None) == ""
    assert await peers(dns).owner(predicted_at("10.0.0.2"), None) == "10.0.0.2"
    assert await peers(dns).owner(predicted_at("10.0.0.3"), REVISION) == "10.0.0.3"


async def test_what_it_predicted_itself_asks_no_dns() -> None:
    dns = Dns()
    dns.away = True
    assert await peers(dns).owner(predicted_at(HERE), None) == ""
    with pytest.raises(NamesError):
        await peers(dns).owner(predicted_at("10.0.0.2"), REVISION)


async def test_without_a_receipt_it_belongs_to_nobody_once_its_pod_is_gone() -> None:
    assert await peers(Dns(loans_monitors=pods(1, 2))).owner(predicted_at("10.0.0.9"), None) is None


async def test_all_monitors_choose_the_same_pod_of_the_revision_for_a_receipt() -> None:
    dns = Dns(loans_monitors=pods(1, 2, 3, 4), loans_1a2b3c=pods(2, 3), loans_9z8y7x=pods(1, 4))
    chosen = set()
    for number in range(40):
        gone = predicted_at("10.0.0.9", number)
        found = {await peers(dns, here).owner(gone, REVISION) or here for here in pods(1, 2, 3, 4)}
        assert len(found) == 1
        chosen |= found
    assert chosen == pods(2, 3)


async def test_a_revision_without_pods_leaves_its_receipts_to_any_pod_of_the_model() -> None:
    dns = Dns(loans_monitors=pods(1, 2, 3))
    found = {await peers(dns).owner(predicted_at("10.0.0.9", at), OTHERS) for at in range(60)}
    assert found == {"", "10.0.0.2", "10.0.0.3"}


def test_when_a_pod_goes_only_what_was_its_own_moves() -> None:
    ids = [predicted_at("10.0.0.9", number) for number in range(200)]
    before = [chosen_of(pods(1, 2, 3), each) for each in ids]
    after = [chosen_of(pods(1, 2), each) for each in ids]
    assert all(old == new for old, new in zip(before, after, strict=True) if old != "10.0.0.3")
    assert {before.count(each) > 40 for each in pods(1, 2, 3)} == {True}


async def test_outside_of_a_cluster_everything_belongs_here_and_dns_is_not_asked() -> None:
    alone = Peers(Place(model="loans"), Names(Dns()))
    assert await alone.owner(predicted_at("10.0.0.9"), REVISION) == ""
    assert await alone.owner(predicted_at("10.0.0.9"), None) is None


async def test_while_dns_is_silent_it_is_not_asked_for_each_item() -> None:
    dns = Dns(a=pods(1))
    names = Names(dns, lambda: dns.now)
    dns.away = True
    for _ in range(3):
        with pytest.raises(NamesError):
            await names.addresses("a")
    assert dns.asked == ["a"]
    dns.away = False
    dns.now += FRESH_SECONDS + 0.1
    assert await names.addresses("a") == pods(1)


async def test_names_are_asked_for_again_when_they_are_old_and_kept_in_bounds() -> None:
    dns = Dns(a=pods(1))
    names = Names(dns, lambda: dns.now)
    assert await names.addresses("a") == await names.addresses("a") == pods(1)
    assert dns.asked == ["a"]
    dns.now += FRESH_SECONDS + 0.1
    dns.names["a"] = frozenset(pods(2))
    assert await names.addresses("a") == pods(2)
    for number in range(200):
        await names.addresses(f"n{number}")
    assert len(names._known) == 64


async def test_a_name_that_does_not_exist_has_no_addresses_and_silence_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await addresses_of("localhost") >= {"127.0.0.1"}

    def fails(code: int) -> None:
        def failing(*_: object, **__: object) -> None:
            raise socket.gaierror(code, "as told by the test")

        monkeypatch.setattr(socket, "getaddrinfo", failing)

    fails(socket.EAI_NONAME)
    assert await addresses_of("loans-monitors") == frozenset()
    fails(socket.EAI_AGAIN)
    with pytest.raises(NamesError):
        await addresses_of("loans-monitors")

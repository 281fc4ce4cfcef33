"""One leader among the replicas."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_operator.core.clock import Clock
from driftline_operator.core.lease import DEADLINE, DURATION, Lease, lease_ref
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.errors import NotLeaderError, UnavailableError
from tests.contract.memory import MemoryApi
from tests.core.builders import Time

REF = lease_ref("system", "driftline-operator")


class Outage(MemoryApi):
    """An API server that can be away."""

    away = False

    async def get(self, ref: ObjectRef) -> Manifest | None:
        if self.away:
            raise UnavailableError("away")
        return await super().get(ref)


def a_lease(api: MemoryApi, time: Time, identity: str) -> Lease:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = Clock(now=lambda: start + timedelta(seconds=time.now), monotonic=time)
    return Lease(api, REF, identity, clock=clock, retry=0.001)


async def test_the_first_to_come_leads() -> None:
    api, time = MemoryApi(), Time()
    first, second = a_lease(api, time, "a"), a_lease(api, time, "b")
    assert await first.attempt()
    assert not await second.attempt()
    first.permit()
    with pytest.raises(NotLeaderError):
        second.permit()


async def test_a_leader_that_renews_is_left_alone() -> None:
    api, time = MemoryApi(), Time()
    first, second = a_lease(api, time, "a"), a_lease(api, time, "b")
    for _ in range(30):
        assert await first.attempt()
        assert not await second.attempt()
        time.now += 2


async def test_a_leader_that_cannot_renew_stops_before_another_begins() -> None:
    api, time = Outage(), Time()
    first, second = a_lease(api, time, "a"), a_lease(api, time, "b")
    await first.attempt()
    await second.attempt()
    time.now += DEADLINE
    assert not first.leads
    assert not await second.attempt()
    time.now += DURATION - DEADLINE + 0.1
    assert await second.attempt()
    assert not await first.attempt()


async def test_an_outage_shorter_than_the_deadline_changes_nothing() -> None:
    api, time = Outage(), Time()
    lease = a_lease(api, time, "a")
    await lease.attempt()
    api.away = True
    time.now += DEADLINE - 1
    assert await lease.attempt()
    api.away = False
    assert await lease.attempt()
    time.now += DEADLINE - 1
    lease.permit()


async def test_a_released_lease_is_taken_at_once() -> None:
    api, time = MemoryApi(), Time()
    first, second = a_lease(api, time, "a"), a_lease(api, time, "b")
    await first.attempt()
    await second.attempt()
    await first.release()
    assert not first.leads
    assert await second.attempt()


async def test_each_new_leader_is_a_transition_and_a_renewal_is_none() -> None:
    api, time = MemoryApi(), Time()
    first, second = a_lease(api, time, "a"), a_lease(api, time, "b")
    await first.attempt()
    await first.attempt()
    assert first.transitions == 0
    await first.release()
    await second.attempt()
    assert second.transitions == 1
    await second.release()
    await first.attempt()
    assert first.transitions == 2


async def test_what_others_say_of_the_time_does_not_matter() -> None:
    """The renewTime of a replica whose clock is years ahead keeps nobody waiting longer."""
    api, time = MemoryApi(), Time()
    ahead, lease = a_lease(api, time, "a"), a_lease(api, time, "b")
    await ahead.attempt()
    api.edit(REF, lambda live: live["spec"].update(renewTime="2099-01-01T00:00:00.000000Z"))
    await lease.attempt()
    time.now += DURATION + 0.1
    assert await lease.attempt()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "release a", "release b", "outage"]),
            st.floats(0, 8, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_there_are_never_two_leaders(steps: list[tuple[str, float]]) -> None:
    api, time = Outage(), Time()
    leases = {name: a_lease(api, time, name) for name in ("a", "b", "c")}

    async def play() -> None:
        for step, seconds in steps:
            time.now += seconds
            if step == "outage":
                api.away = not api.away
            elif step.startswith("release"):
                await leases[step[-1]].release()
            else:
                await leases[step].attempt()
            assert sum(lease.leads for lease in leases.values()) <= 1

    asyncio.run(play())


async def test_work_ends_when_the_lease_is_lost_and_begins_again_with_it() -> None:
    api, time = Outage(), Time()
    lease = a_lease(api, time, "a")
    begun, ended = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def work() -> None:
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.release()

    running = asyncio.create_task(lease.run(work))
    await begun.acquire()
    api.away = True
    time.now += DEADLINE
    await ended.acquire()
    api.away = False
    await begun.acquire()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await ended.acquire()
    live = await api.get(REF)
    assert live is not None
    assert live["spec"]["holderIdentity"] == ""


async def test_a_leader_whose_work_fails_makes_room() -> None:
    api, time = MemoryApi(), Time()
    lease = a_lease(api, time, "a")
    attempts = 0
    twice = asyncio.Event()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise RuntimeError("a bug")
        twice.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(lease.run(work))
    await twice.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    live = await api.get(REF)
    assert live is not None
    assert live["spec"]["leaseTransitions"] == 1, "it was released, and taken again"

"""What is reconciled next."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_operator.core.plan import Key
from driftline_operator.core.queue import LAST_BACKOFF, WorkQueue, backoff
from tests.core.builders import Time, a_key


def a_queue(time: Time | None = None) -> WorkQueue:
    return WorkQueue(clock=time or Time(), random=lambda: 1.0)


def drained(queue: WorkQueue) -> list[Key]:
    taken = []
    while key := queue.take():
        taken.append(key)
    return taken


def test_a_key_that_is_added_often_is_taken_once() -> None:
    queue = a_queue()
    for _ in range(3):
        queue.add(a_key())
    assert drained(queue) == [a_key()]


def test_a_key_is_never_with_two_workers() -> None:
    queue = a_queue()
    queue.add(a_key())
    queue.take()
    queue.add(a_key())
    assert queue.take() is None


def test_what_is_added_during_a_reconcile_is_taken_after_it() -> None:
    queue = a_queue()
    queue.add(a_key())
    queue.take()
    queue.add(a_key())
    queue.add(a_key())
    queue.done(a_key())
    assert drained(queue) == [a_key()]


def test_done_without_news_is_the_end() -> None:
    queue = a_queue()
    queue.add(a_key())
    queue.take()
    queue.done(a_key())
    assert queue.take() is None
    assert queue.idle_for() is None


def test_a_delayed_key_waits_for_its_time() -> None:
    time = Time()
    queue = a_queue(time)
    queue.add_after(a_key(), 5)
    assert queue.take() is None
    assert queue.idle_for() == 5
    time.now += 5
    assert queue.take() == a_key()


def test_of_two_delays_the_shorter_counts() -> None:
    time = Time()
    queue = a_queue(time)
    queue.add_after(a_key(), 10)
    queue.add_after(a_key(), 2)
    queue.add_after(a_key(), 7)
    assert queue.idle_for() == 2
    time.now += 2
    assert queue.take() == a_key()
    queue.done(a_key())
    time.now += 60
    assert queue.take() is None


def test_an_event_does_not_wait_for_a_delay() -> None:
    time = Time()
    queue = a_queue(time)
    queue.add_after(a_key(), 60)
    queue.add(a_key())
    assert queue.take() == a_key()
    queue.done(a_key())
    time.now += 60
    assert queue.take() is None


def test_failures_wait_longer_each_time_until_one_succeeds() -> None:
    time = Time()
    queue = a_queue(time)
    queue.add(a_key())
    delays = []
    for _ in range(4):
        time.now += 60
        assert queue.take() == a_key()
        delays.append(queue.failed(a_key()))
    assert delays == [0.5, 1.0, 2.0, 4.0]
    time.now += 60
    queue.take()
    queue.done(a_key())
    queue.add(a_key())
    queue.take()
    assert queue.failed(a_key()) == 0.5


def test_a_reconcile_that_wakes_itself_and_fails_still_waits() -> None:
    queue = a_queue()
    queue.add(a_key())
    queue.take()
    queue.add(a_key())
    queue.failed(a_key())
    assert queue.take() is None


@given(failures=st.integers(0, 10_000), random=st.floats(0, 1))
def test_backoff_is_bounded_and_at_least_half_of_its_most(failures: int, random: float) -> None:
    assert backoff(failures, 1.0) / 2 <= backoff(failures, random) <= LAST_BACKOFF


def test_namespaces_take_turns() -> None:
    queue = a_queue()
    for i in range(3):
        queue.add(a_key(f"m{i}", "many"))
    queue.add(a_key("only", "one"))
    assert [key.name for key in drained(queue)] == ["m0", "only", "m1", "m2"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "later", "take", "done", "failed"]), st.integers(0, 3)),
        max_size=60,
    )
)
def test_nothing_that_was_added_is_forgotten(steps: list[tuple[str, int]]) -> None:
    time = Time()
    queue = a_queue(time)
    owed: set[Key] = set()
    running: set[Key] = set()
    for step, number in steps:
        key = a_key(f"m{number}", f"n{number % 2}")
        if step in {"add", "later"}:
            owed.add(key)
            queue.add(key) if step == "add" else queue.add_after(key, number)
        elif step == "take" and (taken := queue.take()):
            assert taken not in running
            owed.discard(taken)
            running.add(taken)
        elif step == "done" and key in running:
            running.discard(key)
            queue.done(key)
        elif step == "failed" and key in running:
            running.discard(key)
            owed.add(key)
            queue.failed(key)
    for key in sorted(running):
        queue.done(key)
    time.now += 1000
    assert owed <= set(drained(queue))


async def test_a_waiting_worker_wakes_when_something_is_added() -> None:
    queue = a_queue()
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    queue.add(a_key())
    assert await waiting == a_key()


async def test_two_waiting_workers_get_two_keys() -> None:
    queue = a_queue()
    waiting = [asyncio.create_task(queue.next()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add(a_key("one"))
    queue.add(a_key("two"))
    assert {key.name for key in await asyncio.gather(*waiting)} == {"one", "two"}


@pytest.mark.parametrize("delay", [0.0, -1.0])
def test_no_delay_is_now(delay: float) -> None:
    queue = a_queue()
    queue.add_after(a_key(), delay)
    assert queue.take() == a_key()

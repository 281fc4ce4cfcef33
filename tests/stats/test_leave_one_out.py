"""Whether an abort rests on one pod."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.leave_one_out import LeaveOneOut
from driftline_stats.rates import RateBatch, RateRatio

START = LeaveOneOut.start((RateRatio.above(), RateRatio.above(1.2)))
Slot = dict[str, tuple[RateBatch, RateBatch]]


@st.composite
def batches(draw: st.DrawFn) -> RateBatch:
    stable, canary = draw(st.integers(0, 1000)), draw(st.integers(0, 1000))
    return RateBatch(
        stable_units=stable,
        stable_events=draw(st.integers(0, stable)),
        canary_units=canary,
        canary_events=draw(st.integers(0, canary)),
    )


slots = st.dictionaries(st.sampled_from("abc"), st.tuples(batches(), batches()))


def stable(events: int) -> tuple[RateBatch, ...]:
    return (RateBatch(stable_units=1000, stable_events=events),)


def canary(events: int) -> tuple[RateBatch, ...]:
    return (RateBatch(canary_units=100, canary_events=events),)


@given(st.lists(slots, max_size=4))
def test_without_a_pod_is_as_if_it_had_never_been(seen: list[Slot]) -> None:
    test, expected = START, LeaveOneOut.start(START.whole)
    for slot in seen:
        test = test.update(slot)
        expected = expected.update({pod: slot[pod] for pod in slot if pod != "a"})
    logs = [each.logs for each in test.without.get("a", test.whole)]
    assert logs == [each.logs for each in expected.whole]


@given(st.lists(slots, max_size=4), st.randoms())
def test_merging_is_one_pass_in_any_order(seen: list[Slot], random: Any) -> None:
    one_pass = merged = START
    for slot in seen:
        one_pass = one_pass.update(slot)
    random.shuffle(seen)
    for slot in seen:
        merged = START.update(slot).merge(merged)
    assert merged.without.keys() == one_pass.without.keys()
    for pod in merged.without:
        for a, b in zip(merged.without[pod], one_pass.without[pod], strict=True):
            assert a.logs == pytest.approx(b.logs, rel=1e-9, abs=1e-6)
            assert a.seen == b.seen
    assert LeaveOneOut.from_json(merged.to_json()) == merged


def test_an_abort_that_all_pods_support_rests_on_none() -> None:
    test = LeaveOneOut.start((RateRatio.above(),))
    slot = {"s0": stable(10), "s1": stable(10)}
    test = test.update(slot | {f"c{at}": canary(10) for at in range(4)})
    assert test.rests_on(0.05) == ()
    assert len(test.without) == 6


def test_an_abort_by_the_only_canary_pod_rests_on_it() -> None:
    slot = {"s0": stable(10), "s1": stable(10), "c": canary(30)}
    assert LeaveOneOut.start((RateRatio.above(),)).update(slot).rests_on(0.05) == ("c",)


def test_an_abort_by_one_bad_pod_of_several_rests_on_it() -> None:
    slot = {"s0": stable(10), "s1": stable(10), "c0": canary(1), "c1": canary(30)}
    assert LeaveOneOut.start((RateRatio.above(),)).update(slot).rests_on(0.05) == ("c1",)


def test_without_an_abort_nothing_is_named() -> None:
    test = LeaveOneOut.start((RateRatio.above(),)).update({"s": stable(10), "c": canary(1)})
    assert test.rests_on(0.05) == ()


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(BatchError, match="a: 1 batches, expected 2"):
        START.update({"a": stable(1)})
    with pytest.raises(StateError, match="2 tests are not 1"):
        START.merge(LeaveOneOut.start((RateRatio.above(),)))
    with pytest.raises(StateError, match="a: 1 tests, expected 2"):
        LeaveOneOut(whole=START.whole, without={"a": START.whole[:1]})

"""The interval is what the tests of both directions do not reject."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats import intervals
from driftline_stats.errors import StateError
from driftline_stats.intervals import Interval, RatioInterval
from driftline_stats.rates import RateBatch, RateRatio

counts = st.integers(0, 10**6)


@st.composite
def batches(draw: st.DrawFn) -> RateBatch:
    stable, canary = draw(counts), draw(counts)
    return RateBatch(
        stable_units=stable,
        stable_events=draw(st.integers(0, stable)),
        canary_units=canary,
        canary_events=draw(st.integers(0, canary)),
    )


def as_array(slots: list[RateBatch]) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    rows = [(s.stable_units, s.stable_events, s.canary_units, s.canary_events) for s in slots]
    return np.array(rows, np.int64).reshape(-1, 4)


@pytest.mark.parametrize("direction", [1, -1])
def test_its_ends_are_the_last_ratios_that_the_tests_reject(direction: int) -> None:
    slots = np.array([[9500, 40, 500, 4], [8000, 35, 2000, 17]])
    found = RatioInterval().update_many(slots).at(0.05)
    end = found.low if direction > 0 else found.high
    factors = [1.05 ** (direction * step) for step in intervals._REACH]
    start = RateRatio.above if direction > 0 else RateRatio.below
    for steps, rejected in ((0, True), (1, False)):
        null = end * 1.05 ** (direction * steps)
        assert start(null, factors).update_many(slots).verdict(0.025).rejected == rejected


@given(st.lists(batches(), max_size=4))
def test_merging_is_one_pass_in_any_order(slots: list[RateBatch]) -> None:
    one_pass = merged = RatioInterval()
    for slot in slots:
        one_pass = one_pass.update(slot)
    for slot in reversed(slots):
        merged = RatioInterval().update(slot).merge(merged)
    many = RatioInterval().update_many(as_array(slots))
    for other in (merged, many):
        assert other.gains == pytest.approx(one_pass.gains, rel=1e-9, abs=1e-6)


@given(st.lists(batches(), min_size=1, max_size=4))
def test_the_path_holds_the_interval_after_each_slot(slots: list[RateBatch]) -> None:
    state = RatioInterval()
    for slot, ends in zip(slots, RatioInterval().path(as_array(slots), 0.1), strict=True):
        state = state.update(slot)
        found = state.at(0.1)
        # one grid step apart at most, where rounding decides about a bar that is met exactly
        assert [found.low, found.high] == pytest.approx(list(ends), rel=0.051)


@given(batches())
def test_is_stored_exactly(slot: RateBatch) -> None:
    state = RatioInterval().update(slot)
    assert RatioInterval.from_json(state.to_json()) == state


@given(batches())
def test_holds_the_ratio_that_was_seen(one: RateBatch) -> None:
    found = RatioInterval().update(one).at(0.05)
    assert 0 <= found.low <= math.inf
    if one.canary_units and one.stable_units:
        rates = one.canary_events / one.canary_units, one.stable_events / one.stable_units
        if rates[1] and 0.02 < (seen := rates[0] / rates[1]) < 49:
            assert found.low <= seen * 1.05
            assert found.high >= seen / 1.05


def test_a_billion_events_narrow_it_to_the_grid() -> None:
    slot = RateBatch(
        stable_units=10**10, stable_events=10**9, canary_units=10**10, canary_events=2 * 10**9
    )
    found = RatioInterval().update(slot).at(0.05)
    assert 2 / 1.11 < found.low < 2 < found.high < 2 * 1.11


@pytest.mark.parametrize(
    ("stable_events", "canary_events", "said"),
    [
        (0, 0, "anything (95 %)"),
        (0, 300, "or more (95 %)"),
        (300, 0, "or less (95 %)"),
        (100, 300, "x to "),
    ],
)
def test_says_what_it_knows(stable_events: int, canary_events: int, said: str) -> None:
    slot = RateBatch(
        stable_units=10**4,
        stable_events=stable_events,
        canary_units=10**4,
        canary_events=canary_events,
    )
    assert said in str(RatioInterval().update(slot).at(0.05))


def test_refuses_what_is_no_interval() -> None:
    with pytest.raises(ValueError, match="alpha"):
        RatioInterval().at(1.0)
    with pytest.raises(StateError, match="finite gains"):
        RatioInterval(gains=np.zeros(3))
    assert Interval(low=0, high=2, confidence=0.9).high == 2

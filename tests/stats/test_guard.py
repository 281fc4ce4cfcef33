"""The canary's rate against a fixed level."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.guard import RateLevel
from driftline_stats.rates import RateBatch

levels = st.floats(1e-6, 0.999)
guards = st.builds(RateLevel.above, levels) | st.builds(RateLevel.below, levels)


@st.composite
def canaries(draw: st.DrawFn) -> RateBatch:
    units = draw(st.integers(0, 10**9))
    return RateBatch(canary_units=units, canary_events=draw(st.integers(0, units)))


def test_is_the_likelihood_ratio_of_the_canarys_events() -> None:
    guard = RateLevel.above(0.1, [2.0]).update(RateBatch(canary_units=20, canary_events=3))
    expected = 3 * math.log(2) + 17 * math.log(0.8 / 0.9)
    assert guard.log_evidence == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("guard", [RateLevel.above(0.1), RateLevel.below(0.1)])
def test_its_expectation_at_the_level_is_1_and_less_within_the_null(guard: RateLevel) -> None:
    def expectation(p: float) -> float:
        return sum(
            math.comb(8, x)
            * p**x
            * (1 - p) ** (8 - x)
            * math.exp(guard.update(RateBatch(canary_units=8, canary_events=x)).log_evidence)
            for x in range(9)
        )

    inside = 0.05 if guard.levels[0] > 0.1 else 0.2
    assert expectation(0.1) == pytest.approx(1)
    assert expectation(inside) < 0.9


def test_units_that_differ_keep_to_the_null_by_their_mean() -> None:
    rates = (0.0, 0.0, 0.3, 0.1)
    guard = RateLevel.above(0.1)
    mean = 0.0
    for outcome in itertools.product((0, 1), repeat=4):
        probability = math.prod(p if y else 1 - p for p, y in zip(rates, outcome, strict=True))
        slot = RateBatch(canary_units=4, canary_events=sum(outcome))
        mean += probability * math.exp(guard.update(slot).log_evidence)
    assert mean <= 1


@given(guards, st.lists(canaries(), max_size=5), st.randoms())
def test_merging_is_one_pass_in_any_order(
    guard: RateLevel, slots: list[RateBatch], random: Any
) -> None:
    one_pass = merged = guard
    for slot in slots:
        one_pass = one_pass.update(slot)
    random.shuffle(slots)
    for slot in slots:
        merged = guard.update(slot).merge(merged)
    array = np.array([(0, 0, s.canary_units, s.canary_events) for s in slots], np.int64)
    for other in (merged, guard.update_many(array.reshape(-1, 4))):
        assert other.logs == pytest.approx(one_pass.logs, rel=1e-9, abs=1e-3)
        assert (other.units, other.events) == (one_pass.units, one_pass.events)


@given(guards, st.lists(canaries(), min_size=1, max_size=5))
def test_the_path_is_the_evidence_after_each_slot(guard: RateLevel, slots: list[RateBatch]) -> None:
    array = np.array([(0, 0, s.canary_units, s.canary_events) for s in slots], np.int64)
    for slot, log_evidence in zip(slots, guard.path(array), strict=True):
        guard = guard.update(slot)
        assert guard.log_evidence == pytest.approx(log_evidence, rel=1e-9, abs=1e-3)


@given(guards, st.lists(canaries(), max_size=3))
def test_is_stored_exactly(guard: RateLevel, slots: list[RateBatch]) -> None:
    for slot in slots:
        guard = guard.update(slot)
    assert RateLevel.from_json(guard.to_json()) == guard


def test_the_alternative_that_nothing_ever_fails_dies_with_the_first_event() -> None:
    floor = RateLevel.below(0.01).update(RateBatch(canary_units=10, canary_events=1))
    assert floor.logs[0] == -math.inf
    assert math.isfinite(floor.log_evidence)
    assert floor.update(RateBatch(canary_units=10**6)).log_evidence > 100


def test_alternatives_stay_below_1() -> None:
    assert RateLevel.above(0.3).levels == pytest.approx((0.33, 0.375, 0.45, 0.6))
    assert RateLevel.above(0.95).levels == pytest.approx((0.975,))


def test_stables_events_do_not_matter() -> None:
    guard = RateLevel.above(0.1)
    assert guard.update(RateBatch(stable_units=50, stable_events=50)) == guard


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 2.0, math.nan])
def test_refuses_a_level_that_is_no_probability(level: float) -> None:
    for start in (RateLevel.above, RateLevel.below):
        with pytest.raises(StateError):
            start(level)


def test_refuses_alternatives_on_both_sides_and_another_test() -> None:
    with pytest.raises(StateError, match="must be above 1"):
        RateLevel.above(0.1, [0.5, 2.0])
    with pytest.raises(StateError, match="must be below 1"):
        RateLevel.below(0.1, [0.5, 2.0])
    stored = RateLevel.above(0.1, [2.0]).to_json()
    with pytest.raises(StateError, match="must all be above"):
        RateLevel.from_json(stored.replace('"levels":[0.2]', '"levels":[1.0]'))
    with pytest.raises(StateError, match=r"is not level 0\.2"):
        RateLevel.above(0.1).merge(RateLevel.above(0.2))
    with pytest.raises(BatchError):
        RateLevel.above(0.1).path(np.array([[0, 0, 1, 2]]))

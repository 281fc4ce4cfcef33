"""The ratio of two rates: the formula, and that it adds up over slots and replicas."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.rates import RateBatch, RateRatio, log_increments


def a_batch(stable: int, stable_events: int, canary: int, canary_events: int) -> RateBatch:
    return RateBatch(
        stable_units=stable,
        stable_events=stable_events,
        canary_units=canary,
        canary_events=canary_events,
    )


@st.composite
def batches(draw: st.DrawFn, most: int = 10**9) -> RateBatch:
    stable, canary = draw(st.integers(0, most)), draw(st.integers(0, most))
    return a_batch(stable, draw(st.integers(0, stable)), canary, draw(st.integers(0, canary)))


tests = st.builds(RateRatio.above, st.floats(0.1, 10)) | st.builds(
    RateRatio.below, st.floats(0.1, 10)
)


def as_array(slots: list[RateBatch]) -> np.ndarray[Any, np.dtype[np.int64]]:
    rows = [
        (each.stable_units, each.stable_events, each.canary_units, each.canary_events)
        for each in slots
    ]
    return np.array(rows, np.int64).reshape(-1, 4)


def close(one: RateRatio, other: RateRatio) -> bool:
    same_logs = one.logs == pytest.approx(other.logs, rel=1e-9, abs=1e-3)
    return one.seen == other.seen and bool(same_logs)


def test_is_the_likelihood_ratio_of_the_canarys_events_given_those_of_both() -> None:
    test = RateRatio.above(1.5, [2.0]).update(a_batch(800, 5, 200, 4))
    share, r = 0.2, 3.0
    under_r = share * r / (1 - share + share * r)
    under_null = share * 1.5 / (1 - share + share * 1.5)
    expected = 4 * math.log(under_r / under_null) + 5 * math.log((1 - under_r) / (1 - under_null))
    assert test.log_evidence == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("null_ratio", [1.0, 1.3])
@pytest.mark.parametrize(("low", "high"), [(0.01, 0.01), (0.3, 0.3), (0.01, 0.4)])
def test_its_expectation_is_at_most_1_for_bernoulli_units(
    null_ratio: float, low: float, high: float
) -> None:
    """Enumerated: six stable units, four of the canary, with rates that differ within an arm."""
    stable = np.linspace(low, high, 6) / null_ratio
    canary = np.full(4, null_ratio * stable.mean())
    expected = 0.0
    for outcome in itertools.product((0, 1), repeat=10):
        p = np.concatenate([stable, canary])
        probability = np.where(outcome, p, 1 - p).prod()
        slot = a_batch(6, sum(outcome[:6]), 4, sum(outcome[6:]))
        expected += probability * math.exp(RateRatio.above(null_ratio).update(slot).log_evidence)
    assert 0.5 < expected <= 1 + 1e-12


def test_a_shared_incident_is_no_evidence_where_assignment_is_at_random() -> None:
    """All outcomes the same in either arm, however many: the mean over assignments is at most 1."""
    for events in range(11):
        ways = [math.comb(events, x) * math.comb(10 - events, 4 - x) for x in range(5)]
        mean = sum(
            way
            / math.comb(10, 4)
            * math.exp(RateRatio.above().update(a_batch(6, events - x, 4, x)).log_evidence)
            for x, way in enumerate(ways)
            if way
        )
        assert mean <= 1 + 1e-12


@given(tests, st.lists(batches(), max_size=6), st.randoms())
def test_merging_is_one_pass_in_any_order(
    test: RateRatio, slots: list[RateBatch], random: Any
) -> None:
    one_pass = test
    for slot in slots:
        one_pass = one_pass.update(slot)
    parts = [test.update(slot) for slot in slots]
    random.shuffle(parts)
    left = right = test
    for part in parts:
        left = left.merge(part)
    for part in reversed(parts):
        right = part.merge(right)
    assert close(left, one_pass)
    assert close(right, one_pass)
    assert close(test.update_many(as_array(slots)), one_pass)


@given(tests, st.lists(batches(10**6), min_size=1, max_size=6))
def test_the_path_is_the_evidence_after_each_slot(test: RateRatio, slots: list[RateBatch]) -> None:
    path = test.path(as_array(slots))
    for slot, log_evidence in zip(slots, path, strict=True):
        test = test.update(slot)
        assert test.log_evidence == pytest.approx(log_evidence, rel=1e-9, abs=1e-6)


@given(tests, st.lists(batches(10**4), min_size=2, max_size=4), st.randoms())
def test_the_order_of_replicas_within_a_slot_does_not_matter(
    test: RateRatio, replicas: list[RateBatch], random: Any
) -> None:
    in_order = sum(replicas, RateBatch())
    random.shuffle(replicas)
    assert test.update(sum(replicas, RateBatch())) == test.update(in_order)


@given(tests, st.lists(batches(), max_size=3))
def test_is_stored_exactly(test: RateRatio, slots: list[RateBatch]) -> None:
    for slot in slots:
        test = test.update(slot)
    assert RateRatio.from_json(test.to_json()) == test


@given(tests, batches())
def test_a_slot_of_one_arm_only_says_nothing(test: RateRatio, slot: RateBatch) -> None:
    only_stable = a_batch(slot.stable_units, slot.stable_events, 0, 0)
    only_canary = a_batch(0, 0, slot.canary_units, slot.canary_events)
    assert test.update(only_stable).update(only_canary).logs == test.logs


def test_slots_of_different_shares_are_not_to_be_added() -> None:
    """Equal rates, and an incident while the canary has half: added up, it looks guilty."""
    quiet, incident = a_batch(9500, 0, 500, 0), a_batch(500, 100, 500, 100)
    right = RateRatio.above().update(quiet).update(incident)
    wrong = RateRatio.above().update(quiet + incident)
    assert right.log_evidence < 0
    assert wrong.log_evidence > 100


def test_a_billion_events_and_extreme_evidence_stay_finite() -> None:
    slot = a_batch(2 * 10**9, 10**9, 2 * 10**9, 2 * 10**9)
    test = RateRatio.above().update(slot).update(slot)
    assert 1e6 < test.log_evidence < math.inf
    assert test.verdict(1e-300).rejected
    assert -math.inf < RateRatio.below(1.5).update(slot).log_evidence < -1e6
    assert RateRatio.above().update(a_batch(10**30, 10, 10**30, 10)).log_evidence <= 0


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((10, 11, 0, 0), "stable: 11 events of 10 units"),
        ((10, 0, 5, -1), "canary: -1 events of 5 units"),
        ((-1, -1, 5, 1), "stable: -1 events"),
        ((10.5, 0, 5, 0), "stable_units must be an integer, got 10.5"),
    ],
)
def test_refuses_counts_that_contradict_themselves(counts: Any, said: str) -> None:
    with pytest.raises(BatchError, match=said):
        a_batch(*counts)
    with pytest.raises(BatchError):
        RateRatio.above().update_many(np.array([counts]))


def test_counts_of_numpy_become_integers() -> None:
    assert a_batch(np.int64(3), True, 2, 0) == a_batch(3, 1, 2, 0)  # type: ignore[arg-type]  # what callers have


def test_refuses_another_test() -> None:
    with pytest.raises(StateError, match="is not ratio 2"):
        RateRatio.above(1.0).merge(RateRatio.above(2.0))


@pytest.mark.parametrize(
    ("null_ratio", "factors"),
    [
        (0.0, (2.0,)),
        (-1.0, (2.0,)),
        (1.0, ()),
        (1.0, (0.5, 2.0)),
        (1.0, (1.0,)),
        (math.nan, (2.0,)),
    ],
)
def test_refuses_a_plan_that_is_none(null_ratio: float, factors: tuple[float, ...]) -> None:
    with pytest.raises(StateError):
        RateRatio.above(null_ratio, factors)


def test_refuses_alternatives_in_the_other_direction() -> None:
    with pytest.raises(StateError, match="above 1"):
        RateRatio.above(1.0, [0.5])
    with pytest.raises(StateError, match="below 1"):
        RateRatio.below(1.0, [2.0])


def test_refuses_a_stored_state_whose_logarithms_are_none() -> None:
    stored = RateRatio.above(1.0, [2.0]).to_json()
    for wrong in ('["nan"]', '["inf"]', "[0,0]"):
        with pytest.raises(StateError):
            RateRatio.from_json(stored.replace('"logs":[0.0]', f'"logs":{wrong}'))


def test_refuses_slots_of_another_shape() -> None:
    with pytest.raises(BatchError, match=r"expected integers \(..., 4\)"):
        RateRatio.above().path(np.zeros((5, 3), np.int64))


def test_increments_of_empty_slots_are_zero() -> None:
    assert not log_increments(np.zeros((2, 4), np.int64), 1.0, [2.0]).any()

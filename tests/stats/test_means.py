"""A mean is worse when exact tilting and the bounds of the means both say so."""

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.mean_bounds import MeanBounds
from driftline_stats.means import TILTS, MeanBatch, MeanPlan, MeanShift, MeanSums

PLAN = MeanPlan(low=-3, high=3, center=0, sd=1)

outcomes = st.lists(st.floats(-9, 9), max_size=10)
Slot = tuple[list[float], list[float]]
slots: st.SearchStrategy[Slot] = st.tuples(outcomes, outcomes)
anything = st.lists(
    st.floats() | st.integers() | st.text() | st.none() | st.booleans(), max_size=15
)


def after(*seen: Slot, plan: MeanPlan = PLAN) -> MeanShift:
    test = MeanShift(plan=plan)
    for stable, canary in seen:
        test = test.update(MeanBatch.of(stable, canary, plan))
    return test


def close(a: MeanShift, b: MeanShift) -> bool:
    return (
        a.log_tilted == pytest.approx(b.log_tilted, abs=1e-9)
        and a.bounds.weighted == pytest.approx(b.bounds.weighted, abs=1e-9)
        and (a.missing_stable, a.missing_canary) == (b.missing_stable, b.missing_canary)
    )


def normal(seed: int, count: int, mean: float = 0, sd: float = 1) -> list[float]:
    drawn: list[float] = np.random.default_rng(seed).normal(mean, sd, count).tolist()
    return drawn


@given(slots)
def test_evidence_is_what_the_formula_says(slot: Slot) -> None:
    stable, canary = (np.clip(np.array(arm), -3, 3) for arm in slot)
    expected = [
        tilt * canary.sum() - canary.size * math.log(tilted(np.append(stable, canary), tilt))
        if stable.size and canary.size
        else 0.0
        for tilt in TILTS
    ]
    assert after(slot).log_tilted == pytest.approx(expected, abs=1e-9)


def tilted(values: npt.NDArray[np.float64], tilt: float) -> float:
    return float(np.exp(tilt * values).mean())


def test_over_all_ways_to_split_a_batch_evidence_is_at_most_1_on_average() -> None:
    values = [0.0, 0.0, 0.1, 1.0, 1.2, 3.0, 3.0]
    evidences = []
    for chosen in combinations(range(len(values)), 3):
        canary = [values[at] for at in chosen]
        stable = [value for at, value in enumerate(values) if at not in chosen]
        evidences.append(np.exp(after((stable, canary)).log_tilted))
    assert (np.mean(evidences, axis=0) <= 1).all()
    assert np.max(evidences) > 2


@given(slots, slots)
def test_replicas_of_a_slot_add_up_to_one_batch(a: Slot, b: Slot) -> None:
    added = MeanBatch.of(*a, PLAN) + MeanBatch.of(*b, PLAN)
    whole = (b[0] + a[0], b[1] + a[1])
    assert close(MeanShift(plan=PLAN).update(added), after(whole))


@given(slots, slots, slots)
def test_tests_of_different_slots_merge_to_one_pass(a: Slot, b: Slot, c: Slot) -> None:
    whole = after(a, b, c)
    assert close(after(a).merge(after(b)).merge(after(c)), whole)
    assert close(after(a).merge(after(b).merge(after(c))), whole)
    assert close(after(c, b).merge(after(a)), whole)


@given(st.lists(slots, max_size=3))
def test_a_test_comes_back_from_json_as_it_was(seen: list[Slot]) -> None:
    test = after(*seen)
    read = MeanShift.from_json(test.to_json())
    assert read == test
    batch = MeanBatch.of([1.0], [2.0], PLAN)
    assert read.update(MeanBatch.from_json(batch.to_json())) == test.update(batch)


@given(anything, anything)
def test_no_outcome_raises(stable: list[object], canary: list[object]) -> None:
    batch = MeanBatch.of(stable, canary, PLAN)
    assert batch.stable.units + batch.stable.missing == len(stable)
    assert math.isfinite(MeanShift(plan=PLAN).update(batch).log_evidence)


@given(anything)
def test_a_plan_is_frozen_from_whatever_has_a_number(values: list[object]) -> None:
    plan = MeanPlan.of([*values, 1.0])
    assert plan.low <= plan.center <= plan.high
    assert MeanPlan.from_json(plan.to_json()) == plan


def test_infinities_are_winsorised_and_missing_are_counted() -> None:
    sums = MeanSums.of([math.inf, -math.inf, math.nan, None, "x", 10**400], PLAN)
    assert (sums.units, sums.total, sums.missing) == (3, 3, 3)


def test_outcomes_are_winsorised_at_stables_quantiles() -> None:
    plan = MeanPlan.of(np.arange(10_001.0))
    assert (plan.low, plan.high) == (10.0, 9990.0)


def test_a_metric_that_is_nearly_always_zero_keeps_its_range() -> None:
    plan = MeanPlan.of([0.0] * 5000 + [7.0])
    assert (plan.low, plan.high) == (0.0, 7.0)


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_a_worse_mean_is_found_in_its_direction_only(direction: str) -> None:
    plan = MeanPlan.of(normal(1, 1000, 10, 2), direction=direction)
    worse = 1.0 if direction == "higher" else -1.0
    for shift, rejected in ((worse, True), (0, False), (-worse, False)):
        slots = [(normal(at, 400, 10, 2), normal(~at % 99, 100, 10 + shift, 2)) for at in range(9)]
        assert after(*slots, plan=plan).verdict(0.05).rejected is rejected


def test_the_interval_is_in_the_unit_of_the_metric() -> None:
    plan = MeanPlan.of(normal(1, 1000, 100, 20))
    test = after((normal(2, 9000, 100, 20), normal(3, 9000, 110, 20)), plan=plan)
    low, high = test.interval(0.05)
    assert 8 < low < test.difference < high < 12
    assert test.difference == pytest.approx(10, abs=1)


def test_a_difference_within_the_tolerance_is_no_verdict() -> None:
    slots = [(normal(at, 400), normal(~at % 99, 100, 0.2)) for at in range(40)]
    for tolerance, rejected in ((0.0, True), (0.3, False)):
        plan = MeanPlan.of(normal(1, 1000), tolerance=tolerance)
        assert after(*slots, plan=plan).verdict(0.05).rejected is rejected


def test_a_wider_canary_of_equal_mean_is_held_back_by_the_bounds() -> None:
    wide = np.array([-3.0, 3.0] * 20) + 0.2
    slots = [(normal(at, 760), wide.tolist()) for at in range(10)]
    test = after(*slots, plan=MeanPlan(low=-9, high=9, center=0, sd=1))
    verdict = test.verdict(0.05)
    assert test.log_evidence_tilting > math.log(20)
    assert test.log_evidence < math.log(20)
    assert not verdict.rejected
    assert "the means may be equal: their difference is in [" in verdict.held_back


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_an_equal_mean_is_certified_and_one_worse_by_the_margin_is_not(direction: str) -> None:
    plan = MeanPlan.of(normal(1, 1000, 10, 2), direction=direction)
    worse = 0.5 if direction == "higher" else -0.5
    for shift, certified in ((0, True), (-worse, True), (worse, False)):
        test = after((normal(2, 4000, 10, 2), normal(3, 4000, 10 + shift, 2)), plan=plan)
        assert (test.log_certificate(0.5) >= math.log(20)) is certified
        low, high = test.interval(0.05)
        assert certified is (high < 0.5 if direction == "higher" else low > -0.5)


def test_a_constant_metric_is_no_evidence() -> None:
    plan = MeanPlan.of([5.0] * 100)
    test = after(([5.0] * 100, [6.0] * 100), plan=plan)
    assert test.log_evidence <= 0
    assert test.interval(0.05) == (-math.inf, math.inf)


def test_evidence_beyond_what_a_double_holds_is_still_evidence() -> None:
    n = 10**9
    ones = MeanSums(
        units=n, total=float(n), squares=float(n), tilted=tuple(n * math.exp(t) for t in TILTS)
    )
    zeros = MeanSums(units=n, tilted=(float(n),) * 6)
    worse = MeanShift(plan=PLAN).update(MeanBatch(stable=zeros, canary=ones))
    better = MeanShift(plan=PLAN).update(MeanBatch(stable=ones, canary=zeros))
    assert worse.verdict(1e-300).rejected
    assert better.log_evidence < -300 * math.log(10)


def test_outcomes_far_from_zero_lose_no_digits() -> None:
    near = MeanPlan.of(normal(1, 1000))
    far = MeanPlan.of([1e9 + each for each in normal(1, 1000)])
    slot = (normal(2, 400), normal(3, 100, 0.3))
    moved = tuple([1e9 + each for each in arm] for arm in slot)
    assert after(slot, plan=near).log_evidence == pytest.approx(
        after((moved[0], moved[1]), plan=far).log_evidence, abs=1e-4
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"direction": "up"}, "higher or lower"),
        ({"low": 1}, "must lie between"),
        ({"high": math.inf}, "must lie between"),
        ({"center": math.nan}, "must lie between"),
        ({"sd": -1}, "not negative"),
        ({"tolerance": -1}, "not negative"),
        ({"sd": 1e-9}, "500 sd"),
    ],
)
def test_refuses_a_plan_that_contradicts_itself(fields: dict[str, float], said: str) -> None:
    plan = {"low": -1, "high": 1, "center": 0, "sd": 1} | fields
    with pytest.raises(StateError, match=said):
        MeanPlan(**plan)  # type: ignore[arg-type]  # wrong on purpose


def test_refuses_what_does_not_fit() -> None:
    fine = MeanSums.of([1.0], PLAN)
    test = MeanShift(plan=PLAN)
    for wrong, said in (
        (MeanSums(units=-1), "negative number"),
        (MeanSums(tilted=(1.0,)), "1 tilted sums"),
        (MeanSums(total=math.nan), "not finite"),
        (MeanSums(units=1), "not positive"),
    ):
        with pytest.raises(BatchError, match=f"canary has .*{said}"):
            test.update(MeanBatch(stable=fine, canary=wrong))
        with pytest.raises(BatchError, match=f"stable has .*{said}"):
            test.update(MeanBatch(stable=wrong, canary=fine))
    with pytest.raises(ValueError, match="margin"):
        test.log_certificate(0)
    with pytest.raises(StateError, match="different plans"):
        test.merge(MeanShift(plan=MeanPlan(low=-3, high=3, center=0, sd=2)))
    with pytest.raises(StateError, match="nothing to freeze"):
        MeanPlan.of([math.nan])


def test_bounds_tuned_for_little_traffic_are_tighter_there_and_wider_later() -> None:
    early, late = MeanBounds(tuned_at=50), MeanBounds(tuned_at=50_000)
    widths = []
    for count in (100, 100_000):
        batch = MeanBatch.of(normal(1, count), normal(2, count), PLAN)
        tests = (MeanShift(plan=PLAN, bounds=bounds).update(batch) for bounds in (early, late))
        widths.append([test.interval(0.05).high - test.difference for test in tests])
    assert widths[0][0] < widths[0][1]
    assert widths[1][0] > widths[1][1]

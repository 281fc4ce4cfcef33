"""Bounds of a difference of means: right in size, additive, silent while there is too little."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.mean_bounds import MeanBounds, Moments

outcomes = st.lists(st.floats(-30, 30), max_size=12)
Slot = tuple[list[float], list[float]]
slots: st.SearchStrategy[Slot] = st.tuples(outcomes, outcomes)


def moments(values: list[float]) -> Moments:
    array = np.array(values)
    return Moments(array.size, float(array.sum()), float(array @ array))


def after(*seen: Slot) -> MeanBounds:
    bounds = MeanBounds()
    for stable, canary in seen:
        bounds = bounds.update(moments(stable), moments(canary))
    return bounds


def drawn(rng: np.random.Generator, sizes: tuple[int, int], shift: float, sd: float = 1.0) -> Slot:
    return rng.normal(0, 1, sizes[0]).tolist(), rng.normal(shift, sd, sizes[1]).tolist()


@given(slots, slots, slots)
def test_batches_merge_in_any_order_to_one_pass(a: Slot, b: Slot, c: Slot) -> None:
    whole = after(a, b, c)
    for merged in (
        after(a).merge(after(b)).merge(after(c)),
        after(a).merge(after(b).merge(after(c))),
        after(c, b).merge(after(a)),
    ):
        assert (merged.units_stable, merged.units_canary) == (
            whole.units_stable,
            whole.units_canary,
        )
        assert merged.weighted == pytest.approx(whole.weighted, abs=1e-6)
        assert merged.variance == pytest.approx(whole.variance, abs=1e-6, nan_ok=True)


@given(st.lists(slots, max_size=4))
def test_bounds_come_back_from_json_as_they_were(seen: list[Slot]) -> None:
    bounds = after(*seen)
    assert MeanBounds.from_json(bounds.to_json()) == bounds


@given(st.lists(slots, max_size=4), st.floats(-100, 100))
def test_a_base_level_of_its_own_in_each_batch_changes_nothing(
    seen: list[Slot], level: float
) -> None:
    shifted = [
        ([each + level * at for each in stable], [each + level * at for each in canary])
        for at, (stable, canary) in enumerate(seen)
    ]
    there, here = after(*shifted), after(*seen)
    assert there.weighted == pytest.approx(here.weighted, abs=1e-6)
    assert there.variance == pytest.approx(here.variance, abs=1e-4, nan_ok=True)


@given(st.lists(slots, min_size=1, max_size=4), st.floats(-2, 2))
def test_swapping_the_arms_turns_the_sign(seen: list[Slot], margin: float) -> None:
    swapped = after(*((canary, stable) for stable, canary in seen))
    assert swapped.log_evidence(margin) == pytest.approx(
        after(*seen).log_evidence(margin, lower=True), abs=1e-6
    )


def test_the_interval_is_where_the_evidence_reaches_the_bar() -> None:
    rng = np.random.default_rng(1)
    bounds = after(*(drawn(rng, (450, 50), 0.1) for _ in range(30)))
    low, high = bounds.interval(0.1)
    assert bounds.log_evidence(low) == pytest.approx(math.log(20), abs=1e-6)
    assert bounds.log_evidence(-high, lower=True) == pytest.approx(math.log(20), abs=1e-6)
    assert 0.1 in bounds.interval(0.1)


def test_the_variance_is_that_of_the_weighted_sum() -> None:
    rng = np.random.default_rng(2)
    sums = [after(*(drawn(rng, (40, 10), 0, 2.0) for _ in range(10))) for _ in range(400)]
    measured = float(np.var([each.weighted for each in sums]))
    assert np.mean([each.variance for each in sums]) == pytest.approx(measured, rel=0.2)


def test_a_batch_of_one_unit_an_arm_is_taken_to_vary_like_the_others() -> None:
    rng = np.random.default_rng(3)
    pairs = [drawn(rng, (2, 1), 0) for _ in range(2000)]
    bounds = after(*pairs, *(drawn(rng, (2, 2), 0) for _ in range(100)))
    assert bounds.variance == pytest.approx(2000 * 2 / 3 + 100, rel=0.15)


def test_a_canary_that_has_shown_one_value_only_takes_the_pooled_variance() -> None:
    rng = np.random.default_rng(4)
    bounds = after(*((rng.normal(0, 1, 500).tolist(), [0.0] * 50) for _ in range(10)))
    assert bounds.canary.variance == 0
    assert bounds.variance == pytest.approx(bounds.weight, rel=0.15)


def test_nothing_is_said_before_each_arm_has_thirty_units() -> None:
    rng = np.random.default_rng(5)
    few = after(drawn(rng, (1000, 29), 9))
    assert few.log_evidence() == 0
    assert few.interval(0.05) == (-math.inf, math.inf)
    assert after(drawn(rng, (1000, 30), 9)).log_evidence() > math.log(20)


def test_nothing_is_said_while_no_batch_tells_of_the_variance() -> None:
    bounds = after(*([([0.0], [5.0])] * 100))
    assert math.isnan(bounds.variance)
    assert bounds.log_evidence() == 0
    assert bounds.interval(0.05) == (-math.inf, math.inf)


def test_constants_that_differ_differ_and_equal_ones_do_not() -> None:
    assert after(([1.0] * 1000, [2.0] * 1000)).log_evidence() > math.log(1e6)
    assert after(([1.0] * 1000, [1.0] * 1000)).log_evidence() <= 0


@pytest.mark.parametrize("shift", [-1e3, 1e-9, 1e3])
def test_a_billion_units_and_any_shift_stay_finite(shift: float) -> None:
    n = 10**9
    bounds = MeanBounds().update(
        Moments(n, 0.0, float(n)), Moments(n, shift * n, n * (1 + shift**2))
    )
    for lower in (False, True):
        assert math.isfinite(bounds.log_evidence(lower=lower))
    assert shift in bounds.interval(0.05)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(StateError, match="positive"):
        MeanBounds(tuned_at=0)
    with pytest.raises(StateError, match="tuned differently"):
        MeanBounds().merge(MeanBounds(tuned_at=5))
    with pytest.raises(BatchError, match="no sums"):
        MeanBounds().update(Moments(-1, 0, 0), Moments(1, 0, 0))
    with pytest.raises(BatchError, match="no sums"):
        MeanBounds().update(Moments(1, math.nan, 0), Moments(1, 0, 0))
    with pytest.raises(ValueError, match="alpha"):
        MeanBounds().interval(0)

"""Evidence for a change spends a budget of rows, and starts again after an alarm."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.shiryaev_roberts import ShiryaevRoberts, share_of_budget

ratios = st.lists(st.floats(-400, 400) | st.just(-math.inf), min_size=3, max_size=3)


def test_starts_without_evidence() -> None:
    assert ShiryaevRoberts.start([1.0]).log_evidence == -math.inf


def test_follows_the_recursion() -> None:
    state = ShiryaevRoberts.start([0.25, 0.75])
    r = np.zeros(2)
    rng = np.random.default_rng(1)
    for _ in range(20):
        ratio, share = rng.lognormal(-0.5, 0.3, 2), rng.uniform(0, 0.05)
        r = (share + r) * ratio
        state = state.update(np.log(ratio), share=share)
        assert np.exp(state.log_r) == pytest.approx(r)
        assert state.evidence == pytest.approx(0.25 * r[0] + 0.75 * r[1])
    assert state.alarms == 0


def test_a_window_without_rows_changes_nothing() -> None:
    seen = ShiryaevRoberts.start([0.5, 0.5]).update(np.array([0.5, -1.0]), share=0.01)
    assert seen.update(np.zeros(2), share=0.0) == seen


def test_an_idle_model_never_alarms() -> None:
    state = ShiryaevRoberts.start([1.0])
    for _ in range(10_000):
        state = state.update(np.zeros(1), share=0.0)
    assert state.alarms == 0
    assert state.log_evidence == -math.inf


def test_without_signal_alarms_when_the_budget_is_used_up_however_it_is_cut() -> None:
    for rows in (1, 10, 250, 1000):
        state, used = ShiryaevRoberts.start([1.0]), 0
        while not state.alarmed:
            state, used = state.update(np.zeros(1), share=share_of_budget(rows, 1000)), used + rows
        assert 1000 <= used <= 1000 + rows


def test_starts_from_zero_after_an_alarm_which_stays_readable() -> None:
    alarmed = ShiryaevRoberts.start([1.0]).update(np.array([1000.0]), share=0.1)
    assert alarmed.alarmed
    assert alarmed.log_evidence == pytest.approx(1000 + math.log(0.1))
    after = alarmed.update(np.zeros(1), share=0.1)
    assert after.evidence == pytest.approx(0.1)
    assert after.alarms == 1
    assert not after.alarmed


@given(st.lists(ratios, max_size=30))
def test_no_evidence_is_too_large_or_small(windows: list[list[float]]) -> None:
    state = ShiryaevRoberts.start([0.2, 0.3, 0.5])
    for window in windows:
        state = state.update(np.array(window), share=1e-9)
        assert not math.isnan(state.log_evidence)
    assert ShiryaevRoberts.from_json(state.to_json()) == state


def test_false_alarms_are_a_budget_apart() -> None:
    """Gaussian ratios of mean 1: the mean distance is at least the budget."""
    rng, budget, distances = np.random.default_rng(7), 200, []
    tilts = np.array([0.2, 0.5])
    for _ in range(200):
        state, rows = ShiryaevRoberts.start([0.5, 0.5]), 0
        while not state.alarmed:
            z = rng.standard_normal(10)
            state = state.update(tilts * z.sum() - 5 * tilts**2, share=10 / budget)
            rows += 10
        distances.append(rows)
    assert np.mean(distances) >= budget


@pytest.mark.parametrize(
    ("window", "share", "said"),
    [
        ([0.0], 0.1, "expected 2 likelihood ratios"),
        ([0.0, math.nan], 0.1, "not a number"),
        ([0.0, math.inf], 0.1, "infinite"),
        ([0.0, 0.0], -0.1, "0 or more"),
        ([0.0, 0.0], math.nan, "0 or more"),
    ],
)
def test_refuses_a_window_that_is_none(window: list[float], share: float, said: str) -> None:
    with pytest.raises(BatchError, match=said):
        ShiryaevRoberts.start([0.5, 0.5]).update(np.array(window), share=share)


@pytest.mark.parametrize("weights", [[0.5], [], [1.5, -0.5], [math.nan]])
def test_refuses_weights_that_do_not_sum_to_one(weights: list[float]) -> None:
    with pytest.raises(StateError, match="sum to 1"):
        ShiryaevRoberts.start(weights)


def test_refuses_a_budget_of_nothing() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        share_of_budget(10, 0)
    with pytest.raises(BatchError, match="cannot have -1 rows"):
        share_of_budget(-1, 10)

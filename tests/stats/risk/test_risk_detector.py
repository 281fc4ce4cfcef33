"""A risk that has risen is found, and one that has not is left alone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.risk.detector import (
    ODDS,
    ODDS_OF_LOSSES,
    ErrorWindow,
    LossWindow,
    RiskDetector,
    upper_risk,
)


def a_detector(reference: float = 0.1, budget: float = 100_000) -> RiskDetector:
    return RiskDetector.start({"a": reference}, budget=budget)


def a_window(rows: int, errors: int, stratum: str = "a") -> ErrorWindow:
    return ErrorWindow(rows={stratum: rows}, errors={stratum: errors})


@st.composite
def windows(draw: st.DrawFn) -> ErrorWindow:
    rows = draw(st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**9), max_size=3))
    errors = {stratum: draw(st.integers(0, number)) for stratum, number in rows.items()}
    return ErrorWindow(rows=rows, errors=errors)


@pytest.mark.parametrize("reference", [0.01, 0.1, 0.7])
def test_a_bet_on_one_row_is_fair_at_the_reference_risk(reference: float) -> None:
    detector = a_detector(reference, budget=1.0)
    right, wrong = (detector.update(a_window(1, errors)).recursion.log_r for errors in (0, 1))
    mean = (1 - reference) * np.exp(right) + reference * np.exp(wrong)
    assert mean == pytest.approx(np.ones(len(ODDS)))


def test_alarms_when_errors_rise_and_not_before() -> None:
    detector = a_detector()
    for _ in range(100):
        detector = detector.update(a_window(100, 10))
    assert not detector.raised
    looks = 0
    while not detector.alarmed:
        detector, looks = detector.update(a_window(100, 16)), looks + 1
    assert looks < 10
    assert detector.verdict().rejected
    assert str(detector.verdict()).endswith("of 1 needed")


def test_the_condition_clears_after_rows_without_another_alarm() -> None:
    detector = a_detector().update(a_window(1000, 300))
    assert (detector.alarmed, detector.raised) == (True, True)
    detector = detector.update(a_window(9_999, 900))
    assert (detector.alarmed, detector.raised) == (False, True)
    assert not detector.update(a_window(1, 0)).raised


def test_an_idle_model_never_alarms() -> None:
    detector = a_detector()
    for _ in range(1000):
        detector = detector.update(ErrorWindow(rows={}, errors={}))
    assert detector.log_evidence == -math.inf


@pytest.mark.parametrize("errors", [0, 300])
def test_a_look_without_labels_changes_nothing(errors: int) -> None:
    seen = a_detector().update(a_window(1000, errors))
    assert seen.alarmed == bool(errors)
    for empty in (ErrorWindow(rows={"a": 0}, errors={}), seen.losses([]), seen.losses([math.nan])):
        assert seen.update(empty) == seen


def test_each_stratum_has_its_own_reference() -> None:
    risks = {"day": 0.2, "night": 0.01}
    detector = RiskDetector.start(risks, budget=1000)
    fine = ErrorWindow(rows={"day": 500, "night": 500}, errors={"day": 100, "night": 5})
    bad_night = ErrorWindow(rows={"day": 500, "night": 500}, errors={"day": 100, "night": 40})
    assert not detector.update(fine).alarmed
    assert detector.update(bad_night).alarmed


def test_a_stratum_without_reference_has_the_highest() -> None:
    detector = RiskDetector.start({"a": 0.01, "b": 0.2}, budget=1000)
    assert detector.update(a_window(500, 90, "c")).log_evidence == pytest.approx(
        detector.update(a_window(500, 90, "b")).log_evidence
    )


@given(windows(), windows())
def test_windows_of_replicas_add_in_any_order(one: ErrorWindow, two: ErrorWindow) -> None:
    assert one + two == two + one
    after = a_detector().update(one + two)
    assert after == a_detector().update(two + one)
    assert RiskDetector.from_json(after.to_json()) == after
    assert not math.isnan(after.log_evidence)


@given(st.lists(st.booleans(), max_size=40))
def test_losses_of_0_and_1_are_errors(wrong: list[bool]) -> None:
    detector = a_detector()
    counted = detector.update(a_window(len(wrong), sum(wrong)))
    summed = detector.update(detector.losses(wrong, "a"))
    assert summed.recursion.log_r == pytest.approx(counted.recursion.log_r, abs=1e-9)


@given(st.lists(st.floats(), max_size=20))
def test_any_losses_are_taken(values: list[float]) -> None:
    detector = RiskDetector.start({"a": 0.1}, budget=100.0, odds=ODDS_OF_LOSSES)
    window = detector.losses(values, "a")
    assert window.total + window.missing == len(values)
    after = detector.update(window + detector.losses(values[::-1], "new"))
    assert not math.isnan(after.log_evidence)
    assert LossWindow.from_json(window.to_json()) == window


def test_a_loss_that_is_no_number_is_missing() -> None:
    window = a_detector().losses([0.5, None, "lost", object(), math.nan, 10**400], "a")
    assert (window.total, window.missing, window.loss) == (2, 4, 1.5)


def test_refuses_what_is_no_window_or_no_plan() -> None:
    with pytest.raises(BatchError, match="stratum 'a': 3 errors of 2 rows"):
        a_window(2, 3)
    with pytest.raises(BatchError, match="0 rows"):
        ErrorWindow(rows={}, errors={"a": 1})
    with pytest.raises(BatchError, match="other odds"):
        _ = a_detector().losses([0.5]) + RiskDetector.start({}, budget=1, odds=(2.0,)).losses([0.5])
    with pytest.raises(BatchError, match="expected 4"):
        a_detector().update(RiskDetector.start({}, budget=1, odds=(2.0,)).losses([]))
    with pytest.raises(BatchError, match="a loss of 3"):
        LossWindow(total=1, missing=0, loss=3.0, log_sums=np.zeros(1))
    with pytest.raises(StateError, match="between 0 and 1"):
        a_detector(1.5)
    with pytest.raises(StateError, match="above 1"):
        RiskDetector.start({}, budget=1, odds=(1.0,))
    with pytest.raises(ValueError, match="more than 0"):
        a_detector(budget=0)


def test_an_upper_bound_of_the_risk_covers_it() -> None:
    rng = np.random.default_rng(5)
    errors = rng.binomial(1000, 0.1, 2000)
    bounds = {each: upper_risk(errors=each, rows=1000) for each in set(errors.tolist())}
    covered = np.mean([bounds[each] >= 0.1 for each in errors.tolist()])
    assert 0.94 <= covered <= 0.97
    assert upper_risk(errors=5, rows=5) == 1.0
    assert upper_risk(errors=0, rows=10**9, tolerance=0.01) == pytest.approx(0.01, abs=1e-6)
    with pytest.raises(BatchError, match="2 errors of 1 rows"):
        upper_risk(errors=2, rows=1)

"""What is said about a change: ranked, measured, and of which kind."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from driftline_stats.drift.build import build
from driftline_stats.drift.detector import DetectorPlan, Window
from driftline_stats.drift.distances import (
    Binned,
    Interval,
    population_stability,
    quantile_shift,
    wasserstein,
)
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.kind import Action, Kind, Observed, judge
from driftline_stats.drift.report import DriftReport, Seen, report_of
from driftline_stats.drift.rows import Feature, Rows, rows_of
from driftline_stats.drift.watched import reference_of, window_of
from driftline_stats.errors import BatchError

FEATURES = (
    Feature(name="age"),
    Feature(name="income"),
    Feature(name="city", kind="categorical"),
    Feature(name="score", role="prediction"),
)

FEW = settings(max_examples=25, deadline=None)
ROWS = 20_000


def draw(seed: int, rows: int = ROWS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "age": rng.normal(40, 10, rows),
        "income": rng.lognormal(10, 1, rows),
        "city": rng.choice(np.array(["Rome", "Oslo", "Lima"], object), rows),
        "score": rng.beta(2, 5, rows),
    }


PROFILE = build(FEATURES, rows_of(FEATURES, draw(1)))
PLAN = DetectorPlan.make(reference_of(PROFILE), budget=100_000, tolerance=0.05)


def report(columns: dict[str, np.ndarray]) -> DriftReport:
    rows: Rows = rows_of(FEATURES, columns)
    window = window_of(Kernel(PROFILE.plan).count(rows))
    return report_of(PROFILE, Seen(plan=PLAN, windows=(window,), deff=PLAN.deff))


def with_changed(**columns: np.ndarray) -> DriftReport:
    return report(draw(2) | columns)


def test_nothing_has_moved_when_nothing_has() -> None:
    seen = report(draw(2))
    assert seen.moved == ()
    assert seen.rows == ROWS
    assert all(each.psi.low == 0 for each in seen.channels)
    judgement = judge(Observed(report=seen, material=True, with_release=True, loss_rose=True))
    assert judgement.action is Action.NOTHING
    assert judgement.message == "nothing has moved"


def test_says_what_moved_and_how_far() -> None:
    seen = with_changed(age=draw(2)["age"] + 5)
    first = seen.channels[0]
    assert first.name == "age"
    assert first.by[0][:2] == ("location", "location")
    assert first.wasserstein is not None
    assert first.wasserstein.low < 5 < first.wasserstein.high
    for move in first.quantiles:
        assert move.shift.low < 5 < move.shift.high
    assert first.quantiles[2].reference == pytest.approx(40, abs=0.5)
    true_index = 0.25  # of two normals half a standard deviation apart
    assert first.psi.estimate == pytest.approx(true_index, rel=0.1)
    assert str(first).startswith("age: evidence 1e")
    assert "by location, PSI 0.2" in str(first)


def test_comes_back_from_json() -> None:
    seen = with_changed(age=draw(2)["age"] + 5)
    assert DriftReport.from_json(seen.to_json()) == seen


def test_what_moved_most_stands_first() -> None:
    seen = with_changed(age=draw(2)["age"] + 3, score=draw(2)["score"] + 0.15)
    names = [each.name for each in seen.moved if each.role in ("feature", "prediction")]
    assert names == ["score", "age"]


@pytest.mark.parametrize(
    ("columns", "kind", "channel", "said"),
    [
        ({"age": draw(2)["age"] + 5}, Kind.COVARIATE, "age", "evidence"),
        ({"score": draw(2)["score"] + 0.1}, Kind.PREDICTION, "score", "evidence"),
        (
            {"age": np.where(np.arange(ROWS) % 50 == 0, np.nan, draw(2)["age"])},
            Kind.INTEGRITY,
            "age",
            "age: 2.0% missing, 0.0% before",
        ),
        (
            {"city": np.where(np.arange(ROWS) % 50 == 0, "Kiev", draw(2)["city"])},
            Kind.INTEGRITY,
            "city",
            "city: 2.0% out of range or new, 0.0% before",
        ),
        ({"income": draw(2)["income"] * 100}, Kind.INTEGRITY, "income", "another unit"),
        ({"income": np.full(ROWS, np.inf)}, Kind.INTEGRITY, "income", "another unit"),
    ],
)
def test_tells_kinds_of_change_apart(
    columns: dict[str, np.ndarray], kind: Kind, channel: str, said: str
) -> None:
    judgement = judge(Observed(report=with_changed(**columns)))
    assert judgement.changes[0].kind is kind
    assert judgement.changes[0].channel == channel
    assert said in judgement.changes[0].message
    assert judgement.action is Action.WARN


COVARIATE = with_changed(age=draw(2)["age"] + 5)
FAULT = with_changed(age=np.where(np.arange(ROWS) % 50 == 0, np.nan, draw(2)["age"]))


@pytest.mark.parametrize(
    ("observed", "action"),
    [
        (Observed(report=COVARIATE), Action.WARN),
        (Observed(report=COVARIATE, material=True), Action.WARN),
        (Observed(report=COVARIATE, with_release=True, material=True), Action.WARN),
        (Observed(report=COVARIATE, loss_rose=True), Action.WARN),
        (Observed(report=COVARIATE, material=True, loss_rose=True), Action.RETRAIN),
        (Observed(report=COVARIATE, risk_rose=True), Action.ROLL_BACK),
        (Observed(report=COVARIATE, canary_differs=True), Action.ROLL_BACK),
        (Observed(report=FAULT), Action.WARN),
        (Observed(report=FAULT, with_release=True), Action.ROLL_BACK),
        (Observed(report=FAULT, material=True, loss_rose=True), Action.RETRAIN),
    ],
)
def test_a_covariate_shift_alone_never_rolls_back(observed: Observed, action: Action) -> None:
    assert judge(observed).action is action


def test_more_risk_is_concept_drift() -> None:
    judgement = judge(Observed(report=report(draw(2)), risk_rose=True))
    assert judgement.kinds == (Kind.CONCEPT,)


def test_refuses_a_plan_of_another_profile() -> None:
    other = build(FEATURES[:2], rows_of(FEATURES[:2], draw(1)))
    with pytest.raises(BatchError, match="another profile"):
        report_of(other, Seen(plan=PLAN, windows=(), deff=PLAN.deff))


def test_a_report_on_no_rows_says_nothing_and_does_not_fail() -> None:
    empty = Window(counts=np.zeros(PLAN.mixture.scores.bins, np.int64))
    seen = report_of(PROFILE, Seen(plan=PLAN, windows=(empty,), deff=PLAN.deff))
    assert seen.rows == 0
    assert seen.moved == ()


def test_inflation_that_is_large_is_named() -> None:
    deff = PLAN.deff.copy()
    deff[0] = 7.0
    window = window_of(Kernel(PROFILE.plan).count(rows_of(FEATURES, draw(2))))
    seen = report_of(PROFILE, Seen(plan=PLAN, windows=(window,), deff=deff))
    assert seen.dependent == ("age",)


counts = arrays(np.int64, 6, elements=st.sampled_from([0, 1, 3, 1000, 10**9]))


@given(counts, counts, st.lists(st.floats(-1e300, 1e300), min_size=5, max_size=5, unique=True))
@FEW
def test_distances_of_any_counts_are_numbers_in_order(
    reference: np.ndarray, live: np.ndarray, edges: list[float]
) -> None:
    before, after = (
        Binned(edges=np.array(sorted(edges)) / 1e3, counts=each) for each in (reference, live)
    )
    for found in (
        population_stability(reference, live),
        wasserstein(before, after),
        *(quantile_shift(before, after, level) for level in (0.0, 0.05, 0.5, 1.0)),
    ):
        assert math.isfinite(found.estimate)
        assert found.low <= found.estimate <= found.high


def test_intervals_hold_what_is_true_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    q, p = np.full(20, 0.05), np.linspace(0.03, 0.07, 20)
    edges = np.linspace(0.0, 1.0, 21)
    index = float((p - q) @ np.log(p / q))
    distance = float(np.abs(np.cumsum(p - q))[:-1].sum() / 20)
    held = np.zeros(2)
    for _ in range(200):
        reference, live = rng.multinomial(10_000, q), rng.multinomial(3_000, p)
        before, after = (
            Binned(edges=edges, counts=np.array([0, *each, 0])) for each in (reference, live)
        )
        found = population_stability(reference, live), wasserstein(before, after)
        truths = index, distance
        held += [each.low <= true <= each.high for each, true in zip(found, truths, strict=True)]
    assert (held / 200 >= 0.9).all()


def test_dependent_rows_make_intervals_wider() -> None:
    live = np.array([0, 30, 40, 30, 0])
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    reference = Binned(edges=edges, counts=np.array([0, 300, 400, 300, 0]))
    narrow = quantile_shift(reference, Binned(edges=edges, counts=live), 0.5)
    wide = quantile_shift(reference, Binned(edges=edges, counts=live, deff=9.0), 0.5)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert replace(narrow) == narrow
    assert isinstance(narrow, Interval)

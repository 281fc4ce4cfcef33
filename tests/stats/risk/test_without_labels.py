"""Performance without labels, how many labels there are, and ranks by the bootstrap."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from driftline_stats.errors import BatchError, StateError
from driftline_stats.risk.bootstrap import RankMetric, ScoredRows, paired_bootstrap
from driftline_stats.risk.cbpe import Cbpe, Metric
from driftline_stats.risk.coverage import AGES, LabelCoverage, LabelledMetric

probabilities = st.lists(st.floats() | st.floats(0, 1), max_size=12)
HOUR, DAY = 3600.0, 86400.0


def calibrated(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    p = rng.beta(0.7, 1.3, rows)
    return p, rng.random(rows) < p


def of(p: list[float]) -> Cbpe:
    return Cbpe.of(p, predicted=np.asarray(p) > 0.5)


def test_estimates_what_labels_would_say() -> None:
    rng = np.random.default_rng(11)
    p, labels = calibrated(rng, 40_000)
    predicted = p >= 0.4
    seen = Cbpe.of(p, predicted=predicted)
    assert seen.value(Metric.ACCURACY) == pytest.approx((predicted == labels).mean(), abs=0.01)
    assert seen.value(Metric.PRECISION) == pytest.approx(labels[predicted].mean(), abs=0.01)
    assert seen.value(Metric.RECALL) == pytest.approx(predicted[labels].mean(), abs=0.01)
    assert seen.value(Metric.F1) == pytest.approx(f1_score(labels, predicted), abs=0.01)
    assert seen.value(Metric.AUC) == pytest.approx(roc_auc_score(labels, p), abs=0.01)


def test_estimates_each_of_many_classes() -> None:
    rng = np.random.default_rng(12)
    p = rng.dirichlet([0.4, 0.7, 1.0], 30_000)
    labels = (p.cumsum(axis=1) < rng.random(30_000)[:, None]).sum(axis=1)
    predicted = p.argmax(axis=1)
    seen = Cbpe.of(p, predicted=predicted)
    assert seen.value(Metric.ACCURACY) == pytest.approx((predicted == labels).mean(), abs=0.01)
    for at in range(3):
        expected = f1_score(labels == at, predicted == at)
        assert seen.value(Metric.F1, at) == pytest.approx(expected, abs=0.02)


def test_permuting_classes_permutes_estimates() -> None:
    rng = np.random.default_rng(13)
    p = rng.dirichlet([0.4, 0.7, 1.0], 500)
    order = np.array([2, 0, 1])
    seen, permuted = (Cbpe.of(each, predicted=each.argmax(axis=1)) for each in (p, p[:, order]))
    for at in range(3):
        assert permuted.value(Metric.RECALL, at) == seen.value(Metric.RECALL, int(order[at]))


def test_does_not_see_that_labels_have_changed() -> None:
    p, labels = calibrated(np.random.default_rng(14), 20_000)
    seen = of(p.tolist())
    assert abs(seen.value(Metric.ACCURACY) - ((p > 0.5) == ~labels).mean()) > 0.3


@given(probabilities, probabilities, probabilities)
def test_merging_histograms_is_exact(
    one: list[float], two: list[float], three: list[float]
) -> None:
    a, b, c = of(one), of(two), of(three)
    assert a.merge(b).merge(c) == c.merge(b.merge(a)) == of(three + one + two)
    assert Cbpe.from_json(a.to_json()) == a
    assert a.rows + a.unusable == len(one)
    for metric in Metric:
        value = a.value(metric)
        assert math.isnan(value) or -1e-9 <= value <= 1 + 1e-9


def test_counts_what_it_cannot_use() -> None:
    seen = Cbpe.of([0.2, math.nan, 1.2, -0.1, math.inf], predicted=[False] * 5)
    assert (seen.rows, seen.unusable) == (1, 4)
    multi = Cbpe.of([[0.5, 0.3, 0.2], [0.5, 0.3, math.nan], [0.5, 0.3, 0.2]], predicted=[0, 0, 7])
    assert (multi.rows, multi.unusable) == (1, 2)
    assert math.isnan(Cbpe.start().value(Metric.ACCURACY))


def test_what_is_no_number_is_counted_as_unusable() -> None:
    seen = Cbpe.of([0.2, 0.9, "high", None, 0.4, 0.4], predicted=[0, True, 1, 1, None, "no"])
    assert (seen.rows, seen.unusable) == (2, 4)
    assert seen.value(Metric.ACCURACY) == pytest.approx(0.85)
    rows = [[0.5, 0.5, 0.0], [0.5, "half", 0.0], [0.5, None, 0.5], [1.0, 0.0, 0.0]]
    multi = Cbpe.of(rows, predicted=[0, 0, 0, "cat"])
    assert (multi.rows, multi.unusable) == (1, 3)


def test_the_interval_holds_the_metric_of_the_very_rows() -> None:
    rng = np.random.default_rng(15)
    outside = 0
    for _ in range(100):
        p, labels = calibrated(rng, 500)
        found = Cbpe.of(p, predicted=p > 0.5).estimate(Metric.ACCURACY, rng, draws=200)
        outside += not found.low <= ((p > 0.5) == labels).mean() <= found.high
        assert found.low <= found.value <= found.high
    assert outside <= 12


def test_refuses_what_does_not_go_together() -> None:
    with pytest.raises(BatchError, match="decisions"):
        Cbpe.of([0.5], predicted=[True, False])
    with pytest.raises(StateError, match="classes"):
        Cbpe.start().merge(Cbpe.start(3))
    with pytest.raises(StateError, match="two classes"):
        Cbpe.start(1)
    with pytest.raises(StateError, match="no histogram"):
        Cbpe(counts=np.zeros((1, 2, 3), np.int64), sums=np.zeros((1, 2, 3), np.int64))
    with pytest.raises(ValueError, match="level"):
        Cbpe.start().estimate(Metric.F1, np.random.default_rng(1), level=1.0)


def test_coverage_is_said_with_its_delay() -> None:
    ages = [30.0, 2 * HOUR, 2 * HOUR, 10 * DAY]
    seen = LabelCoverage.of(ages=ages, delays=[math.nan, 90.0, math.nan, 5 * HOUR])
    assert seen.share() == 0.5
    assert seen.share(older_than=DAY) == 1.0
    assert math.isnan(seen.share(older_than=100 * DAY))
    assert (seen.delay(0.5), seen.delay(0.9)) == (300.0, 6 * HOUR)
    said = str(LabelledMetric(name="error rate", value=0.25, coverage=seen))
    assert said == (
        "error rate 0.25, by labels of 2 of 4 predictions (50 %, of those older than 1 h 66.7 %); "
        "half within 5 min, 90 % within 6 h"
    )


def test_no_labels_are_said_too() -> None:
    seen = LabelCoverage.of(ages=[5.0], delays=[math.nan])
    assert str(seen) == "no label of 1 predictions"
    assert math.isnan(seen.delay(0.5))
    assert math.isnan(LabelCoverage.of(ages=[], delays=[]).share())


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.floats()), max_size=9), st.integers(0, 9))
def test_coverage_adds_whatever_the_clocks_say(rows: list[tuple[float, float]], cut: int) -> None:
    def seen(part: list[tuple[float, float]]) -> LabelCoverage:
        return LabelCoverage.of(ages=[row[0] for row in part], delays=[row[1] for row in part])

    whole = seen(rows)
    assert seen(rows[cut:]).merge(seen(rows[:cut])) == whole
    assert LabelCoverage.from_json(whole.to_json()) == whole
    assert str(whole)


def test_refuses_more_labels_than_predictions() -> None:
    none, one = np.zeros(len(AGES) + 1, np.int64), np.eye(1, len(AGES) + 1, dtype=np.int64)[0]
    with pytest.raises(BatchError, match="of predictions"):
        LabelCoverage(predictions=none, labelled=one, delays=one)
    with pytest.raises(BatchError, match="0 delays of 1 labels"):
        LabelCoverage(predictions=one, labelled=one, delays=none)
    with pytest.raises(BatchError, match="do not go"):
        LabelCoverage.of(ages=[1.0, 2.0], delays=[1.0])
    with pytest.raises(StateError, match="classes of age"):
        LabelCoverage(predictions=none[:2], labelled=none, delays=none)


SKLEARN = {
    RankMetric.AUC: roc_auc_score,
    RankMetric.AVERAGE_PRECISION: average_precision_score,
    RankMetric.F1: lambda labels, scores: f1_score(labels, scores >= 0.5),
}


@pytest.mark.parametrize("metric", list(RankMetric))
def test_metrics_are_scikit_learns_ties_included(metric: RankMetric) -> None:
    rng = np.random.default_rng(16)
    for _ in range(10):
        labels = rng.random(200) < 0.3
        stable, canary = (np.round(labels + rng.normal(0, 1, 200), 1) for _ in range(2))
        rows = ScoredRows.of(labels, stable=stable, canary=canary)
        found = paired_bootstrap(rows, metric, rng, resamples=1)
        assert found.stable == pytest.approx(SKLEARN[metric](labels, stable))
        assert found.canary == pytest.approx(SKLEARN[metric](labels, canary))


def scored(rng: np.random.Generator, rows: int = 600, better: float = 0.0) -> ScoredRows:
    labels = rng.random(rows) < 0.3
    stable, canary = (labels * gain + rng.normal(0, 1, rows) for gain in (1.0, 1.0 + better))
    return ScoredRows.of(labels, stable=stable, canary=canary, groups=np.arange(rows) // 3)


def test_finds_the_better_model_and_says_that_it_is_approximate() -> None:
    rng = np.random.default_rng(17)
    found = paired_bootstrap(scored(rng, better=1.0), RankMetric.AUC, rng, resamples=300)
    assert found.exceeds(0.02)
    assert not found.exceeds(0.5)
    assert found.groups == 200
    assert "approximate: 95% bootstrap of 200 groups" in str(found)
    assert type(found).from_json(found.to_json()) == found


def test_the_same_models_do_not_differ() -> None:
    rng = np.random.default_rng(18)
    rows = scored(rng)
    same = ScoredRows.of(rows.positive, stable=rows.stable, canary=rows.stable)
    found = paired_bootstrap(same, RankMetric.AVERAGE_PRECISION, rng, resamples=50)
    assert (found.low, found.difference, found.high) == (0, 0, 0)


def test_is_the_same_from_the_same_randomness_and_in_any_order_of_groups() -> None:
    rows = scored(np.random.default_rng(19))
    once, again = (
        paired_bootstrap(rows, RankMetric.AUC, np.random.default_rng(1), resamples=20)
        for _ in range(2)
    )
    assert once == again


@pytest.mark.parametrize("metric", list(RankMetric))
@pytest.mark.parametrize("labels", [[], [True], [False, False]])
def test_one_class_or_no_rows_say_nothing(metric: RankMetric, labels: list[bool]) -> None:
    scores = [math.nan, math.inf][: len(labels)]
    rows = ScoredRows.of(labels, stable=scores, canary=scores)
    found = paired_bootstrap(rows, metric, np.random.default_rng(2), resamples=5)
    assert not found.exceeds(0.0)


def test_a_score_that_is_no_number_ranks_last() -> None:
    rows = ScoredRows.of([True, False], stable=[math.nan, 0.0], canary=[0.7, 0.0])
    found = paired_bootstrap(rows, RankMetric.AUC, np.random.default_rng(3), resamples=5)
    assert (found.stable, found.canary) == (0.0, 1.0)


def test_refuses_rows_of_different_length() -> None:
    with pytest.raises(BatchError, match="one length"):
        ScoredRows.of([True], stable=[1.0, 2.0], canary=[1.0])
    with pytest.raises(BatchError, match="groups"):
        ScoredRows.of([True], stable=[1.0], canary=[1.0], groups=[1, 2])
    rows = ScoredRows.of([True], stable=[1.0], canary=[1.0])
    with pytest.raises(ValueError, match="level"):
        paired_bootstrap(rows, RankMetric.F1, np.random.default_rng(4), level=0.0)

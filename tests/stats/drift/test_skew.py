"""Whether serving looks like training: one question about the first rows, one verdict."""

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.detector import DetectorPlan
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.skew import Against, TrainingServingSkew, reference_for_drift
from driftline_stats.drift.watched import reference_of, window_of

FEATURES = (Feature(name="x"), Feature(name="y"))
ALPHA = 0.01


def draw(rng: np.random.Generator, rows: int, shift: float = 0.0) -> Rows:
    numbers = rng.normal(size=(rows, 2))
    numbers[:, 0] += shift
    return Rows(numeric=numbers.astype(np.float32))


def asked(shift: float, rows: int, seed: int = 1) -> TrainingServingSkew:
    rng = np.random.default_rng(seed)
    profile = build(FEATURES, draw(rng, 10_000), in_order=True)
    plan = DetectorPlan.make(reference_of(profile), budget=1.0, tolerance=0.1)
    skew, kernel = TrainingServingSkew.start(plan, first=2_000), Kernel(profile.plan)
    for _ in range(0, rows, 100):
        skew = skew.update(window_of(kernel.count(draw(rng, 100, shift))))
    return skew


def test_skew_is_found_and_then_drift_waits_for_a_person() -> None:
    skew = asked(shift=1.0, rows=2_000)
    assert skew.complete
    assert skew.verdict(ALPHA).rejected
    assert reference_for_drift(skew, ALPHA, accepted=False) is Against.NOTHING
    assert reference_for_drift(skew, ALPHA, accepted=True) is Against.LIVE


def test_without_skew_drift_is_watched_for_against_training() -> None:
    skew = asked(shift=0.0, rows=2_000)
    assert not skew.verdict(ALPHA).rejected
    assert reference_for_drift(skew, ALPHA, accepted=False) is Against.TRAINING


def test_what_is_tolerated_is_no_skew() -> None:
    assert not asked(shift=0.08, rows=2_000).verdict(ALPHA).rejected


def test_too_few_live_rows_are_no_reference() -> None:
    assert reference_for_drift(asked(0.0, rows=500), ALPHA, accepted=True) is Against.NOTHING


def test_the_verdict_is_about_the_first_rows_alone() -> None:
    skew = asked(shift=0.0, rows=2_000)
    rng = np.random.default_rng(2)
    profile = build(FEATURES, draw(np.random.default_rng(1), 10_000))
    later = skew.update(window_of(Kernel(profile.plan).count(draw(rng, 1_000, 3.0))))
    assert later == skew


def test_false_verdicts_are_as_rare_as_stated() -> None:
    found = [asked(shift=0.0, rows=2_000, seed=seed).verdict(0.2).rejected for seed in range(25)]
    assert sum(found) <= 9  # more has less than 2 % at a rate of 0.2


def test_comes_back_from_json() -> None:
    skew = asked(shift=0.3, rows=300)
    read = TrainingServingSkew.from_json(skew.to_json())
    assert read == skew
    assert read.log_evidence == pytest.approx(skew.log_evidence)

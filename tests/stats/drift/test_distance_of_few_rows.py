"""Rows are near the centre that was fitted to them: with few of them there is no distance."""

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.channels import DISTANCE
from driftline_stats.drift.detector import DetectorPlan, DriftDetector
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.watched import reference_of, window_of


def draw(rng: np.random.Generator, rows: int, features: int) -> Rows:
    return Rows(numeric=rng.normal(size=(rows, features)).astype(np.float32))


def profile_of(rng: np.random.Generator, rows: int, features: int) -> Profile:
    named = tuple(Feature(name=f"x{at:02}") for at in range(features))
    return build(named, draw(rng, rows, features))


@pytest.mark.parametrize(
    ("rows", "features", "watched"), [(300, 5, True), (250, 5, False), (1_000, 50, False)]
)
def test_distance_is_watched_where_there_are_rows_enough(
    rows: int, features: int, watched: bool
) -> None:
    profile = profile_of(np.random.default_rng(1), rows, features)
    assert (DISTANCE in {each.kind for each in profile.channels}) == watched


def test_many_features_and_few_rows_are_no_drift() -> None:
    rng = np.random.default_rng(2)
    profile = profile_of(rng, 1_000, 60)
    plan = DetectorPlan.make(reference_of(profile), budget=1e5, tolerance=0.1)
    detector, kernel = DriftDetector.start(plan), Kernel(profile.plan)
    for _ in range(40):
        detector = detector.update(window_of(kernel.count(draw(rng, 256, 60))))
    assert detector.alarmed_at is None

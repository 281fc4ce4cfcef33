"""What a plan says of its delays is what its detector then takes."""

import math

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.delay import expected_delay
from driftline_stats.drift.detector import DetectorPlan, DriftDetector
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.watched import reference_of, window_of

FEATURES = tuple(Feature(name=f"x{at}") for at in range(4))


def draw(rng: np.random.Generator, rows: int, shift: float = 0.0) -> Rows:
    numbers = rng.normal(size=(rows, 4))
    numbers[:, 1] += shift
    return Rows(numeric=numbers.astype(np.float32))


PROFILE = build(FEATURES, draw(np.random.default_rng(1), 10_000), in_order=True)
REFERENCE = reference_of(PROFILE)


@pytest.mark.parametrize(("tolerance", "shift"), [(0.0, 0.25), (0.0, 0.5), (0.1, 0.4)])
def test_the_delay_that_is_expected_is_that_which_comes(tolerance: float, shift: float) -> None:
    plan = DetectorPlan.make(REFERENCE, budget=100_000, tolerance=tolerance)
    rng, kernel, delays = np.random.default_rng(2), Kernel(PROFILE.plan), []
    for _ in range(20):
        detector = DriftDetector.start(plan)
        while not detector.alarmed:
            detector = detector.update(window_of(kernel.count(draw(rng, 32, shift))))
        delays.append(detector.rows)
    assert np.mean(delays) == pytest.approx(expected_delay(plan, "x1", shift), rel=0.35)


def test_a_smaller_budget_is_a_shorter_delay() -> None:
    plans = [DetectorPlan.make(REFERENCE, budget=budget) for budget in (1e3, 1e5, 1e9)]
    delays = [expected_delay(plan, "x1", 0.5) for plan in plans]
    assert delays == sorted(delays)
    assert delays[-1] < 4 * delays[0]


def test_what_is_tolerated_is_never_found() -> None:
    plan = DetectorPlan.make(REFERENCE, budget=1e5, tolerance=0.3)
    assert expected_delay(plan, "x1", 0.25) == math.inf
    with pytest.raises(ValueError, match="no channel 'x9'"):
        expected_delay(plan, "x9", 0.25)

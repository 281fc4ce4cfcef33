"""What is said to be detectable is what a test detects in about half of the runs."""

import numpy as np
import pytest

from driftline_stats.mean_planning import smallest_difference, smallest_difference_so_far
from driftline_stats.means import MeanBatch, MeanPlan, MeanShift
from driftline_stats.planning import Traffic

PLAN = MeanPlan(low=-20, high=20, center=0, sd=2)


def after(
    rng: np.random.Generator, shift: float, looks: int = 40, plan: MeanPlan = PLAN
) -> MeanShift:
    test = MeanShift(plan=plan)
    for _ in range(looks):
        stable, canary = rng.normal(0, 2, 160), rng.normal(shift, 2, 40)
        test = test.update(MeanBatch.of(stable, canary, plan))
    return test


def test_the_smallest_difference_is_found_in_about_half_of_the_runs() -> None:
    smallest = smallest_difference(0.05, [Traffic(units=40 * 200, share=0.2)])
    assert smallest is not None
    found = {
        factor: np.mean(
            [
                after(np.random.default_rng(at), 2 * smallest * factor).verdict(0.05).rejected
                for at in range(60)
            ]
        )
        for factor in (0.6, 1.0, 1.4)
    }
    assert found[0.6] < 0.25 < found[1.0] < 0.75 < found[1.4]


def test_what_was_seen_says_the_same_as_what_was_planned() -> None:
    test = after(np.random.default_rng(1), 0)
    planned = smallest_difference(0.05, [Traffic(units=40 * 200, share=0.2)])
    so_far = smallest_difference_so_far(test, 0.05)
    assert planned is not None
    assert so_far == pytest.approx(2 * planned, rel=0.05)


def test_a_tolerance_has_to_be_exceeded_first() -> None:
    tolerant = MeanPlan(low=-20, high=20, center=0, sd=2, tolerance=5)
    so_far = smallest_difference_so_far(after(np.random.default_rng(1), 0, plan=tolerant), 0.05)
    assert so_far is not None
    assert 5 < so_far < 5.5


def test_more_traffic_shows_less_and_none_shows_nothing() -> None:
    sizes = [smallest_difference(0.05, [Traffic(units=n, share=0.1)]) for n in (1e3, 1e4, 1e6)]
    assert sizes == sorted(sizes, key=lambda each: -(each or 0))
    assert smallest_difference(0.05, []) is None
    assert smallest_difference(0.05, [Traffic(units=5, share=0.1)]) is None
    assert smallest_difference_so_far(MeanShift(plan=PLAN), 0.05) is None


def test_refuses_a_level_that_is_none() -> None:
    with pytest.raises(ValueError, match="alpha"):
        smallest_difference(0, [Traffic(units=1000, share=0.1)])
    with pytest.raises(ValueError, match="alpha"):
        smallest_difference_so_far(MeanShift(plan=PLAN), 2)

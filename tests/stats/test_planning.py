"""What could be seen at a traffic, before and during a rollout."""

import math

import numpy as np
import pytest

from driftline_stats.planning import (
    RatePlan,
    Traffic,
    base_rate,
    events_needed,
    growth,
    smallest_ratio,
    units_needed,
)
from driftline_stats.rates import RateBatch, RateRatio

PLAN = RatePlan(alpha=0.05)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 5.0])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_growth_is_the_divergence_between_the_canarys_shares_of_events(
    ratio: float, share: float
) -> None:
    p, q = share * ratio / (1 + share * (ratio - 1)), share
    divergence = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert growth(PLAN, ratio, share) == pytest.approx(divergence, rel=1e-9)
    assert growth(PLAN, ratio * 1.1, share) > divergence


def test_growth_is_what_the_test_gains_on_average() -> None:
    plan = RatePlan(alpha=0.05, null_ratio=1.2, factors=[2.0])
    slot = RateBatch(stable_units=80_000, stable_events=400, canary_units=20_000, canary_events=300)
    test = RateRatio.above(1.2, [2.0]).update(slot)
    assert growth(plan, ratio=3.0, share=0.2) * 700 == pytest.approx(test.log_evidence)


def test_a_typical_run_needs_what_was_planned() -> None:
    units = units_needed(PLAN, ratio=2.0, stable_rate=0.01, share=0.2)
    rng = np.random.default_rng(5)
    slots = int(2 * units / 1000)
    stable, canary = rng.binomial(800, 0.01, (300, slots)), rng.binomial(200, 0.02, (300, slots))
    counts = np.stack(
        [np.full_like(stable, 800), stable, np.full_like(canary, 200), canary], axis=-1
    )
    reached = RateRatio.above().path(counts) >= math.log(20)
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, slots)
    assert 0.7 * units < np.median(first) * 1000 < 1.1 * units


def test_what_is_needed_for_a_ratio_shows_that_ratio() -> None:
    units = units_needed(PLAN, ratio=2.0, stable_rate=0.005, share=0.2)
    seen = [Traffic(units=units, share=0.2)]
    assert smallest_ratio(PLAN, seen, 0.005) == pytest.approx(2.0, rel=1e-3)


def test_more_traffic_shows_smaller_ratios_and_guardrails_cost() -> None:
    hour = Traffic(units=360_000, share=0.2)
    one, two = (smallest_ratio(PLAN, [hour] * n, 0.005) for n in (1, 2))
    many = smallest_ratio(RatePlan(alpha=0.05, guardrails=5), [hour], 0.005)
    assert one is not None
    assert two is not None
    assert many is not None
    assert 1 < two < one < many


@pytest.mark.parametrize(
    ("traffic", "stable_rate"),
    [([], 0.01), ([Traffic(units=20, share=0.1)], 0.01), ([Traffic(units=1e9, share=0.5)], 0.0)],
)
def test_says_none_where_nothing_can_be_seen(traffic: list[Traffic], stable_rate: float) -> None:
    assert smallest_ratio(PLAN, traffic, stable_rate) is None


def test_needs_infinitely_many_for_what_is_within_the_null() -> None:
    assert events_needed(PLAN, ratio=1.0, share=0.5) == math.inf
    assert events_needed(PLAN, ratio=2.0, share=0.0) == math.inf
    assert units_needed(PLAN, ratio=2.0, stable_rate=0.0, share=0.5) == math.inf


def test_traffic_and_base_rate_of_what_was_seen() -> None:
    assert Traffic.of(RateBatch()) == Traffic(units=0, share=0.0)
    assert base_rate(RateBatch()) == 0.5
    assert base_rate(RateBatch(stable_units=99, stable_events=1)) == pytest.approx(0.015)

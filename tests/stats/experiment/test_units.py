"""Each unit counts once, in the arm that it was first seen in, whatever the order."""

import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.experiment.first_events import FirstEvents, RiskSets, first_events
from driftline_stats.experiment.units import MOVED, Sightings, Units, empty_units, sightings
from driftline_stats.experiment.window_means import WindowMeans, window_means

HASHES = st.sampled_from([0, 1, 2, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
ROWS = st.tuples(HASHES, st.integers(0, 2), st.sampled_from([0.0, 1.0, 3.0, math.nan]))


def seen(slot: int, rows: list[tuple[int, int, float]], epoch: int = 0) -> Sightings:
    units, arms, values = zip(*rows, strict=True) if rows else ((), (), ())
    return sightings(slot, units=units, arms=arms, values=values, epoch=epoch)


@st.composite
def slots(draw: st.DrawFn) -> list[list[tuple[int, int, float]]]:
    return draw(st.lists(st.lists(ROWS, max_size=8), min_size=1, max_size=5))


def admitted(table: Units, batches: list[Sightings]) -> Units:
    for batch in batches:
        table, _ = table.admit(batch)
    return table


@settings(max_examples=40, deadline=None)
@given(slots(), st.randoms())
def test_order_within_a_slot_does_not_matter(
    rows: list[list[tuple[int, int, float]]], random: Random
) -> None:
    metric, other = first_events(arms=3), first_events(arms=3)
    means, other_means = window_means(arms=3, window=1), window_means(arms=3, window=1)
    for slot, each in enumerate(rows):
        shuffled = list(each)
        random.shuffle(shuffled)
        metric, sets = metric.observe(seen(slot, each))
        other, other_sets = other.observe(seen(slot, shuffled))
        assert sets.events.tolist() == other_sets.events.tolist()
        means, closed = means.observe(seen(slot, each))
        other_means, other_closed = other_means.observe(seen(slot, shuffled))
        assert [c.units.tolist() for c in closed] == [c.units.tolist() for c in other_closed]
    assert metric == other
    assert means == other_means


@settings(max_examples=40, deadline=None)
@given(slots(), st.integers(1, 3))
def test_tables_of_replicas_merge_to_that_of_one_pass(
    rows: list[list[tuple[int, int, float]]], width: int
) -> None:
    start = empty_units(arms=3, width=width)
    parts = [
        admitted(start, [seen(slot, each[at::3]) for slot, each in enumerate(rows)])
        for at in range(3)
    ]
    whole = admitted(start, [seen(slot, each) for slot, each in enumerate(rows)])
    for a, b, c in itertools.permutations(parts):
        assert a.merge(b).merge(c) == whole
        assert a.merge(b.merge(c)) == whole


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60), st.integers(1, 5))
def test_sampled_tables_merge_to_that_of_one_pass(hashes: list[int], capacity: int) -> None:
    start = empty_units(arms=2, capacity=capacity)
    rows = [(each, each % 2, 0.0) for each in hashes]
    whole = admitted(start, [seen(0, rows)])
    half = len(rows) // 2
    first, second = (admitted(start, [seen(0, part)]) for part in (rows[:half], rows[half:]))
    assert first.merge(second) == second.merge(first) == whole
    assert len(whole.units) <= 2 * capacity


@settings(max_examples=40, deadline=None)
@given(slots())
def test_states_come_back_from_json_to_the_bit(rows: list[list[tuple[int, int, float]]]) -> None:
    metric, means = first_events(arms=3, window=2), window_means(arms=3, window=2)
    for slot, each in enumerate(rows):
        metric, _ = metric.observe(seen(slot, each))
        means, _ = means.observe(seen(slot, each))
    assert FirstEvents.from_json(metric.to_json()) == metric
    assert WindowMeans.from_json(means.to_json()) == means


def test_a_sample_is_of_both_arms_though_routing_took_the_arm_from_the_same_hash() -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**64, 40_000, np.uint64)
    for arms in (hashes >> np.uint64(63), hashes % np.uint64(2)):
        table = empty_units(arms=2, capacity=1000)
        values = np.zeros(len(hashes))
        table, _ = table.admit(
            sightings(0, units=hashes, arms=arms.astype(np.int64), values=values)
        )
        counts = table.first_exposures(0)
        assert table.rate == 2.0**-5
        assert abs(counts[1] / counts.sum() - 0.5) < 0.06
        assert abs(len(table.units) / table.rate - 40_000) < 4_000


def test_all_units_are_kept_up_to_the_capacity_of_each_arm() -> None:
    table, _ = empty_units(arms=2, capacity=50).admit(
        seen(0, [(each, each % 2, 0.0) for each in range(100)])
    )
    assert (table.rate, len(table.units)) == (1.0, 100)
    table, _ = table.admit(seen(1, [(100, 0, 0.0)]))
    assert table.rate == 0.5


def test_who_fell_out_of_the_sample_does_not_come_back() -> None:
    table, _ = empty_units(arms=2, capacity=10).admit(
        seen(0, [(each, each % 2, 0.0) for each in range(100)])
    )
    kept = set(table.units.tolist())
    table, rows = table.admit(seen(1, [(each, each % 2, 0.0) for each in range(100)]))
    assert set(table.units.tolist()) == kept
    assert int((rows >= 0).sum()) == len(kept)
    assert table.first_exposures(1).sum() == 0


def test_a_unit_seen_in_two_arms_is_excluded_and_counted() -> None:
    metric = first_events(arms=2)
    metric, _ = metric.observe(seen(0, [(1, 0, 0.0), (2, 1, 0.0)]))
    metric, sets = metric.observe(seen(1, [(1, 1, 1.0), (3, 1, 1.0), (3, 0, 0.0)]))
    assert metric.table.moved == 2
    assert sets.events.sum() == 0
    metric, sets = metric.observe(seen(2, [(1, 0, 1.0), (2, 1, 1.0)]))
    assert sets.at_risk.tolist() == [[0, 1]]


def test_units_that_a_change_of_weights_moves_are_excluded_before_they_show_up() -> None:
    metric = first_events(arms=2)
    metric, _ = metric.observe(seen(0, [(1, 0, 0.0), (2, 0, 0.0), (3, 1, 0.0)]))
    table = metric.table.exclude(lambda hashes: hashes == 2)
    assert table.moved == 1
    assert table.statuses[table.rows_of(np.array([2]))].tolist() == [MOVED]
    metric, sets = FirstEvents(table=table, slot=0, window=0).observe(
        seen(1, [(1, 0, 1.0)], epoch=1)
    )
    assert sets.at_risk.tolist() == [[1, 1]]


def test_only_the_first_event_counts_and_then_the_unit_is_at_risk_no_more() -> None:
    metric = first_events(arms=2)
    metric, sets = metric.observe(seen(0, [(1, 0, 1.0), (1, 0, 1.0), (2, 1, 0.0)]))
    assert (sets.at_risk.tolist(), sets.events.tolist()) == ([[1, 1]], [[1, 0]])
    metric, sets = metric.observe(seen(1, [(1, 0, 1.0), (2, 1, 1.0)]))
    assert (sets.at_risk.tolist(), sets.events.tolist()) == ([[0, 1]], [[0, 1]])


def test_an_idle_unit_is_at_risk_until_its_window_has_passed() -> None:
    def at_risk(slot: int) -> RiskSets:
        metric = first_events(arms=2, window=3)
        metric, _ = metric.observe(seen(0, [(1, 0, 0.0), (2, 1, 0.0)]))
        return metric.observe(seen(slot, [(1, 0, 1.0)]))[1]

    assert at_risk(2).at_risk.tolist() == [[1, 1]]
    assert at_risk(3).at_risk.tolist() == []


def test_cohorts_begin_with_epochs_and_after_their_width() -> None:
    table = empty_units(arms=2, width=3)
    for slot, epoch in enumerate([0, 0, 0, 0, 1, 1]):
        table, _ = table.admit(seen(slot, [(slot, 0, 0.0)], epoch))
    assert table.cohorts.tolist() == [0, 0, 0, 3, 4, 4]


def test_strata_do_not_mix_cohorts() -> None:
    metric = first_events(arms=2)
    metric, _ = metric.observe(seen(0, [(1, 0, 0.0), (2, 1, 0.0)]))
    metric, _ = metric.observe(seen(1, [(3, 0, 0.0), (4, 0, 0.0)]))
    metric, sets = metric.observe(seen(2, [(1, 0, 1.0), (4, 0, 1.0)]))
    assert sets.cohorts.tolist() == [0, 1]
    assert sets.at_risk.tolist() == [[1, 1], [2, 0]]
    assert sets.events.tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("missing", "values", "excluded"), [("zero", [0, 4], 0), ("exclude", [4], 1)]
)
def test_a_unit_without_a_value_is_zero_or_left_out(
    missing: str, values: list[float], excluded: int
) -> None:
    metric = window_means(arms=2, window=1, missing="zero" if missing == "zero" else "exclude")
    metric, _ = metric.observe(seen(0, [(1, 0, math.nan), (2, 0, 4.0), (3, 1, 2.0)]))
    _, closed = metric.observe(seen(1, []))
    assert closed[0].values[0].tolist() == values
    assert closed[0].excluded == (excluded, 0)


def test_a_window_ends_for_each_unit_though_its_cohort_closes_later() -> None:
    metric = window_means(arms=2, window=2, width=3)
    closed_at = []
    for slot in range(6):
        value = 1.0 if slot < 2 else 100.0
        metric, closed = metric.observe(seen(slot, [(1, 0, value), (2 + slot, 1, 7.0)]))
        closed_at += [(slot, [values.tolist() for values in each.values]) for each in closed]
    assert closed_at == [(4, [[1.0], [7.0, 7.0, 7.0]])]


def test_a_unit_contributes_one_mean_ever() -> None:
    metric = window_means(arms=2, window=1)
    total = 0
    for slot in range(5):
        metric, closed = metric.observe(seen(slot, [(1, 0, 5.0)]))
        total += sum(len(values) for each in closed for values in each.values)
    assert total == 1


def test_closed_units_with_events_are_a_stratum_of_rates() -> None:
    metric = window_means(arms=2, window=2)
    metric, _ = metric.observe(seen(0, [(1, 0, 0.0), (1, 0, 1.0), (2, 0, 0.0), (3, 1, 0.0)]))
    _, closed = metric.observe(seen(2, []))
    assert closed[0].units.tolist() == [[2, 1]]
    assert closed[0].events.tolist() == [[1, 0]]


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e308, -1e308])
def test_extreme_values_stay_finite(value: float) -> None:
    metric = window_means(arms=2, window=1)
    metric, _ = metric.observe(seen(0, [(1, 0, value), (1, 0, value), (2, 0, -value)]))
    _, closed = metric.observe(seen(1, []))
    assert all(math.isfinite(each) for each in closed[0].values[0])


def test_what_contradicts_itself_is_refused() -> None:
    metric, _ = first_events(arms=2).observe(seen(3, [(1, 0, 0.0)]))
    means, _ = window_means(arms=2, window=1).observe(seen(3, []))
    for used in (metric, means):
        with pytest.raises(BatchError, match="slot 3 comes after 3"):
            used.observe(seen(3, []))
        with pytest.raises(BatchError, match="arms are 0 to 1"):
            used.observe(seen(4, [(1, 2, 0.0)]))
    with pytest.raises(BatchError, match="differ in length"):
        sightings(0, units=[1], arms=[], values=[0.0])
    with pytest.raises(BatchError, match="do not add up"):
        seen(0, []) + seen(1, [])
    with pytest.raises(StateError, match="do not merge"):
        empty_units(arms=2).merge(empty_units(arms=3))
    with pytest.raises(ValueError, match="window"):
        window_means(arms=2, window=0)
    with pytest.raises(ValueError, match="window"):
        first_events(arms=2, window=-1)
    with pytest.raises(ValueError, match="2 arms"):
        empty_units(arms=1)

"""Latencies are counted in buckets that add up, and nothing that comes in raises."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.histogram import LatencyHistogram, as_floats, bucket_edges, edge_from

latencies = st.lists(st.floats(0, 1e13) | st.integers(0, 10**9), max_size=30)
anything = st.lists(
    st.floats() | st.integers() | st.text() | st.none() | st.booleans(), max_size=20
)
digits = st.sampled_from((1, 2, 3))


@pytest.mark.parametrize(
    ("count", "first_of_many", "widest"), [(1, 10, 1.0), (2, 100, 0.1), (3, 1000, 0.01)]
)
def test_buckets_are_as_narrow_as_their_digits(
    count: int, first_of_many: int, widest: float
) -> None:
    edges = bucket_edges(count).astype(float)
    assert edges[0] == 0
    assert edges[-1] == 1e12
    assert np.array_equal(edges[:first_of_many], np.arange(first_of_many))
    widths = np.diff(edges[first_of_many:]) / edges[first_of_many:-1]
    assert widths.max() == pytest.approx(widest)


def test_there_are_no_buckets_of_four_digits() -> None:
    with pytest.raises(ValueError, match="digits must be one of"):
        bucket_edges(4)


@given(latencies, digits)
def test_each_latency_is_in_the_bucket_that_it_lies_in(values: list[float], count: int) -> None:
    histogram = LatencyHistogram.of(values, digits=count)
    edges = bucket_edges(count)
    expected = sorted(max(edge for edge in edges.tolist() if edge <= value) for value in values)
    assert np.repeat(histogram.edges, histogram.counts).tolist() == expected
    assert histogram.missing == 0


@given(anything)
def test_what_is_no_latency_is_missing_and_never_raises(values: list[object]) -> None:
    histogram = LatencyHistogram.of(values)
    numbers = as_floats(values)
    assert histogram.total == int((numbers >= 0).sum())
    assert histogram.total + histogram.missing == len(values)


def test_infinity_is_slower_than_everything() -> None:
    histogram = LatencyHistogram.of([math.inf, 10**400, 10**12])
    assert histogram.at_least(10**12) == 3


def test_only_the_missing_are_missing() -> None:
    histogram = LatencyHistogram.of([math.nan, -1, -math.inf, -(10**400), None, "slow", 0])
    assert (histogram.missing, histogram.total) == (6, 1)


@given(latencies, latencies, latencies, digits)
def test_histograms_add_up_in_any_order(
    a: list[float], b: list[float], c: list[float], count: int
) -> None:
    one, two, three = (LatencyHistogram.of(each, digits=count) for each in (a, b, c))
    in_one_pass = LatencyHistogram.of([*c, *a, *b], digits=count)
    assert (one + two) + three == one + (two + three) == in_one_pass
    assert one.merge(two) == two.merge(one)
    assert one + LatencyHistogram(digits=count) == one


@given(latencies.map(lambda values: [*values, math.nan]), digits)
def test_a_histogram_comes_back_from_json_as_it_was(values: list[float], count: int) -> None:
    histogram = LatencyHistogram.of(values, digits=count)
    read = LatencyHistogram.from_json(histogram.to_json())
    assert read == histogram
    assert read + read == histogram + histogram


@given(latencies.filter(bool), st.floats(0.001, 1), digits)
def test_a_quantile_is_the_next_edge_above_it(
    values: list[float], share: float, count: int
) -> None:
    edge = LatencyHistogram.of(values, digits=count).quantile(share)
    edges = bucket_edges(count)
    below = edges[max(0, int(np.searchsorted(edges, edge)) - 1)]
    assert sum(value < edge for value in values) >= share * len(values) or edge == 10**12
    assert sum(value < below for value in values) < share * len(values)


def test_exceedances_are_exact_at_every_edge() -> None:
    values = np.random.default_rng(1).lognormal(9, 2, 500)
    histogram = LatencyHistogram.of(values)
    for edge in bucket_edges(2)[::7].tolist():
        assert histogram.at_least(edge) == int((values >= edge).sum())


def test_bins_of_a_finer_histogram_are_taken_over() -> None:
    lowers = [4.2, 4.7, 99, 1100, 1200, math.nan]
    histogram = LatencyHistogram.of_bins(lowers, [1, 2, 3, 0, 5, 6])
    assert histogram.edges.tolist() == [4, 99, 1200]
    assert histogram.counts.tolist() == [3, 3, 5]
    assert histogram.missing == 6


def test_a_billion_latencies_are_counted() -> None:
    histogram = LatencyHistogram.of_bins([1000, 2000], [10**12, 3 * 10**12])
    twice = histogram + histogram
    assert twice.at_least(2000) == 6 * 10**12
    assert twice.quantile(0.26) == 2100


def test_an_edge_is_found_from_any_number() -> None:
    assert [edge_from(value, 2) for value in (0, 99.5, 100, 100.1)] == [0, 100, 100, 110]
    assert edge_from(math.inf, 2) == 10**12


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ('"edges":[100],"counts":[1,2]', "one count for each edge"),
        ('"edges":[110,100],"counts":[1,2]', "ascend"),
        ('"edges":[101],"counts":[1]', "not all are edges"),
        ('"edges":[100],"counts":[-1]', "not negative"),
    ],
)
def test_refuses_a_stored_histogram_that_is_none(fields: str, said: str) -> None:
    text = f'{{"kind":"latency-histogram","version":1,"digits":2,"missing":0,{fields}}}'
    with pytest.raises(StateError, match=said):
        LatencyHistogram.from_json(text)


def test_refuses_what_does_not_fit() -> None:
    two, three = LatencyHistogram.of([1]), LatencyHistogram.of([1], digits=3)
    with pytest.raises(StateError, match="do not add up"):
        two + three
    with pytest.raises(BatchError, match="2 bins, but 1 counts"):
        LatencyHistogram.of_bins([1, 2], [1])
    with pytest.raises(BatchError, match="negative"):
        LatencyHistogram.of_bins([1], [-1])
    with pytest.raises(ValueError, match="no latencies"):
        LatencyHistogram().quantile(0.5)
    with pytest.raises(ValueError, match="share"):
        two.quantile(0)

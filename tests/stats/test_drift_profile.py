"""Profiles: from streams and parts, permuted, small enough, and with what they say of order."""

import tracemalloc

import numpy as np
import pytest

from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.build import Counting, build, plan_of
from driftline_stats.drift.channels import Channel
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Order, Profile
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.sample import Sampler
from driftline_stats.drift.wide import Wide
from driftline_stats.errors import BatchError, StateError
from tests.stats.drift_builders import typical

FEATURES, ROWS = typical(2, 5000, numeric=6)
PROFILE = build(FEATURES, ROWS, in_order=True)


def parts(size: int) -> list[Rows]:
    return [ROWS[begin : begin + size] for begin in range(0, len(ROWS), size)]


@pytest.mark.parametrize("size", [1, 100, 1024, 4999])
def test_two_passes_over_a_stream_give_what_one_over_memory_gives(size: int) -> None:
    sampler = Sampler()
    for part in parts(size):
        sampler.add(part)
    counting = Counting(plan=plan_of(FEATURES, sampler), in_order=True)
    for part in parts(size):
        counting.add(part)
    assert counting.profile() == PROFILE


def test_samples_of_parts_merge_to_that_of_the_whole() -> None:
    samplers = []
    for number, part in enumerate(parts(700)):
        sampler = Sampler(size=500, part=number)
        sampler.add(part)
        samplers.append(sampler)
    merged = []
    for order in (samplers, samplers[::-1]):
        whole = Sampler(size=500, part=99)
        for each in order:
            whole.merge(each)
        merged.append(whole)
    forth, back = merged
    assert forth.seen == back.seen == len(ROWS)
    assert np.array_equal(forth.rows().numeric, back.rows().numeric, equal_nan=True)
    assert np.array_equal(forth.extremes, back.extremes)
    assert plan_of(FEATURES, forth) == plan_of(FEATURES, back)


def test_a_sample_is_uniform() -> None:
    chosen = np.zeros(100)
    for part in range(400):
        sampler = Sampler(size=20, part=part)
        for begin in range(0, 100, 7):
            at = np.arange(begin, min(begin + 7, 100), dtype=np.float32)
            sampler.add(Rows(numeric=at[:, None]))
        chosen[sampler.rows().numeric[:, 0].astype(int)] += 1
    # Each row is in a fifth of the samples: 80 of 400, standard deviation 8.
    chi_square = float(np.square((chosen - 80) / 8).sum())
    assert chosen.sum() == 400 * 20
    assert 60 < chi_square < 150


def test_the_extremes_are_those_of_all_rows_and_not_of_the_sample() -> None:
    sampler = Sampler(size=100)
    sampler.add(ROWS)
    plan = plan_of(FEATURES, sampler)
    counting = Counting(plan=plan)
    counting.add(ROWS)
    for channel in counting.profile().channels:
        for kind, n in zip(channel.bins, channel.reference, strict=True):
            if channel.kind == "numeric" and kind in (BinKind.BELOW, BinKind.ABOVE):
                assert n == 0, channel.name


def test_profiles_of_parts_add() -> None:
    halves = []
    for half in (ROWS[:2000], ROWS[2000:]):
        counting = Counting(plan=PROFILE.plan, in_order=True)
        counting.add(half)
        halves.append(counting.profile())
    merged = halves[0].merge(halves[1])
    assert merged.reference == PROFILE.reference
    assert merged == halves[1].merge(halves[0])
    # Blocks of different stretches of time do not add: the longer one's stay.
    assert merged.order == halves[1].order


def by_name(profile: Profile) -> dict[str, Channel]:
    return {channel.name: channel for channel in profile.channels}


def test_permuting_the_features_permutes_the_channels() -> None:
    order = [3, 0, 5, 2, 4, 1]
    features = (*(FEATURES[at] for at in order), FEATURES[6])
    permuted = build(
        features, Rows(numeric=ROWS.numeric[:, order], categorical=ROWS.categorical), in_order=True
    )
    ours, theirs = by_name(PROFILE), by_name(permuted)
    assert ours.keys() == theirs.keys()
    for name, channel in ours.items():
        assert channel.labels == theirs[name].labels
        assert channel.features == theirs[name].features
        assert channel.reference.tolist() == theirs[name].reference.tolist(), name
    assert [each.name for each in permuted.channels[:6]] == [f"x{at:03}" for at in order]


def test_pairs_are_those_that_tell_most_of_each_other() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4000, 25)).astype(np.float32)
    values[:, 7] = -values[:, 20] + 0.1 * values[:, 7]
    features = tuple(Feature(name=f"x{at:02}") for at in range(25))
    profile = build(features, Rows(numeric=values))
    assert len(profile.plan.pairs) == 190
    first = next(each for each in profile.channels if each.kind == "pair")
    assert first.features == ("x07", "x20")
    table = first.q.reshape(3, 3)
    assert table[0, 2] + table[2, 0] > 0.5
    information = [pair.information for pair in profile.plan.pairs]
    assert information == sorted(information, reverse=True)


def test_distance_sees_what_no_feature_shows() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(size=(5000, 1))
    values = (base + 0.3 * rng.normal(size=(5000, 5))).astype(np.float32)
    features = tuple(Feature(name=f"x{at}") for at in range(5))
    profile = build(features, Rows(numeric=values))
    kernel = Kernel(profile.plan)
    distance = profile.channels[-1]
    assert distance.kind == "distance"
    alone = values.copy()
    for at in range(5):
        rng.shuffle(alone[:, at])
    counts = kernel.count(Rows(numeric=alone))
    for channel in profile.channels[:5]:
        assert counts.of(channel).tolist() == channel.reference.tolist()
    assert counts.of(distance)[-3:].sum() > 0.5 * len(values)
    assert distance.q[:15] == pytest.approx(1 / 16, abs=0.01)


def test_the_distance_is_mahalanobis() -> None:
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(4, 4))
    values = (rng.normal(size=(20_000, 4)) @ mixing).astype(np.float32)
    features = tuple(Feature(name=f"x{at}") for at in range(4))
    profile = build(features, Rows(numeric=values))
    (distance,) = (each for each in profile.channels if each.kind == "distance")
    inverse = np.linalg.inv(np.cov(values.T))
    centred = values - values.mean(axis=0)
    exact = np.sqrt(np.einsum("ri,ij,rj->r", centred, inverse, centred))
    assert distance.edges[:15] == pytest.approx(np.quantile(exact, np.arange(1, 16) / 16), rel=0.05)


def test_a_model_of_100_features_is_less_than_a_megabyte() -> None:
    features, rows = typical(6, 10_000, numeric=100)
    profile = build(features, rows, in_order=True)
    text = profile.to_json()
    assert len(profile.plan.pairs) == 190
    assert len(text) + profile.reference.values.nbytes < 1_000_000
    assert Profile.from_json(text) == profile


def test_order_holds_the_counts_of_successive_blocks() -> None:
    order = PROFILE.order
    assert order is not None
    assert 64 <= order.blocks < 128
    assert order.rows == 64
    kernel = Kernel(PROFILE.plan)
    for at in (0, 1, order.blocks - 1):
        block = ROWS[at * order.rows : (at + 1) * order.rows]
        assert order.counts[at].tolist() == kernel.count(block).values.tolist()
    assert len(ROWS) - order.rows * order.blocks < order.rows


def inflation(profile: Profile, name: str) -> float:
    """Return the variance of block sums of a bin's indicator, over that of independent rows."""
    channel, order = by_name(profile)[name], profile.order
    assert order is not None
    at = int(np.argmax(channel.q))
    share = channel.q[at]
    sums = order.counts[:, channel.start + at]
    return float(np.var(sums) / (order.rows * share * (1 - share)))


def test_order_shows_dependence_in_time() -> None:
    rng = np.random.default_rng(7)
    steps = rng.normal(size=20_000)
    walk = np.zeros(20_000)
    for at in range(1, 20_000):
        walk[at] = 0.9 * walk[at - 1] + steps[at]
    features = (Feature(name="walk"), Feature(name="independent"))
    values = np.stack([np.rint(walk / 4), np.rint(steps)], axis=1).astype(np.float32)
    profile = build(features, Rows(numeric=values), in_order=True)
    assert inflation(profile, "walk") > 3
    assert 0.5 < inflation(profile, "independent") < 1.7
    assert build(features, Rows(numeric=values)).order is None


def test_a_damaged_order_says_so() -> None:
    with pytest.raises(StateError, match="packed"):
        _ = Order(rows=1, blocks=1, width=1, packed="no").counts


def test_a_wide_tensor_is_watched_by_few_numbers() -> None:
    wide = Wide(name="image", columns=3 * 8 * 8)
    rng = np.random.default_rng(8)
    images = rng.integers(0, 256, (3000, 3, 8, 8), np.uint8)
    numbers = wide.numbers(images)
    assert numbers.shape == (3000, len(wide.features)) == (3000, 19)
    assert np.allclose(
        numbers[:, 0], np.sqrt(np.square(images.reshape(3000, -1), dtype=float).sum(1))
    )
    profile = build(wide.features, Rows(numeric=numbers))
    kernel = Kernel(profile.plan)
    mirrored = kernel.count(Rows(numeric=wide.numbers(images // 2)))
    norm = profile.channels[0]
    assert mirrored.of(norm)[0] > 2900


def test_odd_values_of_a_wide_tensor_land_in_bins_of_their_own() -> None:
    wide = Wide(name="t", columns=4)
    numbers = wide.numbers([[1, 2, 3, np.nan], [np.nan] * 4, [np.inf, 0, 0, 0], [1e300, 0, 0, 0]])
    assert np.isfinite(numbers[0]).all()
    assert numbers[:, 2].tolist() == [0.25, 1, 0, 0]
    assert np.isnan(numbers[1, 1])
    assert numbers[2, :2].tolist() == [np.inf, np.inf]
    assert wide.numbers(np.empty((0, 4))).shape == (0, 19)
    with pytest.raises(BatchError, match="expected 4 columns, got 3"):
        wide.numbers(np.ones((2, 3)))


def test_projections_are_the_same_everywhere_and_forever() -> None:
    signs = Wide(name="t", columns=300).signs()
    assert signs[:2].sum(axis=1).tolist() == [2.0, -6.0]
    assert abs(signs.mean()) < 0.05
    assert np.abs(signs.T @ signs / 300 - np.eye(16)).max() < 0.25


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_a_code_for_missing_far_away_does_not_blur_the_rest(share: float) -> None:
    rng = np.random.default_rng(9)
    values = rng.normal(size=(5000, 1))
    values[rng.random(5000) < share] = -999
    profile = build((Feature(name="x"),), Rows(numeric=values.astype(np.float32)))
    channel = profile.channels[0]
    intervals = [kind is BinKind.INTERVAL for kind in channel.bins]
    assert channel.labels[1] == "= -999"
    assert channel.q[intervals].max() < 0.08
    assert sum(intervals) == pytest.approx(20 * (1 - share), abs=2)


def test_half_zeros_have_a_bin_and_the_rest_has_intervals() -> None:
    rng = np.random.default_rng(10)
    values = np.exp(2 * rng.normal(size=(5000, 1))) * (rng.random((5000, 1)) < 0.5)
    profile = build((Feature(name="x"),), Rows(numeric=values.astype(np.float32)))
    channel = profile.channels[0]
    assert channel.labels[1] == "= 0"
    assert channel.reference[1] == (values == 0).sum()
    assert channel.q[2:-3].max() < 0.07


def test_pairs_of_many_features_take_no_more_memory_than_their_rows() -> None:
    """500 features have 125,000 pairs, whose tables need not all be there at a time."""
    features = tuple(Feature(name=f"f{at:03}") for at in range(500))
    numbers = np.random.default_rng(3).normal(size=(4_000, 500)).astype(np.float32)
    sampler = Sampler()
    sampler.add(Rows(numeric=numbers))
    tracemalloc.start()
    plan_of(features, sampler)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 15 * numbers.nbytes

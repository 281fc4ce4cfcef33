"""Counts add, whatever the batches are and whatever is in them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.build import build
from driftline_stats.drift.channels import Channel
from driftline_stats.drift.kernel import BLOCK, Counter, Kernel
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.rows import Feature, Rows, as_levels, rows_of
from driftline_stats.errors import BatchError, StateError
from tests.stats.drift_builders import FEATURES, LEVELS, ODD, rows, typical

TYPICAL_FEATURES, TYPICAL = typical(1, 3 * BLOCK + 17)
PROFILE = build(TYPICAL_FEATURES, TYPICAL)
KERNEL = Kernel(PROFILE.plan)


def channel(profile: Profile, name: str) -> Channel:
    (found,) = (each for each in profile.channels if each.name == name)
    return found


def landed(profile: Profile, live: Rows, name: str) -> list[BinKind]:
    """Return in what bins of a channel rows are, one kind a row, in the order of the bins."""
    found = channel(profile, name)
    counts = Kernel(profile.plan).count(live).of(found)
    return [kind for kind, n in zip(found.bins, counts.tolist(), strict=True) for _ in range(n)]


@settings(max_examples=40, deadline=None)
@given(rows(), rows(), rows(), rows())
def test_merging_is_addition(reference: Rows, a: Rows, b: Rows, c: Rows) -> None:
    profile = build(FEATURES, reference)
    kernel = Kernel(profile.plan)
    first, second, third = (kernel.count(each) for each in (a, b, c))
    whole = kernel.count(Rows.joined([a, b, c]))
    assert (first + second) + third == whole
    assert first + (second + third) == whole
    assert third + first + second == whole
    assert whole - first == second + third
    assert first.update(second).merge(third) == whole
    assert Counts.none(profile.plan) + first == first


@settings(max_examples=40, deadline=None)
@given(rows(), rows(), st.integers(0, 2**32))
def test_order_does_not_matter(reference: Rows, live: Rows, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(len(live))
    kernel = Kernel(build(FEATURES, reference).plan)
    assert kernel.count(live[shuffled]) == kernel.count(live)


@settings(max_examples=40, deadline=None)
@given(rows(), rows())
def test_every_row_is_in_one_bin_of_every_channel(reference: Rows, live: Rows) -> None:
    profile = build(FEATURES, reference)
    counts = Kernel(profile.plan).count(live)
    assert counts.rows == len(live)
    for each in profile.channels:
        assert counts.of(each).sum() == len(live), each.name
        assert each.n_ref == len(reference)
        assert each.q.sum() == pytest.approx(1)
        assert (each.q > 0).all()
        assert len(each.bins) == len(each.labels) == len(each.q)


@settings(max_examples=40, deadline=None)
@given(rows())
def test_a_profile_and_its_counts_come_back_to_the_bit(reference: Rows) -> None:
    profile = build(FEATURES, reference, in_order=True)
    assert Profile.from_json(profile.to_json()) == profile
    assert Counts.from_json(profile.reference.to_json()) == profile.reference
    assert Profile.from_json(profile.to_json()).plan.digest == profile.plan.digest


@pytest.mark.parametrize("size", [1, 7, 63, 64, 65, 1023, 1024, 1025])
def test_batches_of_any_size_count_the_same(size: int) -> None:
    counter = Counter(KERNEL)
    for begin in range(0, len(TYPICAL), size):
        counter.add(TYPICAL[begin : begin + size])
    assert counter.counts() == PROFILE.reference


def test_counting_goes_on_after_counts_were_read() -> None:
    counter = Counter(KERNEL)
    counter.add(TYPICAL[:100])
    before = counter.counts()
    counter.add(TYPICAL[100:])
    assert before == KERNEL.count(TYPICAL[:100])
    assert counter.counts() == PROFILE.reference
    assert counter.counts() - before == KERNEL.count(TYPICAL[100:])


def test_pairs_are_what_counting_one_row_after_the_other_gives() -> None:
    plan = PROFILE.plan
    live = TYPICAL[: BLOCK + 100]
    counts = KERNEL.count(live)
    pairs = [each for each in PROFILE.channels if each.kind == "pair"]
    assert len(pairs) == 6
    for pair, found in zip(plan.pairs, pairs, strict=True):
        table = np.zeros((3, 3), np.int64)
        for row in live.numeric:
            terciles = []
            for at in (pair.first, pair.second):
                d = row[at] - np.float32(plan.numeric[at].location)
                terciles.append(
                    0 if d < plan.numeric[at].low else 2 if d > plan.numeric[at].high else 1
                )
            table[terciles[0], terciles[1]] += 1
        assert counts.of(found).tolist() == table.ravel().tolist()
        assert found.features == tuple(plan.numeric[at].name for at in (pair.first, pair.second))


@pytest.mark.parametrize("at", range(4))
def test_bins_are_where_their_edges_say(at: int) -> None:
    found = channel(PROFILE, f"x{at:03}")
    for row in range(0, len(TYPICAL), 17):
        value = float(TYPICAL.numeric[row, at])
        (place,) = KERNEL.count(TYPICAL[row : row + 1]).of(found).nonzero()[0]
        if np.isnan(value):
            assert found.bins[place] is BinKind.MISSING
        else:
            # A difference in float32 is rounded.
            lower, upper = found.edges[place - 1 : place + 1]
            assert lower - 1e-6 * abs(lower) <= value <= upper + 1e-6 * abs(upper)


def test_intervals_hold_about_equal_numbers_of_rows() -> None:
    found = channel(PROFILE, "x000")
    of_intervals = found.q[[kind is BinKind.INTERVAL for kind in found.bins]]
    assert len(of_intervals) == 20
    assert of_intervals.min() > 0.03
    assert of_intervals.max() < 0.07


def test_heavy_values_have_bins_of_their_own() -> None:
    zeros = channel(PROFILE, "x003")
    (heavy,) = (at for at, kind in enumerate(zeros.bins) if kind is BinKind.VALUE)
    assert zeros.labels[heavy] == "= 0"
    assert zeros.reference[heavy] == (TYPICAL.numeric[:, 3] == 0).sum()
    whole = channel(PROFILE, "x002")
    assert {"= 2", "= 3", "= 4"} <= set(whole.labels)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, BinKind.MISSING),
        (NAN, BinKind.MISSING),
        ("no number", BinKind.MISSING),
        (INF, BinKind.INFINITE),
        (-INF, BinKind.INFINITE),
        (10**400, BinKind.INFINITE),
        (-1, BinKind.BELOW),
        (-(2**63), BinKind.BELOW),
        (100.5, BinKind.ABOVE),
        (2**64, BinKind.ABOVE),
        (50, BinKind.INTERVAL),
        ("50", BinKind.INTERVAL),
        (True, BinKind.INTERVAL),
        (7, BinKind.VALUE),
    ],
)
def test_numbers_land_where_they_belong(value: object, kind: BinKind) -> None:
    features = (Feature(name="x"),)
    profile = build(features, rows_of(features, {"x": [*range(100), *[7] * 100]}))
    assert landed(profile, rows_of(features, {"x": [value]}), "x") == [kind]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, BinKind.MISSING),
        (NAN, BinKind.MISSING),
        ("Rome", BinKind.LEVEL),
        (b"Rome", BinKind.LEVEL),
        (3, BinKind.LEVEL),
        (3.0, BinKind.LEVEL),
        (2**70, BinKind.LEVEL),
        ("3", BinKind.OTHER),
        ("rome", BinKind.OTHER),
        (3.5, BinKind.OTHER),
        (-(2**70), BinKind.OTHER),
        (INF, BinKind.OTHER),
        ((1, 2), BinKind.OTHER),
        ([1], BinKind.OTHER),
    ],
)
def test_levels_land_where_they_belong(value: object, kind: BinKind) -> None:
    features = (Feature(name="x", kind="categorical"),)
    profile = build(features, rows_of(features, {"x": ["Rome", 3, 2**70]}))
    assert landed(profile, rows_of(features, {"x": [value]}), "x") == [kind]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float32, np.float64])
@pytest.mark.parametrize("levels", [[0, 1, 2], [5, 100_000, 2**40], [-3, 120]])
def test_integers_land_the_same_whatever_their_type(levels: list[int], dtype: type) -> None:
    features = (Feature(name="x", kind="categorical"),)
    profile = build(features, rows_of(features, {"x": levels}))
    limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.iinfo(np.int32)
    wanted = [*levels, 1, 6, -1, 127, limits.max, limits.min]
    fits = [level for level in wanted if limits.min <= level <= limits.max]
    column: np.ndarray[Any, Any] = np.array(fits, dtype)
    live = Rows(numeric=np.empty((len(column), 0), np.float32), categorical=(column,))
    kinds = Kernel(profile.plan).count(live).of(profile.channels[0])
    expected = [
        sum(int(each) == level for each in column) for level in profile.plan.categorical[0].levels
    ]
    assert kinds.tolist() == [*expected, len(column) - sum(expected), 0]


def test_a_constant_is_left_by_the_smallest_step() -> None:
    features = (Feature(name="x"), Feature(name="y"))
    constant = np.float32(0.1)
    profile = build(features, Rows(numeric=np.full((50, 2), constant)))
    other = np.nextafter(constant, np.float32(1))
    live = Rows(numeric=np.array([[constant, other], [other, constant]], np.float32))
    assert landed(profile, live, "x") == [BinKind.VALUE, BinKind.ABOVE]


def test_what_was_all_missing_is_out_of_range_when_it_comes() -> None:
    features = (Feature(name="x"),)
    profile = build(features, Rows(numeric=np.full((50, 1), np.nan, np.float32)))
    live = Rows(numeric=np.array([[-1], [1], [np.nan]], np.float32))
    assert landed(profile, live, "x") == [BinKind.BELOW, BinKind.ABOVE, BinKind.MISSING]


def test_odd_values_never_raise_in_any_batch() -> None:
    live = Rows(
        numeric=np.repeat(np.array(ODD, np.float32)[:, None], 3, axis=1),
        categorical=(as_levels([*LEVELS][: len(ODD)]), np.arange(len(ODD))),
    )
    for reference in (live, live[:1], live[:0]):
        profile = build(FEATURES, reference, in_order=True)
        assert Kernel(profile.plan).count(live).rows == len(live)


def test_counts_of_different_plans_do_not_add() -> None:
    other = build(TYPICAL_FEATURES, TYPICAL[:500])
    with pytest.raises(StateError, match="do not add"):
        PROFILE.reference + other.reference
    with pytest.raises(StateError, match="another plan"):
        Profile(
            plan=PROFILE.plan, reference=Counts(plan="", rows=0, values=PROFILE.reference.values)
        )
    with pytest.raises(StateError, match="below zero"):
        KERNEL.count(TYPICAL[:1]) - PROFILE.reference


def test_rows_of_other_features_are_refused() -> None:
    with pytest.raises(BatchError, match="3 numeric and 1 categorical features, expected 4 and 1"):
        KERNEL.count(Rows(numeric=TYPICAL.numeric[:, :3], categorical=TYPICAL.categorical))
    with pytest.raises(BatchError, match="float32"):
        Rows(numeric=TYPICAL.numeric.astype(np.float64))
    with pytest.raises(BatchError, match="expected \\(2,\\)"):
        Rows(numeric=TYPICAL.numeric[:2], categorical=(np.arange(3),))
    with pytest.raises(BatchError, match="as_levels"):
        Rows(numeric=TYPICAL.numeric[:1], categorical=(np.array(["Rome"]),))
    with pytest.raises(BatchError, match="missing: x001"):
        rows_of((Feature(name="x001"),), {})
    with pytest.raises(BatchError, match="lengths: \\[1, 2\\]"):
        rows_of((Feature(name="x"), Feature(name="y")), {"x": [1], "y": [1, 2]})

"""The canary is slower when it exceeds frozen thresholds more often, whatever else moves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.histogram import LatencyHistogram, bucket_edges
from driftline_stats.latency import (
    Exceedances,
    LatencyBatch,
    LatencyShift,
    Thresholds,
    band,
)
from driftline_stats.latency_certificate import LatencyCertificate

BEFORE = LatencyHistogram.of(np.random.default_rng(0).lognormal(9, 0.5, 5000))
THRESHOLDS = Thresholds.of(BEFORE)

some_latencies = st.lists(st.floats(0, 1e5) | st.just(math.nan), max_size=20)


@st.composite
def exceedances(draw: st.DrawFn) -> Exceedances:
    units = draw(st.integers(0, 10**9))
    beyond = sorted((draw(st.integers(0, units)) for _ in range(6)), reverse=True)
    return Exceedances(units=units, beyond=tuple(beyond))


@st.composite
def batches(draw: st.DrawFn) -> LatencyBatch:
    return LatencyBatch(stable=draw(exceedances()), canary=draw(exceedances()))


def counted(stable: list[float], canary: list[float]) -> LatencyBatch:
    return LatencyBatch.of(LatencyHistogram.of(stable), LatencyHistogram.of(canary), THRESHOLDS)


def after(*seen: LatencyBatch) -> LatencyShift:
    test = LatencyShift.start(THRESHOLDS)
    for batch in seen:
        test = test.update(batch)
    return test


def a_batch(slower: float, seed: int = 1) -> LatencyBatch:
    rng = np.random.default_rng(seed)
    return counted(
        rng.lognormal(9, 0.5, 4500).tolist(), (slower * rng.lognormal(9, 0.5, 500)).tolist()
    )


@given(
    st.lists(st.floats(1, 1e9), min_size=1, max_size=40),
    st.sampled_from((1, 2, 3)),
    st.floats(0, 3),
)
def test_thresholds_of_the_canary_are_never_below_the_tolerance(
    values: list[float], digits: int, tolerance: float
) -> None:
    thresholds = Thresholds.of(LatencyHistogram.of(values, digits=digits), tolerance=tolerance)
    edges = bucket_edges(digits).tolist()
    for stable, canary in zip(thresholds.stable, thresholds.canary, strict=True):
        assert stable in edges
        assert canary in edges
        assert canary >= stable * (1 + tolerance) * (1 - 1e-12)


def test_a_tolerance_of_a_tenth_does_not_lose_a_bucket_to_rounding() -> None:
    thresholds = Thresholds.of(LatencyHistogram.of([999] * 10), tolerance=0.1)
    assert thresholds.stable[0] == 1000
    assert thresholds.canary[0] == 1100


def test_thresholds_are_those_quantiles_of_stable() -> None:
    assert Thresholds.of(LatencyHistogram.of(range(1_000_000), digits=3)).stable == (
        500_000,
        750_000,
        900_000,
        950_000,
        990_000,
        999_000,
    )


def test_a_slower_canary_is_found_and_an_equal_one_is_not() -> None:
    assert after(a_batch(1.5)).verdict(0.05).rejected
    assert not after(a_batch(1.0)).verdict(0.05).rejected
    assert not after(a_batch(0.7)).verdict(0.05).rejected


def test_a_tail_shows_at_the_high_thresholds() -> None:
    rng = np.random.default_rng(3)
    canary = rng.lognormal(9, 0.5, 500)
    canary[:25] *= 10
    evidences = after(counted(rng.lognormal(9, 0.5, 4500).tolist(), canary.tolist())).log_evidences
    assert max(evidences) == evidences[-1] > evidences[0]


def test_slower_within_the_tolerance_is_no_evidence() -> None:
    rng = np.random.default_rng(2)
    before = LatencyHistogram.of(rng.lognormal(9, 0.5, 5000), digits=3)
    stable = LatencyHistogram.of(rng.lognormal(9, 0.5, 4500), digits=3)
    canary = LatencyHistogram.of(1.2 * rng.lognormal(9, 0.5, 4500), digits=3)
    verdicts = {}
    for tolerance in (0.0, 0.25):
        thresholds = Thresholds.of(before, tolerance=tolerance)
        test = LatencyShift.start(thresholds).update(LatencyBatch.of(stable, canary, thresholds))
        verdicts[tolerance] = test.verdict(0.05).rejected
    assert verdicts == {0.0: True, 0.25: False}


@given(some_latencies, some_latencies, some_latencies, some_latencies)
def test_replicas_of_a_slot_add_up_to_one_batch(
    a: list[float], b: list[float], c: list[float], d: list[float]
) -> None:
    whole = counted([*c, *a], [*d, *b])
    assert counted(a, b) + counted(c, d) == counted(c, d) + counted(a, b) == whole


@given(batches(), batches(), batches())
def test_tests_of_different_slots_merge_to_one_pass(
    a: LatencyBatch, b: LatencyBatch, c: LatencyBatch
) -> None:
    whole = after(a, b, c)
    for merged in (
        after(a).merge(after(b)).merge(after(c)),
        after(a).merge(after(c).merge(after(b))),
        after(c).merge(after(a, b)),
    ):
        for one, other in zip(merged.tests, whole.tests, strict=True):
            assert one.logs == pytest.approx(other.logs, rel=1e-9, abs=1e-6)
            assert one.seen == other.seen


@given(st.lists(batches(), max_size=3))
def test_a_test_comes_back_from_json_as_it_was(seen: list[LatencyBatch]) -> None:
    test = after(*seen)
    read = LatencyShift.from_json(test.to_json())
    assert read == test
    assert read.update(a_batch(1)) == test.update(a_batch(1))


def test_without_one_of_the_arms_nothing_is_learned() -> None:
    for batch in (counted([], []), counted([1e5], []), counted([], [1e5])):
        assert after(batch).log_evidence == 0


def test_evidence_beyond_what_a_double_holds_is_still_evidence() -> None:
    slow = Exceedances(units=10**9, beyond=(10**9,) * 6)
    fast = Exceedances(units=10**9, beyond=(10**6,) * 6)
    worse = after(LatencyBatch(stable=fast, canary=slow))
    better = after(LatencyBatch(stable=slow, canary=fast))
    assert worse.log_evidence > 300 * math.log(10)
    assert worse.verdict(1e-300).rejected
    assert better.log_evidence < -math.log(10) * 300


def test_a_band_holds_the_true_distribution_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    kept = 0
    for _ in range(300):
        drawn = band(LatencyHistogram.of(rng.exponential(1e4, 200)), 0.2)
        truth = -np.expm1(-drawn.edges / 1e4)
        kept += bool(((drawn.low <= truth) & (truth <= drawn.high)).all())
    assert kept >= 240


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"stable": (1000,), "canary": ()}, "each threshold"),
        ({"stable": (), "canary": ()}, "each threshold"),
        ({"stable": (1001,), "canary": (1100,)}, "not all are edges"),
        ({"stable": (1000,), "canary": (1000,)}, "not widened"),
        ({"tolerance": -0.1}, "at least 0"),
        ({"tolerance": math.nan}, "at least 0"),
    ],
)
def test_refuses_thresholds_that_are_none(fields: dict[str, float], said: str) -> None:
    plan = {"digits": 2, "tolerance": 0.1, "stable": (1000,), "canary": (1100,)} | fields
    with pytest.raises(StateError, match=said):
        Thresholds(**plan)  # type: ignore[arg-type]  # wrong on purpose


def test_refuses_what_does_not_fit() -> None:
    other = Thresholds.of(BEFORE, tolerance=0.5)
    with pytest.raises(StateError, match="different thresholds"):
        after().merge(LatencyShift.start(other))
    with pytest.raises(StateError, match="nothing to freeze"):
        Thresholds.of(LatencyHistogram())
    with pytest.raises(StateError, match="at least 0"):
        Thresholds.of(BEFORE, tolerance=-1)
    with pytest.raises(StateError, match="0 tests of 6"):
        LatencyShift(thresholds=THRESHOLDS, tests=())
    with pytest.raises(BatchError, match="cannot have"):
        Exceedances(units=1, beyond=(2,))
    with pytest.raises(BatchError, match="do not add up"):
        Exceedances(units=1, beyond=(1,)) + Exceedances()
    with pytest.raises(BatchError, match="digits"):
        LatencyBatch.of(LatencyHistogram(digits=3), BEFORE, THRESHOLDS)
    few = Exceedances(units=1, beyond=(1,))
    with pytest.raises(BatchError, match="1 thresholds counted, 6 frozen"):
        after(LatencyBatch(stable=few, canary=few))
    with pytest.raises(ValueError, match="alpha"):
        band(BEFORE, 1.5)
    with pytest.raises(StateError, match="nothing to draw"):
        band(LatencyHistogram(), 0.05)


def certified(seen: LatencyBatch, *, ratio: float = 2.0, floor: float = 0.01) -> bool:
    test = LatencyCertificate.start(THRESHOLDS, ratio=ratio, floor=floor)
    return test.update(seen).verdict(0.05).rejected


def test_an_equal_canary_is_certified_and_a_slower_one_is_not() -> None:
    rng = np.random.default_rng(2)
    stable, canary, slow = (rng.lognormal(mean, 0.5, 9000).tolist() for mean in (9, 9, 9.7))
    assert certified(counted(stable, canary))
    assert not certified(counted(stable, slow))
    assert not certified(counted([], []))


def test_one_exceeded_threshold_of_six_keeps_the_certificate_back() -> None:
    stable = Exceedances(units=10_000, beyond=(5000, 2500, 1000, 500, 100, 10))
    tail = Exceedances(units=10_000, beyond=(5000, 2500, 1000, 500, 100, 100))
    assert certified(LatencyBatch(stable=stable, canary=stable))
    assert certified(LatencyBatch(stable=stable, canary=tail), floor=0.02)
    assert not certified(LatencyBatch(stable=stable, canary=tail), floor=0.001)


def test_certificates_merge_are_stored_and_refuse_others() -> None:
    start = LatencyCertificate.start(THRESHOLDS, ratio=1.5)
    a, b = start.update(a_batch(1, 3)), start.update(a_batch(1, 4))
    assert a.merge(b).log_evidences == pytest.approx(
        start.update(a_batch(1, 3)).update(a_batch(1, 4)).log_evidences
    )
    assert a.merge(b) == b.merge(a)
    assert LatencyCertificate.from_json(a.to_json()) == a
    with pytest.raises(StateError, match="different thresholds"):
        a.merge(LatencyCertificate.start(Thresholds.of(BEFORE, tolerance=0.5), ratio=1.5))
    with pytest.raises(StateError, match="0 tests of 6"):
        LatencyCertificate(thresholds=THRESHOLDS, tests=())


def test_the_smallest_ratio_that_would_show_falls_with_traffic_and_grows_towards_the_tail() -> None:
    few, many = (after(*[a_batch(1, at) for at in range(looks)]) for looks in (1, 8))
    less, more = few.smallest_ratios(0.05), many.smallest_ratios(0.05)
    assert more[-1] is not None
    assert more[0] is not None
    assert more[0] < 1.3 < more[-1]
    assert all(a is None or (b is not None and b < a) for a, b in zip(less, more, strict=True))

"""Rows that depend on each other are recognised, and drift is not taken for dependence."""

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.detector import DetectorPlan, DriftDetector
from driftline_stats.drift.inflation import LIVE_ROWS, InflationMeter
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.mixture import Mixture
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.watched import reference_of, window_of

FEATURES = (Feature(name="x"),)


def autoregressive(rng: np.random.Generator, rows: int, phi: float) -> Rows:
    noise = rng.normal(size=rows)
    series = np.empty(rows)
    series[0] = noise[0]
    for at in range(1, rows):
        series[at] = phi * series[at - 1] + np.sqrt(1 - phi**2) * noise[at]
    return Rows(numeric=series[:, None].astype(np.float32))


def profile_of(rows: Rows, *, in_order: bool = True) -> Profile:
    return build(FEATURES, rows, in_order=in_order)


def location(profile: Profile, detector: DriftDetector | None = None) -> float:
    reference = reference_of(profile)
    names = Mixture.of(reference).scores.names
    found = detector.deff if detector else reference.channels[0].inflation
    return float(found[names.index(("x", "location"))])


@pytest.mark.parametrize(("phi", "low", "high"), [(0.0, 1.0, 1.6), (0.3, 1.4, 2.6), (0.8, 6, 13)])
def test_the_reference_in_order_shows_its_inflation(phi: float, low: float, high: float) -> None:
    """Of an AR(1) it is (1 + phi) / (1 - phi): 1, 1.86 and 9."""
    profile = profile_of(autoregressive(np.random.default_rng(1), 20_000, phi))
    assert low <= location(profile) <= high


def test_a_shuffled_reference_shows_none_but_live_rows_do() -> None:
    rng = np.random.default_rng(2)
    rows = autoregressive(rng, 20_000, 0.8)
    profile = profile_of(rows[rng.permutation(20_000)], in_order=False)
    reference = reference_of(profile)
    assert not reference.ordered
    assert reference.channels[0].inflation.size == 0
    kernel = Kernel(profile.plan)
    detector = DriftDetector.start(DetectorPlan.make(reference, budget=1e6))
    live = autoregressive(rng, 12_800, 0.8)
    for at in range(0, len(live), 128):
        detector = detector.update(window_of(kernel.count(live[at : at + 128])))
    assert detector.meter.complete
    assert 5 <= location(profile, detector) <= 14


def test_windows_of_single_rows_show_it_too() -> None:
    rng = np.random.default_rng(3)
    profile = profile_of(autoregressive(rng, 5_000, 0.0))
    kernel = Kernel(profile.plan)
    detector = DriftDetector.start(DetectorPlan.make(reference_of(profile), budget=1e6))
    live = autoregressive(rng, 3_000, 0.8)
    for at in range(len(live)):
        detector = detector.update(window_of(kernel.count(live[at : at + 1])))
    assert 3 <= location(profile, detector) <= 14


def test_drift_does_not_pass_for_dependence() -> None:
    """A rare value that becomes common makes sums vary more, though rows are independent."""
    rng = np.random.default_rng(4)
    profile = profile_of(autoregressive(rng, 10_000, 0.0), in_order=False)
    kernel = Kernel(profile.plan)
    detector = DriftDetector.start(DetectorPlan.make(reference_of(profile), budget=1e9))
    for _ in range(100):
        rows = rng.normal(size=(128, 1)).astype(np.float32)
        rows[rng.random(128) < 0.05] = np.nan
        detector = detector.update(window_of(kernel.count(Rows(numeric=rows))))
    assert detector.deff.max() < 2.5


def test_the_meter_is_of_the_first_rows_alone() -> None:
    rng = np.random.default_rng(5)
    profile = profile_of(autoregressive(rng, 5_000, 0.0))
    kernel = Kernel(profile.plan)
    detector = DriftDetector.start(DetectorPlan.make(reference_of(profile), budget=1e6))
    while detector.rows < LIVE_ROWS:
        live = autoregressive(rng, 250, 0.0)
        detector = detector.update(window_of(kernel.count(live)))
    later = detector.update(window_of(kernel.count(autoregressive(rng, 500, 0.9))))
    assert later.meter == detector.meter
    assert InflationMeter.from_json(later.meter.to_json()) == later.meter


def test_where_nothing_is_known_of_dependence_the_first_blocks_are_no_evidence() -> None:
    rng = np.random.default_rng(6)
    profile = profile_of(autoregressive(rng, 5_000, 0.0), in_order=False)
    kernel = Kernel(profile.plan)
    detector = DriftDetector.start(DetectorPlan.make(reference_of(profile), budget=1e6))
    shifted = [
        window_of(kernel.count(Rows(numeric=rng.normal(3, 1, (64, 1)).astype(np.float32))))
        for _ in range(22)
    ]
    for window in shifted[:21]:
        detector = detector.update(window)
        assert not detector.alarmed
    assert detector.rows == 21 * 64
    assert detector.update(shifted[21]).alarmed


@pytest.mark.parametrize("rows", [64, 500, 1_000, 5_000])
def test_dense_traffic_is_watched_as_well(rows: int) -> None:
    """A look may hold as many rows as the meter is meant to see, or more."""
    rng = np.random.default_rng(7)
    profile = profile_of(autoregressive(rng, 5_000, 0.0), in_order=False)
    kernel = Kernel(profile.plan)
    detector = DriftDetector.start(DetectorPlan.make(reference_of(profile), budget=1e6))
    windows = -(-LIVE_ROWS // rows) + 25
    for shift in (0.0,) * windows + (3.0,):
        numbers = rng.normal(shift, 1, (rows, 1)).astype(np.float32)
        detector = detector.update(window_of(kernel.count(Rows(numeric=numbers))))
        assert detector.alarmed == (shift > 0)


def test_rows_of_dense_traffic_tell_their_dependence() -> None:
    rng = np.random.default_rng(8)
    profile = profile_of(autoregressive(rng, 5_000, 0.0), in_order=False)
    kernel = Kernel(profile.plan)
    detector = DriftDetector.start(DetectorPlan.make(reference_of(profile), budget=1e6))
    for _ in range(30):
        detector = detector.update(window_of(kernel.count(autoregressive(rng, 1_000, 0.9))))
    assert detector.deff.max() > 5

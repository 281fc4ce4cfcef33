"""What watches share: mixtures that are kept in few bytes, and none for the same thing twice."""

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.detector import DetectorPlan
from driftline_stats.drift.watched import reference_of
from driftline_stats.watch import tables
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.slim import mixture_of, slim_of
from driftline_stats.watch.tables import Basis, tables_of
from tests.stats.drift_builders import typical
from tests.stats.watch_builders import KERNEL, PROFILE, drawn, usual


@pytest.mark.parametrize("rows", [10_000, 400])
def test_a_mixture_comes_back_as_it_was(rows: int) -> None:
    features, values = typical(4, rows)
    profile = build(features, values)
    mixture = DetectorPlan.make(reference_of(profile), budget=1e6).mixture
    again = mixture_of(slim_of(mixture, profile.reference.values))
    for name in ("theta", "psi", "spread", "top", "weight", "n_ref"):
        assert np.allclose(getattr(again, name), getattr(mixture, name), rtol=2e-4, atol=1e-6), name
    deff, counts = np.ones(len(mixture.scores.names)), profile.reference.values
    before, after = (
        each.log_ratios(counts, each.log_constants(0.1, 1.0, deff), deff)
        for each in (mixture, again)
    )
    assert np.allclose(after, before, rtol=1e-4, atol=0.01)
    for name in ("mean", "spread"):
        assert np.allclose(getattr(again.scores, name), getattr(mixture.scores, name), atol=1e-5)


def test_watches_of_one_profile_share_one_mixture() -> None:
    first = tables_of(Basis(profile=WatchPlan.packed(PROFILE)))
    second = tables_of(Basis(profile=WatchPlan.packed(PROFILE)))
    assert first is second


def test_all_channels_have_all_rows() -> None:
    counts = KERNEL.count(drawn(usual, np.random.default_rng(1), 77))
    assert tables_of(Basis(profile=WatchPlan.packed(PROFILE))).rows(counts.values) == 77


def test_packed_tables_are_small() -> None:
    packed = tables._packed(Basis(profile=WatchPlan.packed(PROFILE)))
    assert len(packed) < 20_000

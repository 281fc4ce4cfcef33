"""A tilt is a likelihood ratio: its mean is 1 under the reference, at most c within tolerance."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from driftline_stats.drift.mixture import Mixture
from driftline_stats.drift.reference import Reference, ReferenceChannel, unknown_inflation
from driftline_stats.drift.tilts import Layout, lambdas, law, normal_scores
from driftline_stats.errors import StateError

LAYOUTS = (
    Layout(ordered=(0, 1, 2, 3, 4), missing=(5,), range=(0, 4, 6)),
    Layout(levels=(0, 1, 2), range=(3,), missing=(4,)),
    Layout(grid=tuple(range(9))),
    Layout(ordered=(0,), missing=(1,)),
    Layout(ordered=(2, 1, 0)),
)

FEW = settings(max_examples=25, deadline=None)


def counts_of(layout: Layout) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.int64, (1, layout.bins), elements=st.integers(0, 10**9))


def reference_of(layout: Layout, counts: np.ndarray, role: str = "feature") -> Reference:
    channel = ReferenceChannel(
        name="x", role=role, layout=layout, counts=counts, inflation=unknown_inflation()
    )
    return Reference(channels=(channel,))


@st.composite
def references(draw: st.DrawFn) -> Reference:
    layout = draw(st.sampled_from(LAYOUTS))
    return reference_of(layout, draw(counts_of(layout)))


def ratios(mixture: Mixture, bins: int, constants: np.ndarray | float = 0.0) -> np.ndarray:
    """Return ln b_i(k) by bin and component: the log ratio of one row in each bin."""
    deff = np.ones(len(mixture.scores.names))
    every = np.broadcast_to(constants, mixture.weight.shape)
    return mixture.log_ratios(np.eye(bins, dtype=np.int64), every, deff)


@given(references())
@FEW
def test_the_mean_ratio_is_1_under_the_reference(reference: Reference) -> None:
    (channel,) = reference.channels
    mixture = Mixture.of(reference)
    found = ratios(mixture, channel.layout.bins)
    assert np.isfinite(found).all()
    assert law(channel.counts[0]) @ np.exp(found) == pytest.approx(1, rel=1e-6)
    assert mixture.weight.sum() == pytest.approx(1)
    assert (mixture.weight > 0).all()


@given(references(), st.data())
@FEW
def test_within_the_tolerance_the_mean_ratio_is_at_most_1(
    reference: Reference, data: st.DataObject
) -> None:
    (channel,) = reference.channels
    q = law(channel.counts[0])
    toward = law(data.draw(counts_of(channel.layout))[0])
    tolerance = data.draw(st.sampled_from([0.05, 0.1, 0.3]))
    distance = math.sqrt(((toward - q) ** 2 / q).sum())
    p = q + (toward - q) * min(1.0, tolerance / max(distance, 1e-300))
    mixture = Mixture.of(reference)
    deff = np.ones(len(mixture.scores.names))
    found = ratios(mixture, channel.layout.bins, mixture.log_constants(tolerance, 0.0, deff))
    assert (p @ np.exp(found)).max() <= 1 + 1e-6


def test_what_is_just_outside_the_tolerance_is_not_held_to_be_inside() -> None:
    counts = np.array([[500, 500]])
    mixture = Mixture.of(reference_of(Layout(levels=(0, 1)), counts))
    deff = np.ones(len(mixture.scores.names))
    found = ratios(mixture, 2, mixture.log_constants(0.1, 0.0, deff))
    outside = np.array([0.56, 0.44])
    assert (outside @ np.exp(found)).max() > 1


def test_a_small_reference_is_not_asked_for_small_drifts() -> None:
    assert lambdas(100) == (1.0, 1.2)
    assert lambdas(0) == (10.0,)
    assert min(lambdas(10**9)) == 0.15


def test_normal_scores_have_the_moments_of_a_normal() -> None:
    q = np.full(50, 0.02)
    first, second = normal_scores(q)
    assert q @ first == pytest.approx(0, abs=1e-12)
    assert q @ second == pytest.approx(1, abs=1e-12)
    assert (np.diff(first) > 0).all()


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"ordered": (0, 2)}, "each of the bins must stand in one place"),
        ({"ordered": (0, 1), "levels": (1,)}, "each of the bins must stand in one place"),
        ({"grid": (0, 1, 2)}, "a table of terciles has 9 bins, found 3"),
    ],
)
def test_refuses_bins_that_make_no_sense(layout: dict[str, tuple[int, ...]], said: str) -> None:
    with pytest.raises(StateError, match=said):
        Layout(**layout)


@pytest.mark.parametrize(
    ("counts", "role", "said"),
    [
        (np.ones((1, 3), int), "feature", "expected counts of 5 bins"),
        (-np.ones((1, 5), int), "feature", "counts cannot be negative"),
        (np.ones((2, 5), int), "feature", "expected counts of 1 strata, found 2"),
        (np.ones((1, 5), int), "label", "role 'label' is none of"),
    ],
)
def test_refuses_a_reference_that_makes_no_sense(counts: np.ndarray, role: str, said: str) -> None:
    with pytest.raises(StateError, match=said):
        reference_of(LAYOUTS[1], counts, role)


def test_a_channel_of_one_bin_cannot_drift() -> None:
    with pytest.raises(StateError, match="a channel of 1 bins cannot drift"):
        reference_of(Layout(ordered=(0,)), np.ones((1, 1), int))

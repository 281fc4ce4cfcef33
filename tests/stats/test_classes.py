"""Predicted classes and score bins of two arms."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.class_bins import Levels, ScoreBins
from driftline_stats.classes import ClassBatch, ClassMix
from driftline_stats.errors import BatchError, StateError
from driftline_stats.evidence import log_mean
from driftline_stats.rates import HIGHER, RateBatch, RateRatio

counts = st.tuples(*[st.integers(0, 10**9)] * 3)
batches = st.builds(lambda s, c: ClassBatch(stable=s, canary=c), counts, counts)


def a_test(classes: int = 3) -> ClassMix:
    return ClassMix.start(classes=classes)


def test_is_the_mean_of_one_against_the_rest_in_both_directions() -> None:
    batch = ClassBatch(stable=(70, 20, 10), canary=(30, 40, 5))
    logs = []
    for stable, canary in zip(batch.stable, batch.canary, strict=True):
        slot = RateBatch(
            stable_units=100, stable_events=stable, canary_units=75, canary_events=canary
        )
        logs += [
            RateRatio.above(1.0, HIGHER).update(slot).log_evidence,
            RateRatio.below(1.0, [1 / each for each in HIGHER]).update(slot).log_evidence,
        ]
    assert a_test().update(batch).log_evidence == pytest.approx(log_mean(logs))


def test_its_expectation_is_at_most_1_where_the_arms_agree() -> None:
    """Enumerated: three predictions each, of three classes."""
    p = (0.6, 0.3, 0.1)
    ways = [
        (tuple(drawn.count(k) for k in range(3)), math.prod(p[k] for k in drawn))
        for drawn in itertools.product(range(3), repeat=3)
    ]
    mean = math.fsum(
        chance * other * math.exp(a_test().update(ClassBatch(stable=s, canary=c)).log_evidence)
        for s, chance in ways
        for c, other in ways
    )
    assert 0.8 < mean <= 1 + 1e-12


@given(st.lists(batches, max_size=4), st.randoms())
def test_merging_is_one_pass_in_any_order(slots: list[ClassBatch], random: Any) -> None:
    one_pass = merged = a_test()
    for slot in slots:
        one_pass = one_pass.update(slot)
    random.shuffle(slots)
    for slot in slots:
        merged = a_test().update(slot).merge(merged)
    assert merged.logs == pytest.approx(one_pass.logs, rel=1e-9, abs=1e-3)
    assert ClassMix.from_json(merged.to_json()) == merged


@given(batches, st.permutations(range(3)))
def test_permuting_classes_permutes_the_result(batch: ClassBatch, order: list[int]) -> None:
    permuted = ClassBatch(
        stable=tuple(batch.stable[k] for k in order), canary=tuple(batch.canary[k] for k in order)
    )
    expected = a_test().update(batch).logs[:, order]
    assert a_test().update(permuted).logs == pytest.approx(expected, rel=1e-12)


def test_names_the_class_that_changed_most() -> None:
    test = a_test().update(ClassBatch(stable=(500, 300, 200), canary=(480, 200, 320)))
    assert test.most_changed() == 2
    assert test.verdict(0.05).rejected


def test_a_change_within_the_tolerance_is_none() -> None:
    batch = ClassBatch(stable=(8000, 2000), canary=(7600, 2400))
    assert a_test(2).update(batch).verdict(0.05).rejected
    tolerant = ClassMix.start(classes=2, tolerance=1.25)
    assert not tolerant.update(batch).verdict(0.05).rejected


def test_a_class_that_only_one_arm_predicts_is_seen() -> None:
    test = a_test().update(ClassBatch(stable=(500, 500, 0), canary=(450, 450, 100)))
    assert test.most_changed() == 2


def test_replicas_add_up_before_the_update() -> None:
    one = ClassBatch(stable=(5, 5, 0), canary=(1, 0, 2))
    assert a_test().update(one + one) == a_test().update(
        ClassBatch(stable=(10, 10, 0), canary=(2, 0, 4))
    )


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(BatchError, match="stable has 2 classes, canary 1"):
        ClassBatch(stable=(1, 2), canary=(1,))
    with pytest.raises(BatchError, match="at least 0, got -1"):
        ClassBatch(stable=(1, 2), canary=(1, -1))
    two = ClassBatch(stable=(1, 2), canary=(1, 2))
    with pytest.raises(BatchError, match="2 classes, the test has 3"):
        a_test().update(two)
    with pytest.raises(BatchError):
        two + ClassBatch(stable=(1, 2, 3), canary=(1, 2, 3))
    with pytest.raises(StateError):
        a_test().merge(a_test(2))
    with pytest.raises(StateError):
        ClassMix.start(classes=0)
    with pytest.raises(StateError):
        ClassMix.start(classes=2, tolerance=0.5)


@given(st.lists(st.floats() | st.sampled_from([math.nan, math.inf, 1.0])), st.integers(2, 12))
def test_any_score_has_one_bin(scores: list[float], bins: int) -> None:
    frozen = ScoreBins.frozen(scores, bins)
    assert frozen.bins <= bins + 1
    counts = frozen.counts(scores)
    assert len(counts) == frozen.bins
    assert sum(counts) == len(scores)
    one_by_one = [0] * frozen.bins
    for score in scores:
        one_by_one[frozen.bin_of(score)] += 1
    assert tuple(one_by_one) == counts
    assert counts[-1] == sum(map(math.isnan, scores))
    assert ScoreBins.from_json(frozen.to_json()) == frozen


def test_bins_hold_equal_parts_of_stables_scores() -> None:
    scores = np.random.default_rng(1).normal(size=1000)
    assert ScoreBins.frozen(scores, 10).counts(scores) == (*(100,) * 10, 0)


def test_edges_must_rise() -> None:
    with pytest.raises(StateError, match="edges must rise"):
        ScoreBins(edges=(1.0, 1.0))


@given(st.lists(st.text(max_size=2)))
def test_unseen_classes_have_a_bin_of_their_own(predicted: list[str]) -> None:
    counts = Levels(levels=("a", "b")).counts(predicted)
    assert counts[:2] == (predicted.count("a"), predicted.count("b"))
    assert sum(counts) == len(predicted)

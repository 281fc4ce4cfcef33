"""Certificates: relative, by a floor, and both under one null."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.certificates import Certificate
from driftline_stats.errors import StateError
from driftline_stats.rates import RateBatch

counts = st.integers(0, 10**6)


@st.composite
def batches(draw: st.DrawFn) -> RateBatch:
    stable, canary = draw(counts), draw(counts)
    return RateBatch(
        stable_units=stable,
        stable_events=draw(st.integers(0, stable)),
        canary_units=canary,
        canary_events=draw(st.integers(0, canary)),
    )


certificates = st.builds(Certificate.start, ratio=st.floats(1.05, 5), floor=st.floats(1e-4, 0.5))


def test_evidence_is_the_mean_of_both() -> None:
    slot = RateBatch(stable_units=900, stable_events=9, canary_units=100, canary_events=1)
    certificate = Certificate.start(ratio=1.5, floor=0.05).update(slot)
    relative, floor = certificate.relative.log_evidence, certificate.floor.log_evidence
    mean = (math.exp(relative) + math.exp(floor)) / 2
    assert certificate.log_evidence == pytest.approx(math.log(mean))


def test_many_errors_in_both_arms_certify_by_the_ratio() -> None:
    slot = RateBatch(stable_units=10**4, stable_events=1000, canary_units=10**4, canary_events=1000)
    certificate = Certificate.start(ratio=1.5).update(slot)
    assert certificate.verdict(0.05).rejected
    assert not certificate.floor.verdict(0.05).rejected


def test_a_canary_that_is_worse_and_above_the_floor_is_not_certified() -> None:
    slot = RateBatch(stable_units=10**4, stable_events=200, canary_units=10**4, canary_events=400)
    assert not Certificate.start(ratio=1.5).update(slot).verdict(0.05).rejected


@given(certificates, st.lists(batches(), max_size=5), st.randoms())
def test_merging_is_one_pass_in_any_order(
    certificate: Certificate, slots: list[RateBatch], random: Any
) -> None:
    one_pass = merged = certificate
    for slot in slots:
        one_pass = one_pass.update(slot)
    array = np.array(
        [(s.stable_units, s.stable_events, s.canary_units, s.canary_events) for s in slots],
        np.int64,
    ).reshape(-1, 4)
    many = certificate.update_many(array)
    random.shuffle(slots)
    for slot in slots:
        merged = certificate.update(slot).merge(merged)
    for other in (merged, many):
        assert other.log_evidence == pytest.approx(one_pass.log_evidence, rel=1e-9, abs=1e-6)
        assert other.relative.seen == one_pass.relative.seen
    if slots:
        last = certificate.path(array)[-1]
        assert last == pytest.approx(one_pass.log_evidence, rel=1e-9, abs=1e-6)


@given(certificates, batches())
def test_is_stored_exactly(certificate: Certificate, slot: RateBatch) -> None:
    certificate = certificate.update(slot)
    assert Certificate.from_json(certificate.to_json()) == certificate


def test_refuses_to_merge_with_one_of_another_floor() -> None:
    with pytest.raises(StateError):
        Certificate.start(ratio=2, floor=0.01).merge(Certificate.start(ratio=2, floor=0.02))

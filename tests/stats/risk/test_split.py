"""Labels of split traffic: a higher risk is told, unless how labels come could be the reason."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.means import MeanBatch, MeanPlan
from driftline_stats.rates import RateRatio
from driftline_stats.risk.arms import ArmDependence, LabelLook, LabelSlot
from driftline_stats.risk.coverage import CLASSES
from driftline_stats.risk.split import SplitRisk, explicable_ratio, log_evidence_beyond
from driftline_stats.risk.split_certificate import SplitCertificate
from driftline_stats.risk.split_loss import LossLook, LossSlot, SplitLoss

PLAN = MeanPlan(low=0.0, high=1.0, center=0.2, sd=0.2)


def a_slot(stable: tuple[int, int, int], canary: tuple[int, int, int], age: int = 0) -> LabelSlot:
    """Waiting, labels and errors of each arm."""
    names = ("waiting", "labels", "errors")
    counts = {
        f"{arm}_{name}": count
        for arm, of_arm in (("stable", stable), ("canary", canary))
        for name, count in zip(names, of_arm, strict=True)
    }
    return LabelSlot(age=age, **counts)


def a_look(*slots: LabelSlot) -> LabelLook:
    return LabelLook(slots={f"hour {at}": slot for at, slot in enumerate(slots)})


@st.composite
def slots(draw: st.DrawFn, most: int = 10**9) -> LabelSlot:
    arms = []
    for _ in range(2):
        waiting = draw(st.integers(0, most))
        labels = draw(st.integers(0, waiting))
        arms.append((waiting, labels, draw(st.integers(0, labels))))
    return a_slot(arms[0], arms[1], draw(st.integers(0, CLASSES - 1)))


looks = st.lists(slots(), max_size=3).map(lambda drawn: a_look(*drawn))

ALIKE = a_slot((90_000, 45_000, 2_250), (10_000, 5_000, 500))
"""Twice the errors, the same coverage."""


def test_twice_the_errors_at_the_same_coverage_are_told() -> None:
    verdict = SplitRisk.start().update(a_look(ALIKE)).verdict(0.05)
    assert verdict.rejected
    assert not verdict.held_back


def test_equal_errors_are_not() -> None:
    same = a_slot((90_000, 45_000, 4_500), (10_000, 5_000, 500))
    assert not SplitRisk.start().update(a_look(same)).verdict(0.05).rejected


def test_a_coverage_that_differs_blocks() -> None:
    more = a_slot((90_000, 45_000, 2_250), (10_000, 7_000, 700))
    verdict = SplitRisk.start().update(a_look(more)).verdict(0.05)
    assert not verdict.rejected
    assert verdict.held_back.startswith("labels do not come alike: the canary has 7,000 labels")
    assert verdict.held_back.endswith("at stable's rates it would have 5,000")


def test_a_delay_that_differs_blocks_although_the_coverage_is_the_same_in_the_end() -> None:
    test = SplitRisk.start(doubt=-math.inf)
    test = test.update(a_look(a_slot((90_000, 9_000, 450), (10_000, 4_000, 400), age=1)))
    test = test.update(a_look(a_slot((81_000, 36_000, 1_800), (6_000, 1_000, 100), age=5)))
    verdict = test.verdict(0.05)
    assert not verdict.rejected
    assert verdict.held_back.startswith("labels do not come alike")


def test_a_coverage_that_could_be_the_reason_blocks_before_it_is_shown_to_differ() -> None:
    """Some fifty labels more are not significant, and yet all the errors that are too many."""
    slight = a_look(a_slot((9_000, 4_500, 225), (1_000, 530, 58)))
    test = SplitRisk.start().update(slight)
    assert not test.arms.verdict(0.05).rejected
    assert test.verdict(0.05).held_back.startswith("coverage may be the reason of a ratio of")
    assert SplitRisk.start(doubt=-math.inf).update(slight).verdict(0.05).rejected


def test_what_coverage_can_explain() -> None:
    assert explicable_ratio(0, 100, 10) == 1
    assert explicable_ratio(5, 100, 10) == 2
    assert explicable_ratio(10, 100, 10) == math.inf
    assert explicable_ratio(-20, 100, 10) == pytest.approx(1.2)
    assert explicable_ratio(-20, 0, 0) == 1


def test_evidence_beyond_a_ratio_is_the_likelihood_against_it() -> None:
    test = RateRatio.above(1.0, [1.5, 2.0, 4.0])
    seen = SplitRisk.start().update(a_look(ALIKE)).risk.seen
    test = test.update(seen)
    beyond = RateRatio.above(1.5, [2.0 / 1.5, 4.0 / 1.5]).update(seen)
    assert log_evidence_beyond(test, 1.3) == pytest.approx(beyond.log_evidence)
    assert log_evidence_beyond(test, 3.0) == -math.inf
    assert log_evidence_beyond(test, math.inf) == -math.inf


@pytest.mark.parametrize("hazard", [0.1, 0.5, 0.95])
def test_the_expectation_is_at_most_1_where_labels_come_alike(hazard: float) -> None:
    """Enumerated: six waiting predictions of stable and three of the canary."""
    mean = 0.0
    for stable, canary in itertools.product(range(7), range(4)):
        ways = math.comb(6, stable) * math.comb(3, canary)
        p = ways * hazard ** (stable + canary) * (1 - hazard) ** (9 - stable - canary)
        look = a_look(a_slot((6, stable, 0), (3, canary, 0)))
        mean += p * math.exp(ArmDependence.start().update(look).log_evidence)
    assert 0.5 < mean <= 1 + 1e-12


def test_the_excess_is_of_labels_beyond_stables_hazards() -> None:
    first = a_slot((90, 30, 0), (10, 5, 0))
    alone = a_slot((0, 0, 0), (10, 10, 0))
    arms = ArmDependence.start().update(a_look(first, alone))
    assert arms.excess == pytest.approx(5 - 10 / 3)
    assert arms.variance == pytest.approx(10 * 0.35 * 0.65 * (1 + 1 / 9))
    low, high = arms.excesses(2.0)
    assert (low + high) / 2 == pytest.approx(arms.excess)


@given(looks, looks, looks)
def test_merging_is_one_pass_in_any_order(one: LabelLook, two: LabelLook, three: LabelLook) -> None:
    start = SplitRisk.start()
    pass_ = start.update(one).update(two).update(three)
    other = start.update(three).merge(start.update(one).merge(start.update(two)))
    assert other.risk.seen == pass_.risk.seen
    assert other.arms.labels == pass_.arms.labels
    scale = 1e-9 * max(1.0, np.abs(pass_.arms.logs).max(), *map(abs, pass_.risk.logs))
    assert other.risk.logs == pytest.approx(pass_.risk.logs, abs=scale, rel=1e-9)
    assert other.arms.logs == pytest.approx(pass_.arms.logs, abs=scale, rel=1e-9)
    assert SplitRisk.from_json(pass_.to_json()) == pass_
    assert not math.isnan(pass_.log_evidence)
    pass_.verdict(0.05)


@given(looks, looks)
def test_looks_of_replicas_add_by_cohort(one: LabelLook, two: LabelLook) -> None:
    ages = {**{k: v.age for k, v in one.slots.items()}, **{k: v.age for k, v in two.slots.items()}}
    if any(look.slots[k].age != ages[k] for look in (one, two) for k in look.slots):
        with pytest.raises(BatchError, match="one age"):
            _ = one + two
        return
    assert (one + two).slots == (two + one).slots


def test_the_order_of_cohorts_does_not_matter() -> None:
    parts = {"a": a_slot((90, 30, 3), (10, 5, 1)), "b": a_slot((50, 30, 9), (30, 5, 1), age=3)}
    forth, back = (
        SplitRisk.start().update(LabelLook(slots=dict(items)))
        for items in (parts.items(), reversed(parts.items()))
    )
    assert forth.risk.logs == pytest.approx(back.risk.logs)
    assert forth.arms.logs == pytest.approx(back.arms.logs)


def test_refuses_what_contradicts_itself() -> None:
    with pytest.raises(BatchError, match="canary: 2 errors in 1 labels of 5 waiting"):
        a_slot((5, 1, 1), (5, 1, 2))
    with pytest.raises(BatchError, match="stable: 0 errors in 6 labels of 5 waiting"):
        a_slot((5, 6, 0), (5, 1, 1))
    with pytest.raises(BatchError, match="11 classes of age"):
        a_slot((5, 1, 1), (5, 1, 1), age=11)
    with pytest.raises(StateError, match="doubt"):
        SplitRisk.start().merge(SplitRisk.start(doubt=0))


def losses(
    rng: np.random.Generator, worse: float, labels: int = 5_000, waiting: int = 10_000
) -> LossLook:
    arrivals = a_slot((90_000, 45_000, 0), (waiting, labels, 0))
    stable, canary = rng.beta(2, 8, 45_000), rng.beta(2 + worse, 8, labels)
    return LossLook(
        slots={"h": LossSlot(arrivals=arrivals, losses=MeanBatch.of(stable, canary, PLAN))}
    )


def test_a_mean_loss_that_is_higher_is_told_unless_labels_come_otherwise() -> None:
    rng = np.random.default_rng(21)
    start = SplitLoss.start(PLAN)
    assert start.update(losses(rng, 0.5)).verdict(0.05).rejected
    assert not start.update(losses(rng, 0.0)).verdict(0.05).rejected
    blocked = start.update(losses(rng, 0.5, labels=6_000)).verdict(0.05)
    assert blocked.held_back.startswith("labels do not come alike")


def test_a_mean_loss_that_coverage_could_be_the_reason_of_is_held_back() -> None:
    look = losses(np.random.default_rng(22), 0.1)
    known = SplitLoss.start(PLAN, doubt=-math.inf).update(look)
    doubted = SplitLoss.start(PLAN).update(look)
    assert known.explicable == 0
    assert known.verdict(0.05).rejected
    assert doubted.explicable == pytest.approx(
        2 * math.sqrt(10_000 / 4 / 0.9) / 5_000 * 0.8, rel=0.1
    )
    assert doubted.verdict(0.05).held_back.startswith("coverage may be the reason of a mean loss")


def test_losses_merge_and_come_back_from_json() -> None:
    rng = np.random.default_rng(23)
    one, two = losses(rng, 0.0), losses(rng, 0.3)
    start = SplitLoss.start(PLAN)
    both = start.update(one).merge(start.update(two))
    assert both.log_evidence == pytest.approx(start.update(one).update(two).log_evidence)
    assert SplitLoss.from_json(both.to_json()) == both
    assert (one + two).arrivals.slots["h"].canary_labels == 10_000


SAME = a_slot((40_000, 20_000, 2_000), (20_000, 10_000, 1_000))


def test_certifies_a_canary_that_is_no_worse() -> None:
    assert SplitCertificate.start(ratio=1.5).update(a_look(SAME)).verdict(0.05).rejected


def test_does_not_certify_where_labels_of_the_canary_are_missing() -> None:
    few = a_look(a_slot((40_000, 20_000, 2_000), (20_000, 9_500, 950)))
    shown = SplitCertificate.start(ratio=1.5).update(few).verdict(0.05)
    assert shown.held_back.startswith("labels do not come alike: the canary has 9,500 labels")
    small = a_look(a_slot((400, 200, 20), (200, 100, 2)))
    doubted = SplitCertificate.start(ratio=1.5).update(small)
    assert doubted.missing == pytest.approx(2 * math.sqrt(200 / 4 * 1.5))
    assert doubted.verdict(0.2).held_back.startswith("coverage may be the reason of 18 errors")
    assert SplitCertificate.start(ratio=1.5, doubt=0).update(small).verdict(0.2).rejected


def test_certificates_merge_and_come_back_from_json() -> None:
    start = SplitCertificate.start(ratio=1.5)
    once, twice = start.update(a_look(SAME)), start.update(a_look(SAME, SAME))
    both = once.merge(once)
    assert both.log_evidence == pytest.approx(twice.log_evidence)
    assert both.missing == pytest.approx(twice.missing)
    assert SplitCertificate.from_json(both.to_json()) == both
    with pytest.raises(StateError, match="doubt"):
        start.merge(SplitCertificate.start(ratio=1.5, doubt=0))


def test_refuses_losses_that_are_none() -> None:
    sums = MeanBatch.of([0.1], [0.2], PLAN)
    with pytest.raises(BatchError, match="canary: 1 losses of 2 labels"):
        LossSlot(arrivals=a_slot((5, 1, 0), (5, 2, 0)), losses=sums)
    with pytest.raises(BatchError, match="higher"):
        SplitLoss.start(MeanPlan(low=0, high=1, center=0.5, sd=1, direction="lower"))
    with pytest.raises(StateError, match="doubt"):
        SplitLoss.start(PLAN).merge(SplitLoss.start(PLAN, doubt=1))


def test_losses_of_which_none_is_a_number_say_nothing() -> None:
    slot = LossSlot(
        arrivals=a_slot((5, 2, 0), (5, 2, 0)),
        losses=MeanBatch.of([math.nan, None], [math.nan, "x"], PLAN),
    )
    test = SplitLoss.start(PLAN).update(LossLook(slots={"h": slot}))
    assert not test.verdict(0.05).rejected
    assert test.explicable == 0

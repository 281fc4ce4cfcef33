"""Two models on the same rows: evidence of gains and losses, with a margin and by slice."""

import itertools
import math
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.risk.margin import (
    FRACTIONS,
    BoundedMargin,
    LossDifferences,
    PairedMargin,
)
from driftline_stats.risk.paired import SHARES, PairedRisk, pairs_needed
from driftline_stats.risk.pairs import Pairs
from driftline_stats.risk.slices import Slices

counts = st.integers(0, 10**9)
pairs = st.builds(Pairs, better=counts, worse=counts, ties=counts)
margins = st.floats(-0.5, 0.5)
losses = st.lists(st.floats() | st.floats(0, 1), max_size=8)


def test_counts_who_was_wrong() -> None:
    stable = [True, True, False, False, False]
    canary = [True, False, True, True, False]
    assert Pairs.of(stable_wrong=stable, canary_wrong=canary) == Pairs(better=1, worse=2, ties=2)
    with pytest.raises(BatchError, match="2 rows of stable cannot pair 1"):
        Pairs.of(stable_wrong=[True, True], canary_wrong=[True])
    with pytest.raises(BatchError, match="negative"):
        Pairs(better=-1)


def test_is_the_mean_over_shares() -> None:
    test = PairedRisk().update(Pairs(better=3, worse=7, ties=100))
    expected = np.mean([(2 * q) ** 7 * (2 * (1 - q)) ** 3 for q in SHARES])
    assert test.log_evidence == pytest.approx(math.log(expected))


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_its_expectation_is_1_where_discordant_rows_fall_either_way(rows: int) -> None:
    evidence = [
        math.comb(rows, worse)
        / 2**rows
        * math.exp(PairedRisk(pairs=Pairs(worse=worse, better=rows - worse)).log_evidence)
        for worse in range(rows + 1)
    ]
    assert sum(evidence) == pytest.approx(1)


def test_says_nothing_of_rows_that_both_got_right_or_wrong() -> None:
    assert PairedRisk().update(Pairs(ties=10**9)).log_evidence == 0


def test_calls_worse_what_is_and_not_what_is_better() -> None:
    seen = Pairs(better=10, worse=40, ties=950)
    assert PairedRisk().update(seen).verdict(0.05).rejected
    assert not PairedRisk().update(seen.swapped).verdict(0.05).rejected


def test_needs_as_many_discordant_rows_as_it_says() -> None:
    needed = pairs_needed(0.05)
    assert PairedRisk(pairs=Pairs(worse=needed)).verdict(0.05).rejected
    assert not PairedRisk(pairs=Pairs(worse=needed - 1)).verdict(0.05).rejected


Test = TypeVar("Test", PairedRisk, PairedMargin)


def merges_as_one_pass(start: Test, one: Pairs, two: Pairs, three: Pairs) -> None:
    at_once = start.update(one).update(two).update(three)
    assert start.update(three).merge(start.update(two).merge(start.update(one))) == at_once
    assert start.update(two).merge(start.update(three)).merge(start.update(one)) == at_once
    assert type(start).from_json(at_once.to_json()) == at_once
    assert not math.isnan(at_once.log_evidence)


@given(pairs, pairs, pairs, margins)
def test_merging_is_one_pass_in_any_order(one: Pairs, two: Pairs, three: Pairs, by: float) -> None:
    merges_as_one_pass(PairedRisk(), one, two, three)
    merges_as_one_pass(PairedMargin(delta=by), one, two, three)


@given(st.lists(pairs, min_size=1, max_size=4), margins)
def test_a_path_is_what_updates_give(batches: list[Pairs], delta: float) -> None:
    seen = np.array([each.counts for each in batches])
    for start in (PairedRisk(), PairedMargin(delta=delta)):
        sums = itertools.accumulate(batches)
        assert start.path(seen).tolist() == [start.update(each).log_evidence for each in sums]


@given(margins, st.floats(0, 1))
def test_betting_is_fair_at_the_margin(delta: float, ties: float) -> None:
    """One row with mean difference delta: the expectation is 1, whatever the share of ties."""
    share = ties * (1 - abs(delta))
    outcomes = {
        Pairs(better=1): (1 - share + delta) / 2,
        Pairs(worse=1): (1 - share - delta) / 2,
        Pairs(ties=1): share,
    }
    test = PairedMargin(delta=delta)
    mean = sum(p * math.exp(test.update(row).log_evidence) for row, p in outcomes.items())
    assert mean == pytest.approx(1)


def test_a_margin_decides_by_how_much() -> None:
    seen = Pairs(better=300, worse=100, ties=9600)  # better by .02
    assert PairedMargin.superiority(0.005).update(seen).verdict(0.05).rejected
    assert not PairedMargin.superiority(0.02).update(seen).verdict(0.05).rejected
    even = Pairs(better=200, worse=200, ties=9600)
    assert PairedMargin.non_inferiority(0.01).update(even).verdict(0.05).rejected
    assert not PairedMargin.superiority(0.0).update(even).verdict(0.05).rejected
    inferior = Pairs(better=100, worse=300, ties=9600)
    assert not PairedMargin.non_inferiority(0.02).update(inferior).verdict(0.05).rejected


@pytest.mark.parametrize("margin", [-0.1, 1.0, math.nan])
def test_refuses_a_margin_that_is_none(margin: float) -> None:
    for start in (PairedMargin.superiority, PairedMargin.non_inferiority):
        with pytest.raises(ValueError, match="0 or more and below 1"):
            start(margin)
    with pytest.raises(StateError, match="between -1 and 1"):
        PairedMargin(delta=math.nan)


def test_other_margins_do_not_merge() -> None:
    with pytest.raises(StateError, match="margin"):
        PairedMargin(delta=0.1).merge(PairedMargin(delta=0.2))
    with pytest.raises(StateError, match="margin"):
        BoundedMargin.start(0.1).merge(BoundedMargin.start(0.2))
    with pytest.raises(BatchError, match="margin"):
        BoundedMargin.start(0.1).update(LossDifferences.none(0.2))
    with pytest.raises(StateError, match="shares"):
        PairedRisk().merge(PairedRisk(shares=(0.6,)))


@given(margins, st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_losses_of_0_and_1_bet_as_right_and_wrong(
    delta: float, rows: list[tuple[bool, bool]]
) -> None:
    stable, canary = (np.array([row[at] for row in rows], bool) for at in (0, 1))
    counted = PairedMargin(delta=delta).update(Pairs.of(stable_wrong=stable, canary_wrong=canary))
    test = BoundedMargin.start(delta)
    summed = test.update(test.batch(stable=5.0 * stable, canary=5.0 * canary, bound=5.0))
    assert summed.log_evidence == pytest.approx(counted.log_evidence, abs=1e-9)


@given(margins, losses, st.randoms())
def test_any_losses_are_summed_in_any_order(delta: float, values: list[float], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis gives it no name to use
    canary = [random.choice([0.0, 1.0, math.nan, -math.inf, 1e308]) for _ in values]
    batch = LossDifferences.of(delta, stable=values, canary=canary)
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = LossDifferences.of(
        delta, stable=[values[at] for at in order], canary=[canary[at] for at in order]
    )
    assert batch.rows + batch.missing == len(values)
    assert batch.missing == sum(
        math.isnan(a) or math.isnan(b) for a, b in zip(values, canary, strict=True)
    )
    assert shuffled.log_sums == pytest.approx(batch.log_sums, abs=1e-9)
    test = BoundedMargin.start(delta).update(batch)
    assert BoundedMargin.from_json(test.to_json()) == test
    both = test.merge(test)
    assert both.seen.log_sums == pytest.approx(2 * batch.log_sums)


def test_refuses_sums_that_are_none() -> None:
    with pytest.raises(BatchError, match="finite sums"):
        LossDifferences(delta=0, rows=1, missing=0, total=0.0, log_sums=np.zeros(2))
    with pytest.raises(BatchError, match="cannot differ by 3"):
        LossDifferences(delta=0, rows=1, missing=0, total=3.0, log_sums=np.zeros(len(FRACTIONS)))
    with pytest.raises(ValueError, match="largest loss"):
        LossDifferences.of(0.0, stable=[], canary=[], bound=0.0)
    with pytest.raises(BatchError, match="cannot pair"):
        LossDifferences.of(0.0, stable=[1.0], canary=[])


def test_a_pair_with_a_loss_that_is_no_number_is_missing() -> None:
    seen = LossDifferences.of(0.0, stable=[1, 1, "?", math.nan], canary=[0.25, None, 0, 0])
    assert (seen.rows, seen.missing, seen.total) == (1, 3, 0.75)


BAD = Pairs(better=2, worse=60, ties=938)


def test_a_slice_that_is_worse_is_named_at_its_share_of_alpha() -> None:
    slices = Slices.start(["eu", "us"], margin=0.01).update({"eu": BAD, "us": BAD.swapped})
    assert slices.worse(0.05) == ("eu",)
    assert slices.verdicts(0.05)["eu"].log_bar == pytest.approx(math.log(2 / 0.05))


def test_a_slice_of_few_rows_is_reported_only() -> None:
    few = Pairs(worse=100, ties=99)
    slices = Slices.start(["eu"], margin=0.01).update({"eu": few})
    assert slices.verdicts(0.05)["eu"].held_back == "only 199 of 200 rows"
    assert slices.worse(0.05) == ()
    assert slices.update({"eu": Pairs(ties=1)}).worse(0.05) == ("eu",)


def test_slices_that_were_not_planned_never_decide() -> None:
    slices = Slices.start(["eu"], margin=0.01).update({"mars": BAD, "": BAD})
    assert slices.worse(0.05) == ()
    assert slices.rows() == {"eu": 0, "(unplanned)": 2000}


def test_permuting_slices_permutes_verdicts_and_merging_is_one_pass() -> None:
    seen = {"a": BAD, "b": Pairs(ties=500), "c": Pairs(worse=9, ties=400)}
    forth, back = (Slices.start(names, margin=0.02) for names in (["a", "b", "c"], ["c", "b", "a"]))
    assert forth.update(seen) == back.update(dict(reversed(seen.items())))
    apart = forth.update({"a": BAD}).merge(back.update({each: seen[each] for each in "bc"}))
    assert apart == forth.update(seen)
    assert Slices.from_json(apart.to_json()) == apart


def test_slices_take_bounded_losses_too() -> None:
    slices = Slices.start(["eu", "us"], margin=0.05, bounded=True)
    losses = np.linspace(0, 0.5, 400)
    worse = slices.differences(stable=losses, canary=losses + 0.4)
    same = slices.differences(stable=losses, canary=losses)
    seen = slices.update({"eu": worse, "us": same})
    assert seen.worse(0.05) == ("eu",)
    assert seen.merge(slices).worse(0.05) == ("eu",)
    with pytest.raises(BatchError, match="cannot take pairs"):
        slices.update({"eu": BAD})
    with pytest.raises(StateError, match="cannot merge"):
        slices.merge(Slices.start(["eu", "us"], margin=0.05))


def test_refuses_no_slices_and_other_slices() -> None:
    with pytest.raises(StateError, match="one slice"):
        Slices.start([], margin=0.1)
    with pytest.raises(StateError, match="are not"):
        Slices.start(["a"], margin=0.1).merge(Slices.start(["b"], margin=0.1))

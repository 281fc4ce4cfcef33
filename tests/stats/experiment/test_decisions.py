"""What experiments decide: mismatch, pairs, winners, and where the traffic goes."""

import itertools
import math
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline_stats.errors import BatchError, StateError
from driftline_stats.experiment.best_arm import StopRule, best_arm
from driftline_stats.experiment.mismatch import Exposures, SampleRatio, sample_ratio
from driftline_stats.experiment.pairwise import (
    PairwiseMeans,
    PairwiseRates,
    pairwise_means,
    pairwise_rates,
)
from driftline_stats.experiment.thompson import Allocation, Bandit, Outcomes, bandit, top_two
from driftline_stats.means import MeanPlan
from driftline_stats.rates import RateBatch, RateRatio

PLAN = MeanPlan(low=-10, high=10, center=0, sd=1, direction="higher")
SHARES = st.sampled_from([(0.5, 0.25, 0.25), (0.9, 0.1, 0.0), (0.2, 0.3, 0.5)])
COUNTS = st.tuples(*(st.integers(0, 10**9),) * 3)


def counted(
    *strata: tuple[tuple[int, ...], tuple[int, ...]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    units, events = zip(*strata, strict=True)
    return np.array(units), np.array(events)


def fair(arms: int = 2, units: int = 1000) -> SampleRatio:
    shares = (1 / arms,) * arms
    return sample_ratio(arms=arms).update(Exposures(counts=(units,) * arms, shares=shares))


class TestSampleRatio:
    @given(st.lists(st.builds(Exposures, counts=COUNTS, shares=SHARES), max_size=6), st.randoms())
    @settings(max_examples=40, deadline=None)
    def test_merge_in_any_order_is_one_pass(self, batches: list[Exposures], random: Random) -> None:
        start = sample_ratio(arms=3)
        whole, parts = start, [start.update(each) for each in batches]
        for batch in batches:
            whole = whole.update(batch)
        random.shuffle(parts)
        merged = start
        for part in parts:
            merged = merged.merge(part)
        assert merged.log_evidence == pytest.approx(whole.log_evidence, rel=1e-9, abs=1e-6)
        assert merged.counts.tolist() == whole.counts.tolist()
        assert SampleRatio.from_json(whole.to_json()) == whole

    def test_replicas_of_one_epoch_add_before_they_are_evidence(self) -> None:
        one = Exposures(counts=(4, 6), shares=(0.5, 0.5))
        assert (one + one).counts == (8, 12)
        with pytest.raises(BatchError, match="other epoch"):
            one + Exposures(counts=(4, 6), shares=(0.4, 0.6))

    def test_expectation_under_the_null_is_one_in_every_epoch(self) -> None:
        """All 2^8 assignments of eight units, whose shares change after the fourth."""
        expected = 0.0
        for first, second in itertools.product(range(5), repeat=2):
            chance, test = 1.0, sample_ratio(arms=2)
            for count, share in ((first, 0.1), (second, 0.6)):
                chance *= math.comb(4, count) * share**count * (1 - share) ** (4 - count)
                test = test.update(Exposures(counts=(4 - count, count), shares=(1 - share, share)))
            expected += chance * math.exp(test.log_evidence)
        assert expected == pytest.approx(1.0, abs=1e-12)

    def test_names_the_arm_that_is_short(self) -> None:
        shares = (0.5, 0.3, 0.2)
        test = sample_ratio(arms=3).update(Exposures(counts=(5000, 3000, 1500), shares=shares))
        assert test.verdict(0.01).rejected
        assert min(range(3), key=lambda arm: test.ratios[arm]) == 2

    def test_units_in_an_arm_without_a_share_are_a_mismatch(self) -> None:
        test = sample_ratio(arms=2).update(Exposures(counts=(1000, 10), shares=(1.0, 0.0)))
        assert test.verdict(0.001).rejected

    @pytest.mark.parametrize(
        ("counts", "shares", "said"),
        [
            ((1,), (0.5, 0.5), "1 counts for 2 shares"),
            ((-1, 1), (0.5, 0.5), "must not be negative"),
            ((1, 1), (0.5, 0.6), "sum to 1"),
            ((1, 1), (1.5, -0.5), "at least 0"),
            ((1, 1), (math.nan, 0.5), "sum to 1"),
        ],
    )
    def test_refuses(self, counts: tuple[int, ...], shares: tuple[float, ...], said: str) -> None:
        with pytest.raises(BatchError, match=said):
            Exposures(counts=counts, shares=shares)

    def test_refuses_what_is_of_other_arms(self) -> None:
        with pytest.raises(BatchError, match="2 arms in a test of 3"):
            sample_ratio(arms=3).update(Exposures(counts=(1, 1), shares=(0.5, 0.5)))
        with pytest.raises(StateError, match="do not merge"):
            sample_ratio(arms=3).merge(sample_ratio(arms=2))
        with pytest.raises(ValueError, match="above 1"):
            sample_ratio(arms=2, odds=(0.5,))
        with pytest.raises(ValueError, match="two arms"):
            sample_ratio(arms=1)


class TestPairs:
    def test_of_two_arms_are_those_of_the_rate_test(self) -> None:
        pairs = pairwise_rates(("a", "b"), higher_is_better=True)
        pairs = pairs.update_strata(*counted(((90, 10), (3, 2)), ((50, 50), (5, 9))))
        above = RateRatio.above(1.0)
        for n_a, x_a, n_b, x_b in ((90, 3, 10, 2), (50, 5, 50, 9)):
            above = above.update(
                RateBatch(stable_units=n_a, stable_events=x_a, canary_units=n_b, canary_events=x_b)
            )
        assert pairs.log_evidence_of("b", "a") == pytest.approx(above.log_evidence)

    def test_where_lower_is_better_the_arms_change_places(self) -> None:
        strata = counted(((100, 100, 100), (10, 30, 20)))
        higher, lower = (
            pairwise_rates(("a", "b", "c"), higher_is_better=way).update_strata(*strata)
            for way in (True, False)
        )
        for one, other in itertools.permutations("abc", 2):
            assert higher.log_evidence_of(one, other) == lower.log_evidence_of(other, one)
        assert lower.verdict("a", "b", 0.05).rejected

    def test_a_difference_that_is_too_small_to_matter_is_none(self) -> None:
        strata = counted(((10**6, 10**6), (10_000, 10_800)))
        any_, some = (
            pairwise_rates(("a", "b"), higher_is_better=True, least_ratio=least)
            for least in (1.0, 1.1)
        )
        assert any_.update_strata(*strata).verdict("b", "a", 0.05).rejected
        assert not some.update_strata(*strata).verdict("b", "a", 0.05).rejected

    def test_merge_is_one_pass_and_comes_back_from_json(self) -> None:
        rng = np.random.default_rng(3)
        units = rng.integers(0, 100, (6, 3))
        events = rng.binomial(units, 0.2)
        start = pairwise_rates(("a", "b", "c"), higher_is_better=True)
        whole = start.update_strata(units, events)
        parts = [start.update_strata(units[at : at + 2], events[at : at + 2]) for at in (0, 2, 4)]
        merged = parts[2].merge(parts[0]).merge(parts[1])
        for pair in itertools.permutations("abc", 2):
            assert merged.log_evidence_of(*pair) == pytest.approx(whole.log_evidence_of(*pair))
        assert PairwiseRates.from_json(whole.to_json()) == whole

    def test_means_of_users_say_which_arm_is_better(self) -> None:
        rng = np.random.default_rng(4)
        pairs = pairwise_means(("a", "b", "c"), PLAN)
        strata = [
            (rng.normal(0, 1, 50), rng.normal(0.5, 1, 50), rng.normal(0, 1, 50)) for _ in range(20)
        ]
        half, rest = pairs.update_strata(*strata[:10]), pairs.update_strata(*strata[10:])
        whole = half.merge(rest)
        assert whole.verdict("b", "a", 0.05).rejected
        assert whole.verdict("b", "c", 0.05).rejected
        assert not whole.verdict("c", "a", 0.05).rejected
        assert PairwiseMeans.from_json(whole.to_json()) == whole

    @given(st.lists(st.floats(), max_size=5), st.lists(st.floats(), max_size=5))
    @settings(max_examples=40, deadline=None)
    def test_any_outcomes_leave_evidence_a_number(self, a: list[float], b: list[float]) -> None:
        pairs = pairwise_means(("a", "b"), PLAN).update_strata((np.array(a), np.array(b)))
        assert not math.isnan(pairs.log_evidence_of("a", "b"))

    def test_refuses_what_contradicts_itself(self) -> None:
        pairs = pairwise_rates(("a", "b"), higher_is_better=True)
        with pytest.raises(BatchError, match="expected"):
            pairs.update_strata(*counted(((1, 2, 3), (0, 0, 0))))
        with pytest.raises(BatchError, match="more events than units"):
            pairs.update_strata(*counted(((1, 2), (2, 0))))
        with pytest.raises(BatchError, match="3 arms in a test of 2"):
            pairwise_means(("a", "b"), PLAN).update_strata((np.zeros(1),) * 3)
        with pytest.raises(StateError, match="do not merge"):
            pairs.merge(pairwise_rates(("a", "c"), higher_is_better=True))
        with pytest.raises(StateError, match="lower in another"):
            pairs.merge(pairwise_rates(("a", "b"), higher_is_better=False))
        with pytest.raises(ValueError, match="no pair"):
            pairs.log_evidence_of("a", "a")
        with pytest.raises(ValueError, match="different names"):
            pairwise_rates(("a", "a"), higher_is_better=True)
        with pytest.raises(ValueError, match="least ratio"):
            pairwise_rates(("a", "b"), higher_is_better=True, least_ratio=0.5)


class TestBestArm:
    STRATA = counted(((500, 500, 500), (10, 12, 60)))

    def pairs(self) -> PairwiseRates:
        return pairwise_rates(("a", "b", "c"), higher_is_better=True).update_strata(*self.STRATA)

    def test_wins_when_better_than_every_other_arm(self) -> None:
        found = best_arm(self.pairs(), fair(3), StopRule())
        assert (found.winner, found.leader) == ("c", "c")
        assert found.verdict.log_bar == pytest.approx(math.log(60))

    def test_does_not_win_while_equal_to_one_other_arm(self) -> None:
        strata = counted(((500, 500, 500), (10, 60, 60)))
        pairs = pairwise_rates(("a", "b", "c"), higher_is_better=True).update_strata(*strata)
        assert pairs.verdict("c", "a", 0.01).rejected
        assert best_arm(pairs, fair(3), StopRule()).winner is None

    def test_a_wrong_sample_ratio_stops_without_a_winner(self) -> None:
        ratio = fair(3).update(Exposures(counts=(500, 100, 500), shares=(1 / 3,) * 3))
        found = best_arm(self.pairs(), ratio, StopRule())
        assert found.winner is None
        assert found.mismatch.rejected
        assert found.verdict.held_back == "the sample ratio is wrong"

    def test_waits_for_the_least_units(self) -> None:
        found = best_arm(self.pairs(), fair(3, units=400), StopRule(least_units=401))
        assert found.winner is None
        assert found.verdict.held_back == "an arm has seen 400 of 401 units"

    def test_permuting_arms_permutes_the_winner(self) -> None:
        for order in itertools.permutations(range(3)):
            units, events = (each[:, order] for each in self.STRATA)
            names = tuple("abc"[each] for each in order)
            pairs = pairwise_rates(names, higher_is_better=True).update_strata(units, events)
            assert best_arm(pairs, fair(3), StopRule()).winner == "c"

    def test_refuses_a_sample_ratio_of_other_arms(self) -> None:
        with pytest.raises(ValueError, match="2 arms, pairs of 3"):
            best_arm(self.pairs(), fair(2), StopRule())


class TestThompson:
    def test_probabilities_to_be_best_are_those_of_sampling(self) -> None:
        events, units = (30, 38, 41), (300, 310, 290)
        state = bandit(arms=3, rate=True).update(self.seen((1 / 3,) * 3, units, events))
        rng = np.random.default_rng(5)
        draws = rng.beta(np.add(events, 1), np.subtract(units, events) + 1, (200_000, 3))
        sampled = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
        assert state.best() == pytest.approx(sampled, abs=0.01)

    def test_top_two_probabilities_are_those_of_sampling(self) -> None:
        best = np.array([0.6, 0.3, 0.1])
        rng = np.random.default_rng(6)
        first = rng.choice(3, 100_000, p=best)
        seconds = rng.choice(3, (100_000, 60), p=best)
        other = seconds[np.arange(len(first)), (seconds != first[:, None]).argmax(axis=1)]
        played = np.where(rng.random(len(first)) < 0.7, first, other)
        shares = np.bincount(played, minlength=3) / len(played)
        assert top_two(best, 0.7) == pytest.approx(shares, abs=0.01)

    @given(
        st.lists(st.tuples(st.integers(0, 10**9), st.floats(0, 1)), min_size=2, max_size=10),
        st.booleans(),
        st.booleans(),
    )
    @settings(max_examples=40, deadline=None)
    def test_everyone_gets_the_floor_whatever_was_seen(
        self, arms: list[tuple[int, float]], rate: bool, higher: bool
    ) -> None:
        units = tuple(count for count, _ in arms)
        totals = tuple(float(int(count * share)) for count, share in arms)
        state = bandit(arms=len(arms), rate=rate, higher_is_better=higher)
        shares = (1 / len(arms),) * len(arms)
        found = state.update(self.seen(shares, units, totals)).allocation()
        assert sum(found.shares) == pytest.approx(1)
        assert min(found.shares) >= 0.05 - 1e-9
        assert sum(found.best) == pytest.approx(1)
        assert Allocation.from_json(found.to_json()) == found

    @pytest.mark.parametrize("arms", range(2, 11))
    def test_a_sure_leader_gets_two_fifths_at_least(self, arms: int) -> None:
        units, events = (1000,) * arms, (100,) * (arms - 1) + (400,)
        state = bandit(arms=arms, rate=True).update(self.seen((1 / arms,) * arms, units, events))
        assert max(state.allocation().shares) == state.allocation().shares[-1] >= 0.4 - 1e-9

    def test_lower_may_be_better(self) -> None:
        state = bandit(arms=2, rate=True, higher_is_better=False)
        shares = state.update(self.seen((0.5, 0.5), (500, 500), (10, 50))).allocation().shares
        assert shares[0] > 0.6

    def test_an_arm_that_served_the_good_hours_is_not_taken_for_a_good_arm(self) -> None:
        """Both arms are the same in each epoch; sums over epochs say 10 % against 28 %."""
        state = bandit(arms=2, rate=True)
        state = state.update(self.seen((0.9, 0.1), (9000, 1000), (450, 50)))
        state = state.update(self.seen((0.1, 0.9), (1000, 9000), (300, 2700)))
        assert state.best() == pytest.approx([0.5, 0.5], abs=1e-9)

    def test_means_go_by_normal_posteriors(self) -> None:
        state = bandit(arms=2, rate=False)
        seen = Outcomes(
            shares=(0.5, 0.5), units=(400, 400), totals=(0.0, 80.0), squares=(400.0, 416.0)
        )
        chance = 0.5 * math.erfc(-0.2 / math.sqrt(2 / 400) / math.sqrt(2))
        assert state.update(seen).best()[1] == pytest.approx(chance, abs=0.005)

    def test_merge_is_one_pass_and_comes_back_from_json(self) -> None:
        start = bandit(arms=2, rate=True)
        one = self.seen((0.5, 0.5), (10, 20), (1, 2))
        other = self.seen((0.25, 0.75), (10, 30), (3, 2))
        whole = start.update(one).update(other)
        assert start.update(other).merge(start.update(one)) == whole
        assert Bandit.from_json(whole.to_json()) == whole

    def test_refuses_what_contradicts_itself(self) -> None:
        with pytest.raises(BatchError, match="share 0"):
            self.seen((1.0, 0.0), (1, 1), (0, 0))
        with pytest.raises(BatchError, match="sum to 1"):
            self.seen((0.5, 0.4), (1, 1), (0, 0))
        with pytest.raises(BatchError, match="same arms"):
            self.seen((0.5, 0.5), (1, 1), (0,))
        with pytest.raises(BatchError, match="totals"):
            self.seen((0.5, 0.5), (1, 1), (math.nan, 0))
        with pytest.raises(BatchError, match="2 arms in a bandit of 3"):
            bandit(arms=3, rate=True).update(self.seen((0.5, 0.5), (1, 1), (0, 0)))
        with pytest.raises(StateError, match="do not merge"):
            bandit(arms=2, rate=True).merge(bandit(arms=2, rate=False))
        with pytest.raises(ValueError, match="nothing to decide"):
            bandit(arms=20, rate=True)
        with pytest.raises(ValueError, match="leader's share"):
            bandit(arms=2, rate=True, leader_share=0.4)

    @staticmethod
    def seen(
        shares: tuple[float, ...], units: tuple[int, ...], events: tuple[float, ...]
    ) -> Outcomes:
        totals = tuple(float(each) for each in events)
        return Outcomes(shares=shares, units=units, totals=totals, squares=totals)

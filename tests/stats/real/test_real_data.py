"""Real data: changes that are known are found, and what is benign is not held to be harm."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.detector import DetectorPlan, DriftDetector
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.kind import Action, Judgement, Kind, Observed, judge
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.report import Seen, report_of
from driftline_stats.drift.rows import CATEGORICAL, NUMERIC, PREDICTION, Feature, Rows, rows_of
from driftline_stats.drift.watched import reference_of, window_of
from driftline_stats.risk.detector import ErrorWindow, RiskDetector, upper_risk
from e2e.realdata import NANNYML, NOAA, Table, table

pytestmark = pytest.mark.timeout(300)  # the first run fetches the wheels

BUDGET = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    rows: int
    channel: str
    detector: DriftDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Live rows against a reference, and what came of it."""

    profile: Profile
    detector: DriftDetector
    alarms: tuple[Alarm, ...]
    kernel: Kernel

    def judged(self, rows: Rows, **also: bool) -> Judgement:
        seen = Seen(
            plan=self.detector.plan,
            windows=(window_of(self.kernel.count(rows)),),
            deff=self.detector.deff,
        )
        return judge(Observed(report=report_of(self.profile, seen), **also))


def watch(
    features: Sequence[Feature], reference: Rows, live: Rows, look: int, tolerance: float = 0.1
) -> Watched:
    profile = build(features, reference, in_order=True)
    plan = DetectorPlan.make(reference_of(profile), budget=BUDGET, tolerance=tolerance)
    kernel, detector = Kernel(profile.plan), DriftDetector.start(plan)
    alarms = []
    for at in range(0, len(live), look):
        detector = detector.update(window_of(kernel.count(live[at : at + look])))
        if detector.alarmed:
            evidence = detector.log_evidence_by()
            channel, _ = max(evidence, key=lambda name: evidence[name])
            alarms.append(Alarm(rows=detector.rows, channel=channel, detector=detector))
    return Watched(profile=profile, detector=detector, alarms=tuple(alarms), kernel=kernel)


def rows_from(features: Sequence[Feature], read: Table) -> Rows:
    return rows_of(
        features,
        {
            each.name: (
                np.array(read.numbers(each.name))
                if each.kind == NUMERIC
                else np.array(read.levels(each.name), object)
            )
            for each in features
        },
    )


LOAN = (
    *(
        Feature(name=name)
        for name in ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure")
    ),
    *(
        Feature(name=name, kind=CATEGORICAL)
        for name in ("salary_range", "repaid_loan_on_prev_car", "size_of_downpayment")
    ),
    Feature(name="y_pred_proba", role=PREDICTION),
)
CENSUS = (
    Feature(name="AGEP"),
    *(
        Feature(name=name, kind=CATEGORICAL)
        for name in (
            *("SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL"),
            *("ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P"),
        )
    ),
    Feature(name="predicted_probability", role=PREDICTION),
)


@cache
def loan(part: str) -> Table:
    return table(f"{NANNYML}/synthetic_car_loan_{part}.csv")


@cache
def census(part: str) -> Table:
    return table(f"{NANNYML}/employment_MA_{part}.pq")


@cache
def weather() -> Table:
    return table(NOAA)


#: Visibility is measured otherwise from about row 7,900 on: a change of its own.
ALL_BUT_VISIBILITY = (
    "temperature",
    "dew point",
    "sea-level pressure",
    "average wind speed",
    "max sustained wind-speed",
    "minimum temperature",
    "maximum temperature",
)


def test_the_weather_changes_at_row_12_000_and_is_found_within_128_rows() -> None:
    features = [Feature(name=name) for name in ALL_BUT_VISIBILITY]
    rows = rows_from(features, weather())
    watched = watch(features, rows[:8_000], rows[8_000:], look=64)
    first = watched.alarms[0]
    assert 12_000 < 8_000 + first.rows <= 12_128
    assert first.channel == "distance"


def test_weather_depends_on_that_of_the_day_before_and_the_report_says_so() -> None:
    features = [Feature(name=name) for name in ALL_BUT_VISIBILITY]
    rows = rows_from(features, weather())
    watched = watch(features, rows[:8_000], rows[8_000:9_000], look=64)
    assert ("temperature", "location") in {each[:2] for each in watched.detector.dependent}


def test_car_loans_change_at_row_25_000_and_are_found_within_256_rows() -> None:
    reference = rows_from(LOAN, loan("reference"))
    live = rows_from(LOAN, loan("analysis"))
    watched = watch(LOAN, reference, live[:26_000], look=128)
    first = watched.alarms[0]
    assert 25_000 < first.rows <= 25_256
    assert first.channel == "car_value"
    judgement = watched.judged(live[25_000:26_000])
    assert judgement.changes[0].channel == "car_value"
    assert judgement.kinds[0] is Kind.COVARIATE
    assert judgement.action is Action.WARN


def test_car_loans_go_wrong_with_it_and_then_a_roll_back_is_asked_for() -> None:
    wrong = errors_of(loan("analysis"), "y_pred", loan("analysis_target"), "repaid")
    before = errors_of(loan("reference"), "y_pred", loan("reference"), "repaid")
    reference_risk = upper_risk(errors=int(before.sum()), rows=before.size)
    risk = RiskDetector.start({"all": reference_risk}, budget=BUDGET)
    rows = labels_to_alarm(risk, wrong, look=128)
    assert rows is not None
    assert 25_000 < rows <= 26_500
    reference = rows_from(LOAN, loan("reference"))
    live = rows_from(LOAN, loan("analysis"))
    watched = watch(LOAN, reference, live[25_000:25_256], look=128)
    judgement = watched.judged(live[25_000:26_000], risk_rose=True)
    assert judgement.action is Action.ROLL_BACK
    assert Kind.CONCEPT in judgement.kinds


def test_a_fault_in_the_data_is_told_from_drift() -> None:
    faulty = table(f"{NANNYML}/synthetic_car_loan_dq_analysis.csv")
    reference = rows_from(LOAN, table(f"{NANNYML}/synthetic_car_loan_dq_reference.csv"))
    live = rows_from(LOAN, faulty)
    watched = watch(LOAN, reference, live, look=128)
    assert watched.alarms
    start = watched.alarms[0].rows - 128
    judgement = watched.judged(live[start : start + 5_000])
    assert judgement.kinds[0] is Kind.INTEGRITY
    assert judgement.action is Action.WARN
    came_with_it = watched.judged(live[start : start + 5_000], with_release=True)
    assert came_with_it.action is Action.ROLL_BACK


def test_the_census_drifts_and_it_does_no_harm() -> None:
    """The highest age became another, and little else; accuracy stays."""
    reference, years = of_year("reference", "2015"), [of_year("analysis", y) for y in YEARS]
    live = Rows.joined([rows_from(CENSUS, year) for year in years])
    watched = watch(CENSUS, rows_from(CENSUS, reference), live, look=512)
    assert watched.alarms
    before = errors_of(reference, "prediction", reference, "employed")
    tolerated = upper_risk(errors=int(before.sum()), rows=before.size, tolerance=0.01)
    risk = RiskDetector.start({"all": tolerated}, budget=BUDGET)
    rose = [
        labels_to_alarm(risk, errors_of(year, "prediction", year, "employed"), look=512)
        for year in years
    ]
    assert rose == [None, None, None]
    judgement = watched.judged(live[-SAMPLE:], material=True, risk_rose=any(rose))
    assert judgement.changes[0].channel == "AGEP"
    assert judgement.action is Action.WARN
    assert "no harm is shown" in judgement.message


YEARS = ("2016", "2017", "2018")
SAMPLE = 20_000


@cache
def of_year(part: str, year: str) -> Table:
    """Return some rows, with their outcomes.

    In a year they stand by place and household, which is no time: they are shuffled.
    """
    whole = census(part)
    if "employed" not in whole.columns:
        whole = Table(columns=whole.columns | census(f"{part}_target").columns)
    found = np.flatnonzero(np.array(whole.columns["year"]) == year)
    return whole.rows(np.random.default_rng(int(year)).permutation(found)[:SAMPLE].tolist())


def errors_of(answers: Table, predicted: str, outcomes: Table, label: str) -> np.ndarray:
    wrong: np.ndarray = np.array(answers.numbers(predicted)) != outcomes.numbers(label)
    return wrong


def labels_to_alarm(risk: RiskDetector, wrong: np.ndarray, look: int) -> int | None:
    for at in range(0, len(wrong), look):
        part = wrong[at : at + look]
        rows, errors = {"all": len(part)}, {"all": int(part.sum())}
        risk = risk.update(ErrorWindow(rows=rows, errors=errors))
        if risk.alarmed:
            return at + len(part)
    return None


@pytest.mark.parametrize("tolerance", [0.0, 0.1])
@pytest.mark.parametrize("name", ["weather", "loan", "census"])
def test_rows_in_an_order_that_says_nothing_alarm_no_more_than_stated(
    name: str, tolerance: float
) -> None:
    """Twenty times the reference's length, drawn from the same rows that the reference is of.

    At one false alarm in 100,000 rows the stated number is at most the rows over 100,000. A Poisson
    count beyond the bar has less than 1 % where that is the mean.
    """
    rng = np.random.default_rng(7)
    features, rows = shuffled(name, rng)
    reference, live = rows[:5_000], rows[5_000:]
    again = np.concatenate([rng.permutation(len(live)) for _ in range(20)])[:100_000]
    watched = watch(features, reference, live[again], look=512, tolerance=tolerance)
    assert watched.detector.rows >= 20 * len(reference)
    assert len(watched.alarms) <= 4


def shuffled(name: str, rng: np.random.Generator) -> tuple[Sequence[Feature], Rows]:
    if name == "weather":
        features: Sequence[Feature] = [Feature(name=each) for each in ALL_BUT_VISIBILITY]
        rows = rows_from(features, weather())
    elif name == "loan":
        features, rows = LOAN, rows_from(LOAN, loan("reference"))[:SAMPLE]
    else:
        features, rows = CENSUS, rows_from(CENSUS, of_year("reference", "2015"))
    return features, rows[rng.permutation(len(rows))]

"""Real data: accuracy that is estimated without labels is what labels later say, if calibrated."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.isotonic import IsotonicRegression

from driftline_stats.risk.cbpe import Cbpe, Metric
from e2e.realdata import NANNYML, Table, table

pytestmark = pytest.mark.timeout(300)  # the first run fetches the wheels

Floats = npt.NDArray[np.float64]


def loans(part: str) -> tuple[Floats, ...]:
    """Probabilities, decisions and outcomes."""
    scored = table(f"{NANNYML}/synthetic_car_loan_{part}.csv")
    outcomes = (
        scored if part == "reference" else table(f"{NANNYML}/synthetic_car_loan_{part}_target.csv")
    )
    return columns(scored, "y_pred_proba", "y_pred") + columns(outcomes, "repaid")


def columns(read: Table, *names: str) -> tuple[Floats, ...]:
    return tuple(np.array(read.numbers(name)) for name in names)


def off_by(probabilities: Floats, decisions: Floats, outcomes: Floats) -> float:
    """By how much estimated accuracy is above what labels say."""
    seen = Cbpe.of(probabilities, predicted=decisions > 0.5)
    assert seen.unusable == 0
    return seen.value(Metric.ACCURACY) - float((decisions == outcomes).mean())


def test_accuracy_on_census_data_is_estimated_within_half_a_point_each_year() -> None:
    scored = table(f"{NANNYML}/employment_MA_analysis.pq")
    outcomes = table(f"{NANNYML}/employment_MA_analysis_target.pq")
    read = columns(scored, "predicted_probability", "prediction") + columns(outcomes, "employed")
    years = np.array(scored.columns["year"])
    for year in ("2016", "2017", "2018"):
        assert abs(off_by(*(each[years == year] for each in read))) < 0.005


def test_the_fall_of_car_loans_is_estimated_once_probabilities_are_calibrated() -> None:
    """Errors go from .056 to .084 at row 25,000; an estimate of it needs no label."""
    probabilities, _, outcomes = loans("reference")
    calibration = IsotonicRegression(out_of_bounds="clip").fit(probabilities, outcomes)
    raw, decisions, outcomes = loans("analysis")
    calibrated = calibration.predict(raw)
    before, after = slice(0, 25_000), slice(25_000, None)
    for part, within in ((before, 0.001), (after, 0.005)):
        assert abs(off_by(calibrated[part], decisions[part], outcomes[part])) < within


def test_probabilities_that_are_not_calibrated_estimate_wrongly() -> None:
    """Hence only where the signature says that they are."""
    assert off_by(*loans("reference")) < -0.01
    after = slice(25_000, None)
    assert off_by(*(each[after] for each in loans("analysis"))) < -0.03

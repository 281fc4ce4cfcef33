"""Real data: the verdicts that a cluster would give of files that others made."""

import csv
import re
from pathlib import Path

import pytest

from e2e.environment import python_with
from e2e.realdata import LOCK, NANNYML
from tests.cli.builders import Terminal

pytestmark = pytest.mark.timeout(300)  # the first run fetches the wheels

FAST = ("--rows-per-day", 1_000_000)


@pytest.fixture(scope="module")
def data() -> Path:
    (packages,) = python_with(LOCK).parent.parent.glob("lib/python3*/site-packages")
    return packages / NANNYML


def found(printed: str) -> dict[str, int]:
    """Return the reasons in the history, each with the row at which it first came."""
    rows = re.findall(r"^ *([\d,]+)  (?:True|False|Unknown) +(\w+)", printed, re.MULTILINE)
    return {reason: int(row.replace(",", "")) for row, reason in reversed(rows)}


def test_the_drift_of_census_data_is_benign(
    data: Path, tmp_path: Path, driftline: Terminal
) -> None:
    """Inputs of 2016 to 2018 move, accuracy does not, and nobody need act."""
    profile = tmp_path / "profile.json"
    outputs = ("--outputs", "prediction,predicted_probability")
    columns = ("--ignore", "id,employed,year", "--calibrated", "-o", profile)
    reference = data / "employment_MA_reference.pq"
    assert driftline("profile", "build", reference, *outputs, *columns) == 0, driftline.err
    live = data / "employment_MA_analysis.pq"
    check = ("profile", "check", live, "--profile", profile, *outputs, *FAST)
    assert driftline(*check) == 3, driftline.err
    assert "CovariateDrift" in found(driftline.out)
    assert not {"ConceptDrift", "DataIntegrity"} & set(found(driftline.out))
    assert "no loss is seen" in driftline.out


def test_the_drift_of_car_loans_costs_money(
    data: Path, tmp_path: Path, driftline: Terminal
) -> None:
    """Inputs move at row 25,000, and labels show that errors are half as many again."""
    profile, live = tmp_path / "profile.json", tmp_path / "live.csv"
    with_labels(data, live)
    outputs = ("--outputs", "y_pred,y_pred_proba")
    reference = data / "synthetic_car_loan_reference.csv"
    columns = ("--ignore", "id,timestamp,repaid", "-o", profile)
    assert driftline("profile", "build", reference, *outputs, *columns) == 0, driftline.err
    check = ("profile", "check", live, "--profile", profile, *outputs, *FAST)
    assert driftline(*check, "--label", "repaid") == 3, driftline.err
    reasons = found(driftline.out)
    assert 25_000 < reasons["CovariateDrift"] < 26_500
    assert 25_000 < reasons["ConceptDrift"] < 40_000
    assert "ConceptDrift" in driftline.out[driftline.out.index("DriftFree=") :].splitlines()[0]
    moved = driftline.out[driftline.out.index("what moved") :].splitlines()[1]
    assert moved.startswith("car_value ")


def with_labels(data: Path, path: Path) -> None:
    """Write the live rows with the truth beside them."""
    parts = (data / f"synthetic_car_loan_analysis{part}.csv" for part in ("", "_target"))
    rows, labels = ([*csv.reader(each.read_text().splitlines())] for each in parts)
    with path.open("w", newline="") as file:
        pairs = zip(rows, labels, strict=True)
        csv.writer(file).writerows([*row, label[1]] for row, label in pairs)

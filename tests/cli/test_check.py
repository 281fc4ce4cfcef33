"""What a cluster would say of a file of rows."""

from pathlib import Path

import numpy as np
import pytest

from driftline_cli.profile.check import edges_of
from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.watch.findings import Reason
from driftline_stats.watch.look import Look
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch
from tests.cli.builders import (
    NAMES,
    Data,
    Terminal,
    a_model,
    built,
    classifier,
    customers,
    regressor,
    write,
)

CHECK = ("profile", "check")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained")
    built(directory)
    return directory


def joined(*parts: Data) -> Data:
    return Data(
        numbers=np.concatenate([each.numbers for each in parts]),
        leaves=np.concatenate([each.leaves for each in parts]),
    )


def against(trained: Path, rows: Path, *more: object) -> tuple[object, ...]:
    return (*CHECK, rows, "--profile", trained / "driftline-profile.json", *more)


def test_rows_like_those_of_training_are_free_of_drift(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "live.parquet", customers(12_000, seed=7))
    assert driftline(*against(trained, rows, "--model", trained, "--label", "leaves")) == 0
    assert "DriftFree=True  NoDrift" in driftline.out
    assert driftline.err == ""


def test_rows_that_never_looked_like_training_are_skewed(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "live.csv", customers(6_000, seed=7, older=0.5))
    assert driftline(*against(trained, rows)) == 3
    assert "TrainingServingSkew" in driftline.out
    moved = driftline.out[driftline.out.index("what moved") :].splitlines()[1]
    assert moved.startswith("age ")
    assert "note: prediction is not watched: it needs --model or --outputs" in driftline.err


def test_accepted_rows_become_the_reference(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "live.csv", customers(16_000, seed=7, older=0.5))
    accepted = against(trained, rows, "--accept", "--first", 5_000)
    driftline(*accepted)
    assert "DriftFree=True  NoDrift" in driftline.out


def test_a_change_in_mid_file_is_drift_from_about_there_on(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    data = joined(customers(12_000, seed=7), customers(6_000, seed=8, older=0.5))
    rows = write(tmp_path / "live.csv", data)
    assert driftline(*against(trained, rows)) == 3
    history = [line.split() for line in driftline.out.splitlines()]
    (found,) = (int(line[0].replace(",", "")) for line in history if "CovariateDrift" in line[2:3])
    assert 12_000 < found < 14_000


def test_what_does_not_matter_is_no_drift(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "live.csv", customers(8_000, seed=7, older=0.3))
    assert driftline(*against(trained, rows)) == 3
    assert driftline(*against(trained, rows, "--tolerance", 0.6)) == 0
    assert driftline(*against(trained, rows, "--tolerances", "age=0.6")) == 0
    assert driftline(*against(trained, rows, "--exclude", "age")) == 0


def test_labels_that_changed_are_concept_drift(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    """Inputs are as they were: without the labels nobody could know."""
    data = joined(customers(6_000, seed=7), customers(6_000, seed=8, wrong=0.3))
    rows = write(tmp_path / "live.csv", data)
    with_model = against(trained, rows, "--model", trained)
    assert driftline(*with_model) == 0
    assert driftline(*with_model, "--label", "leaves") == 3
    assert "ConceptDrift" in driftline.out


def test_a_label_that_is_none_is_told(trained: Path, tmp_path: Path, driftline: Terminal) -> None:
    rows = tmp_path / "live.csv"
    rows.write_text("age,debts,income,leaves\n1,2,3,maybe\n")
    assert driftline(*against(trained, rows, "--model", trained, "--label", "leaves")) == 1
    assert "the column 'leaves' has the label 'maybe': a label is none of the classes" in (
        driftline.err
    )


def test_a_profile_of_another_model_is_refused(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "live.csv", customers(500))
    note = trained / "driftline.json"
    for content, said in (
        (regressor(), "the signature does not fit"),
        (classifier(seed=2), "the profile was made with the model sha256:"),
    ):
        other = a_model(tmp_path, content)
        assert driftline(*against(trained, rows, "--model", other, "--signature", note)) == 1
        assert said in driftline.err


def test_a_renamed_signature_is_refused(trained: Path, tmp_path: Path, driftline: Terminal) -> None:
    note = tmp_path / "driftline.json"
    note.write_text((trained / "driftline.json").read_text().replace('"age"', '"years"'))
    rows = write(tmp_path / "live.csv", customers(500))
    assert driftline(*against(trained, rows, "--signature", note)) == 1
    assert "made with another signature" in driftline.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--exclude", "height"), "'height' is not watched; these are: age, debts, income"),
        (("--label", "leaves"), "--label needs predictions"),
        (("--label", "truth"), "there is no column 'truth'"),
        (("--profile", "absent.json"), "cannot read absent.json"),
    ],
)
def test_what_cannot_be_checked_is_told(
    arguments: tuple[str, ...], said: str, trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "live.csv", customers(500))
    assert driftline(*against(trained, rows, *arguments)) == 1
    assert said in driftline.err


def test_a_file_without_a_feature_is_refused(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "live.csv", customers(500), names=("age", "debts", "wages"))
    assert driftline(*against(trained, rows)) == 1
    assert "there is no column 'income'" in driftline.err


def codes(path: Path, levels: str, rows: int = 4_000) -> Path:
    """Write a code beside a number; it looks like text where one level is a letter."""
    rng = np.random.default_rng(3)
    drawn = zip(rng.normal(size=rows), rng.choice(list("123"), rows), strict=True)
    lines = [f"{age:.4f},{plan}" for age, plan in drawn]
    lines[:: rows // len(levels)] = [f"0,{level}" for level in levels]
    path.write_text("age,plan\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("before", "after"), [("1X", "12"), ("12", "13")])
def test_a_code_is_read_as_it_was_in_training(
    before: str, after: str, tmp_path: Path, driftline: Terminal
) -> None:
    """Without the letter a CSV file's codes look like numbers, and no level would be known."""
    rows, profile = codes(tmp_path / "train.csv", before), tmp_path / "p.json"
    arguments = ("-o", profile, "--categorical", "plan")
    assert driftline("profile", "build", rows, *arguments) == 0, driftline.err
    live = codes(tmp_path / "live.csv", after)
    assert driftline(*CHECK, live, "--profile", profile) == 0, driftline.out


def test_a_letter_among_codes_that_were_numbers_is_refused(
    tmp_path: Path, driftline: Terminal
) -> None:
    rows, profile = codes(tmp_path / "train.csv", "12"), tmp_path / "p.json"
    assert driftline("profile", "build", rows, "-o", profile, "--categorical", "plan") == 0
    assert driftline(*CHECK, codes(tmp_path / "live.csv", "1X"), "--profile", profile) == 1
    assert "'X'" in driftline.err


def a_profile() -> Profile:
    numbers = np.random.default_rng(1).normal(size=(5_000, 3)).astype(np.float32)
    return build([Feature(name=name) for name in NAMES], Rows(numeric=numbers))


def test_every_change_of_the_answer_is_told_once_and_the_end() -> None:
    """The same looks through a watch, as an operator does it, end in the same findings."""
    profile = a_profile()
    plan, kernel = WatchPlan.of(profile), Kernel(profile.plan)
    rng = np.random.default_rng(2)
    looks = [
        Look(
            counts=kernel.count(Rows(numeric=rng.normal(size=(200, 3)).astype(np.float32) + by)),
            seconds=60,
            counted=200,
        )
        for by in [np.float32(0)] * 60 + [np.float32(1)] * 20
    ]
    heard: list[int] = []
    edges = edges_of(plan, looks, heard.append)
    assert heard == list(range(200, 16_001, 200))
    reasons = [each.findings.reason for each in edges]
    assert reasons[:2] == [Reason.INSUFFICIENT_DATA, Reason.NO_DRIFT]
    assert edges[-1].row == 16_000
    watch = Watch.start(plan)
    for look in looks:
        watch = watch.update(look)
    assert edges[-1].findings == watch.findings()

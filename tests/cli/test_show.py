"""Profiles at a terminal and as pictures."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from driftline_cli.profile.describe import described, differences
from driftline_serving.baseline.file import Baseline
from tests.cli.builders import NAMES, Terminal, built, customers, write

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained")
    built(directory)
    return directory


def test_a_profile_is_shown_with_whose_it_is(trained: Path, driftline: Terminal) -> None:
    assert driftline("profile", "show", trained / "driftline-profile.json") == 0
    assert "20,000 rows of training data, in no known order" in driftline.out
    assert re.search(r"model      sha256:[0-9a-f]{64}\n", driftline.out)
    for name in (*NAMES, "prediction (prediction)", "prediction.score (prediction)"):
        assert re.search(rf"^{re.escape(name)} ", driftline.out, re.MULTILINE), name
    assert driftline.err == ""


def test_a_feature_that_moved_stands_first_in_a_comparison(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    after = built(tmp_path, data=customers(20_000, seed=5, older=1.0))
    before = trained / "driftline-profile.json"
    assert driftline("profile", "diff", before, tmp_path / "driftline-profile.json") == 0
    first = driftline.out.splitlines()[1]
    assert first.startswith("age ")
    assert float(first.split()[2]) == pytest.approx(1.0, abs=0.05)
    assert after.profile.n_ref == 20_000


def test_the_same_profile_does_not_differ(trained: Path) -> None:
    from driftline_cli.profile.reading import read_profile  # noqa: PLC0415 - here alone

    profile = read_profile(trained / "driftline-profile.json").profile
    assert [each.size for each in differences(profile, profile)] == [0.0] * 5


def test_what_only_one_of_two_has_is_told(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "rows.csv", customers(500), names=("age", "debts", "wages"))
    arguments = (rows, "--ignore", "leaves", "-o", tmp_path / "other.json")
    assert driftline("profile", "build", *arguments) == 0
    before = trained / "driftline-profile.json"
    assert driftline("profile", "diff", before, tmp_path / "other.json") == 0
    assert "only in the first: income (numeric)" in driftline.out
    assert "only in the second: wages (numeric)" in driftline.out


def test_pictures_are_one_file_with_nothing_from_elsewhere(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    profile = trained / "driftline-profile.json"
    page, picture = tmp_path / "p.html", tmp_path / "p.png"
    assert driftline("profile", "show", profile, "--html", page, "--png", picture) == 0
    text = page.read_text()
    assert text.count("<section ") == len(NAMES) + 2
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!#)", text)
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(svg)
    assert picture.read_bytes().startswith(PNG)
    assert driftline("profile", "diff", profile, profile, "--html", page, "--png", picture) == 0
    assert page.read_text().count("<section ") == len(NAMES) + 2


def test_names_and_levels_cannot_break_out_of_a_page(tmp_path: Path, driftline: Terminal) -> None:
    rows = tmp_path / "rows.csv"
    evil = "<script>alert(1)</script>"
    levels = "".join(f"{at},[red]{evil}[/red] $x^$\n" for at in range(50))
    rows.write_text(f"{evil},[bold]city\n{levels}")
    page = tmp_path / "p.html"
    target = tmp_path / "profile.json"
    assert driftline("profile", "build", rows, "-o", target, "--html", page) == 0, driftline.err
    assert "<script" not in page.read_text()
    assert "[bold]city" in driftline.out
    assert "[red]" in driftline.out


def test_a_picture_that_cannot_be_written_is_told(
    trained: Path, tmp_path: Path, driftline: Terminal
) -> None:
    profile = trained / "driftline-profile.json"
    for option in ("--html", "--png"):
        where = tmp_path / "absent" / "p"
        assert driftline("profile", "show", profile, option, where) == 1
        assert f"cannot write {where}: No such file" in driftline.err


def test_what_is_no_profile_is_told(tmp_path: Path, driftline: Terminal) -> None:
    (tmp_path / "p.json").write_text("{}")
    for arguments in (("show", tmp_path / "p.json"), ("diff", tmp_path / "p.json", "absent")):
        assert driftline("profile", *arguments) == 1
        assert driftline.err.startswith("driftline: ")
        assert driftline.err.count("\n") == 1


def test_a_feature_without_any_value_is_shown(tmp_path: Path, driftline: Terminal) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("age,debts\n" + ",1\n" * 20)
    target, picture = tmp_path / "p.json", tmp_path / "p.png"
    assert driftline("profile", "build", rows, "-o", target, "--png", picture) == 0
    assert "age has no value in any row" in driftline.err
    assert driftline("profile", "diff", target, target) == 0


def test_levels_are_compared_by_their_shares(tmp_path: Path, driftline: Terminal) -> None:
    found: list[Path] = []
    for name, share in (("a", 10), ("b", 4)):
        rows = tmp_path / f"{name}.csv"
        rows.write_text("city\n" + "".join("RO"[at % share == 0] + "\n" for at in range(1_000)))
        (tmp_path / name).mkdir()
        found.append(tmp_path / name / "p.json")
        assert driftline("profile", "build", rows, "-o", found[-1]) == 0
    assert driftline("profile", "diff", *found) == 0
    assert "15%" in driftline.out
    assert "O 10% to 25%" in driftline.out
    assert "R 90% to 75%" in driftline.out


def test_described_is_what_the_rows_were(tmp_path: Path) -> None:
    baseline: Baseline = built(tmp_path)
    age = next(each for each in described(baseline.profile) if each.name == "age")
    assert age.spread == pytest.approx(1.0, abs=0.03)
    assert age.quantiles[2] == pytest.approx(0.0, abs=0.03)

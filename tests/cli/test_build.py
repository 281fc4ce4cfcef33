"""Rows to signature and profile: the same numbers as live traffic, and every refusal."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from driftline_api.note import read_note
from driftline_api.signature import signature_hash
from driftline_serving.baseline.binding import Model, check, model_digest
from driftline_serving.baseline.file import read
from driftline_serving.server.engine import load_file
from driftline_serving.watched.extract import Extractor
from driftline_serving.watched.watched import watched_of
from driftline_stats.drift.bins import BinKind
from driftline_stats.drift.kernel import Kernel
from tests.cli.builders import (
    NAMES,
    Terminal,
    a_model,
    built,
    classifier,
    customers,
    regressor,
    write,
)
from tests.serving import onnx_models

BUILD = ("profile", "build")


def test_a_classifier_gets_its_signature_and_a_profile_that_is_bound_to_it(tmp_path: Path) -> None:
    baseline = built(tmp_path)
    signature = read_note((tmp_path / "driftline.json").read_bytes())
    assert [(each.name, each.tensor, each.column) for each in signature.features] == [
        (name, "X", at) for at, name in enumerate(NAMES)
    ]
    assert signature.prediction is not None
    assert (signature.prediction.task, signature.prediction.tensor) == ("binary", "label")
    assert signature.prediction.score == "probabilities"
    digest = model_digest(tmp_path / "model.onnx")
    features = watched_of(signature).features
    check(baseline, Model(digest=digest, signature=signature_hash(signature), features=features))
    assert baseline.profile.n_ref == 20_000
    assert {each.name for each in features} == {*NAMES, "prediction", "prediction.score"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_rows_of_a_file_are_counted_as_live_ones_are(suffix: str, tmp_path: Path) -> None:
    """The profile of a file, and what the monitor counts of the same rows, are equal bin by bin."""
    data = customers(3_000)
    rows = write(tmp_path / f"train{suffix}", data)
    terminal = ["-m", "driftline_cli.main", *BUILD, str(rows), "--ignore", "leaves"]
    model = a_model(tmp_path / "model")
    subprocess.run([sys.executable, *terminal, "--model", model], check=True, capture_output=True)
    profile = read((model.parent / "driftline-profile.json").read_bytes()).profile
    signature = read_note((model.parent / "driftline.json").read_bytes())
    names = ["label", "probabilities"]
    outputs = dict(zip(names, load_file(model, 1).run({"X": data.numbers}, names), strict=True))
    extractor = Extractor(watched_of(signature), profile.plan.features)
    live = extractor.of_tensors({"X": data.numbers}, outputs).rows
    assert Kernel(profile.plan).count(live) == profile.reference


def test_strings_are_categories(tmp_path: Path, driftline: Terminal) -> None:
    model = a_model(tmp_path, onnx_models.iris_onnx())
    words, widths, species = onnx_models.iris_strings()
    np.savez(
        tmp_path / "iris.npz",
        length=words[:, 0].astype(str),
        width=widths[:, 0],
        species=species.astype(str),
    )
    lines = ["length,width,species"]
    lines += [
        f"{word},{width},{name}"
        for word, width, name in zip(words[:, 0], widths[:, 0], species, strict=True)
    ]
    (tmp_path / "iris.csv").write_text("\n".join(lines) + "\n")
    profiles = []
    for name in ("iris.csv", "iris.npz"):
        arguments = (tmp_path / name, "--model", model, "--ignore", "species", "--force")
        assert driftline(*BUILD, *arguments) == 0, driftline.err
        profiles.append(read((tmp_path / "driftline-profile.json").read_bytes()).profile)
    assert profiles[0] == profiles[1]
    signature = read_note((tmp_path / "driftline.json").read_bytes())
    assert {each.name: each.kind for each in signature.features} == {
        "length": "categorical",
        "width": "numeric",
    }
    assert signature.prediction is not None
    assert signature.prediction.labels == ("setosa", "versicolor", "virginica")


def test_a_regression_is_told_by_one_number_for_each_row(
    tmp_path: Path, driftline: Terminal
) -> None:
    model = a_model(tmp_path, regressor())
    rows = write(tmp_path / "rows.parquet", customers())
    assert driftline(*BUILD, rows, "--model", model, "--features", ",".join(NAMES)) == 0
    signature = read_note((tmp_path / "driftline.json").read_bytes())
    assert signature.prediction is not None
    assert signature.prediction.task == "regression"
    profile = read((tmp_path / "driftline-profile.json").read_bytes()).profile
    assert [each.name for each in profile.plan.features if each.role == "prediction"] == [
        "prediction"
    ]


def test_without_a_model_each_column_is_an_input(tmp_path: Path, driftline: Terminal) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("age,city\n" + "".join(f"{at},{'RO'[at % 2]}\n" for at in range(500)))
    assert driftline(*BUILD, rows, "-o", tmp_path / "profile.json") == 0
    signature = read_note((tmp_path / "driftline.json").read_bytes())
    assert [(each.name, each.tensor, each.kind) for each in signature.features] == [
        ("age", "age", "numeric"),
        ("city", "city", "categorical"),
    ]
    baseline = read((tmp_path / "profile.json").read_bytes())
    assert baseline.file.artifact == ""
    assert baseline.file.signature == signature_hash(signature)
    assert "taken for an input of its own each" in driftline.err


def test_a_signature_that_is_there_decides(tmp_path: Path, driftline: Terminal) -> None:
    model = a_model(tmp_path)
    features = [
        {"name": name, "tensor": "X", "column": at, "unit": "x"}
        for at, name in enumerate(reversed(NAMES))
    ]
    note = json.dumps({"signature": {"features": features}})
    (tmp_path / "driftline.json").write_text(note)
    rows = write(tmp_path / "rows.csv", customers())
    assert driftline(*BUILD, rows, "--model", model) == 0, driftline.err
    assert (tmp_path / "driftline.json").read_text() == note
    profile = read((tmp_path / "driftline-profile.json").read_bytes())
    assert profile.file.signature == signature_hash(read_note(note))


def test_order_is_kept_where_rows_stand_in_time(tmp_path: Path) -> None:
    assert built(tmp_path / "a").profile.order is None
    order = built(tmp_path / "b", "--in-order").profile.order
    assert order is not None
    assert order.rows * order.blocks <= 20_000


def test_missing_values_are_in_a_bin_of_their_own(tmp_path: Path, driftline: Terminal) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("age,debts\n" + "".join(f"{at if at % 4 else ''},{at}\n" for at in range(800)))
    assert driftline(*BUILD, rows, "-o", tmp_path / "profile.json") == 0
    profile = read((tmp_path / "profile.json").read_bytes()).profile
    channel = next(each for each in profile.channels if each.name == "age")
    assert channel.reference[channel.bins.index(BinKind.MISSING)] == 200


def test_what_the_model_answered_may_stand_in_the_file(tmp_path: Path, driftline: Terminal) -> None:
    """A column that is called like an output is taken for one only if somebody says so."""
    built(tmp_path)
    rows = write(tmp_path / "scored.csv", customers(2_000), label="label")
    arguments = (rows, "--signature", tmp_path / "driftline.json", "-o", tmp_path / "p.json")
    assert driftline(*BUILD, *arguments) == 0, driftline.err
    names = {each.name for each in read((tmp_path / "p.json").read_bytes()).profile.plan.features}
    assert names == set(NAMES)
    assert driftline(*BUILD, *arguments, "--outputs", "label", "--force") == 0, driftline.err
    names = {each.name for each in read((tmp_path / "p.json").read_bytes()).profile.plan.features}
    assert names == {*NAMES, "prediction"}
    assert driftline(*BUILD, *arguments, "--outputs", "age", "--force") == 1
    assert "--outputs age: the signature names no output like that" in driftline.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "has 3 columns, and the file 4 that could be features"),
        (("--ignore", "label"), "there is no column 'label'; it has 'age', 'debts'"),
        (("--features", "age,debts"), "and the file 2"),
        (("--ignore", "leaves", "--text", "age"), "it is no text for the model"),
        (("--signature", "absent.json"), "cannot read absent.json: No such file"),
        (("--ignore", "leaves", "-o", "/nowhere/p.json"), "there is no directory /nowhere"),
        (("--ignore", "leaves", "--classes", "a,b,c"), "the signature does not fit"),
    ],
)
def test_what_is_not_clear_is_refused_with_what_to_do(
    arguments: tuple[str, ...], said: str, tmp_path: Path, driftline: Terminal
) -> None:
    rows = write(tmp_path / "rows.csv", customers(500))
    model = a_model(tmp_path / "model")
    assert driftline(*BUILD, rows, "--model", model, *arguments) == 1
    assert said in driftline.err
    assert sorted(path.name for path in model.parent.iterdir()) == ["model.onnx"]


def test_nothing_is_overwritten_unasked(tmp_path: Path, driftline: Terminal) -> None:
    built(tmp_path)
    before = (tmp_path / "driftline-profile.json").read_bytes()
    arguments = (tmp_path / "train.csv", "--model", tmp_path, "--ignore", "leaves")
    assert driftline(*BUILD, *arguments) == 1
    assert "is there already" in driftline.err
    assert (tmp_path / "driftline-profile.json").read_bytes() == before


def test_whole_numbers_alone_are_given_to_an_input_of_integers(
    tmp_path: Path, driftline: Terminal
) -> None:
    model = a_model(tmp_path, onnx_models.labour())
    rows = tmp_path / "rows.csv"
    for value, said in (("1.5", "is no such number"), ("", "has no value")):
        rows.write_text(f"rounds,x\n1,0\n{value},0\n")
        assert driftline(*BUILD, rows, "--model", model, "--features", "rounds") == 1
        assert f"row 2: rounds {said}" in driftline.err


def test_a_file_without_rows_is_refused(tmp_path: Path, driftline: Terminal) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("age\n")
    assert driftline(*BUILD, rows, "-o", tmp_path / "p.json") == 1
    assert "there are no rows" in driftline.err


def test_dates_are_no_features_unless_named(tmp_path: Path, driftline: Terminal) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("age,day\n" + "".join(f"{at},2026-01-{at % 28 + 1:02}\n" for at in range(100)))
    assert driftline(*BUILD, rows, "-o", tmp_path / "p.json") == 0
    names = [each.name for each in read((tmp_path / "p.json").read_bytes()).profile.plan.features]
    assert names == ["age"]


def _peak(directory: Path, rows: int) -> int:
    """Return the peak memory of building a profile of so many rows, in kilobytes."""
    file = write(directory / f"{rows}.npz", customers(rows))
    code = (
        "import re, sys; from pathlib import Path; from driftline_cli.main import main;"
        "code = main(sys.argv[1:]); status = Path('/proc/self/status').read_text();"
        "print(re.search(r'VmHWM:\\s+(\\d+)', status)[1]); sys.exit(code)"
    )
    target = directory / f"{rows}.json"
    arguments = [*BUILD, str(file), "-o", str(target), "--force", "--ignore", "leaves"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1])


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Ten megabytes more of a file take no more: 50,000 rows are kept of either."""
    small, large = _peak(tmp_path, 200_000), _peak(tmp_path, 700_000)
    assert (tmp_path / "700000.npz").stat().st_size > 13_000_000
    assert large < small + 4_000


def test_the_classifier_is_loaded_whatever_its_file_is_called(
    tmp_path: Path, driftline: Terminal
) -> None:
    (tmp_path / "churn-v3.onnx").write_bytes(classifier())
    rows = write(tmp_path / "rows.csv", customers(500))
    arguments = (rows, "--model", tmp_path / "churn-v3.onnx", "--ignore", "leaves")
    assert driftline(*BUILD, *arguments) == 0, driftline.err
    found = read((tmp_path / "driftline-profile.json").read_bytes()).file.artifact
    assert found == model_digest(a_model(tmp_path / "other"))

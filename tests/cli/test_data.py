"""Files of rows: the same rows from every format, in parts, and what is refused."""

import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from driftline_cli.data.opening import open_table
from driftline_cli.data.table import Kind
from driftline_cli.errors import UserError

Writer = Callable[[Path], Path]

WANTED = {"age": Kind.NUMBERS, "city": Kind.TEXT}
AGES = [31.0, float("nan"), 54.5, 7.0, 9.0]
CITIES = ["Rome", "", "Oslo", "Ålesund", "Rome"]


def as_csv(directory: Path) -> Path:
    lines = [
        f"{'' if math.isnan(age) else age},{city}" for age, city in zip(AGES, CITIES, strict=True)
    ]
    path = directory / "rows.csv"
    path.write_text("age,city\n" + "\n".join(lines) + "\n")
    return path


def as_packed_csv(directory: Path) -> Path:
    path = directory / "rows.csv.gz"
    path.write_bytes(gzip.compress(as_csv(directory).read_bytes()))
    return path


def as_parquet(directory: Path) -> Path:
    path = directory / "rows.parquet"
    ages = pa.array(AGES, pa.float32(), from_pandas=True)
    cities = pa.array([each or None for each in CITIES]).dictionary_encode()
    pa.parquet.write_table(pa.table({"age": ages, "city": cities}), path)
    return path


def as_npz(directory: Path) -> Path:
    path = directory / "rows.npz"
    np.savez_compressed(path, age=np.array(AGES), city=np.array(CITIES))
    return path


@pytest.mark.parametrize("written", [as_csv, as_packed_csv, as_parquet, as_npz])
def test_every_format_has_the_same_rows(written: Writer, tmp_path: Path) -> None:
    table = open_table(written(tmp_path))
    assert [(each.name, each.kind) for each in table.columns] == list(WANTED.items())
    heard: list[int] = []
    batches = list(table.batches(WANTED, 2, heard.append))
    assert [len(each["age"]) for each in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([each["age"] for each in batches]), AGES)
    assert np.concatenate([each["city"] for each in batches]).tolist() == CITIES
    assert heard == sorted(heard)
    assert heard[-1] == table.size


@pytest.mark.parametrize("written", [as_csv, as_parquet])
def test_numbers_are_read_as_text_where_a_model_wants_text(written: Writer, tmp_path: Path) -> None:
    (batch,) = open_table(written(tmp_path)).batches({"age": Kind.TEXT}, 10)
    assert [float(each) for each in batch["age"] if each] == [31.0, 54.5, 7.0, 9.0]


def test_truth_values_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("smokes\ntrue\nfalse\n\ntrue\n".replace("\n\n", "\n"))
    (batch,) = open_table(path).batches({"smokes": Kind.NUMBERS}, 10)
    assert batch["smokes"].tolist() == [1.0, 0.0, 1.0]


def test_arrays_of_several_columns_come_whole(tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
    np.savez(tmp_path / "rows.npz", image=images)
    table = open_table(tmp_path / "rows.npz")
    assert table.columns[0].shape == (4, 5)
    parts = [each["image"] for each in table.batches({"image": Kind.NUMBERS}, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), images)


def test_a_later_value_that_is_no_number_is_told_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("age\n31\nold\n")
    table = open_table(path)
    with pytest.raises(UserError, match=r"Row #3: .*'old'.*--categorical"):
        list(table.batches({"age": Kind.NUMBERS}, 10))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", b"", "Empty CSV file"),
        ("rows.csv", b"a,b\n1\n", "Expected 2 columns, got 1"),
        ("rows.csv", b"a,a\n1,2\n", "two columns are called 'a'"),
        ("rows.parquet", b"no parquet at all", "Parquet magic bytes not found"),
        ("rows.npz", b"no archive", "is no archive of arrays"),
        ("rows.csv.gz", b"no gzip", "cannot be read"),
        ("rows.xlsx", b"", "give a file called .csv"),
    ],
)
def test_what_cannot_be_read_is_told(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as refused:
        list(open_table(tmp_path / name).batches({"a": Kind.NUMBERS}, 10))
    assert said in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        open_table(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": np.array([{}], object)}, "only numbers and text"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, "the same number of rows"),
        ({"a": np.float64(3)}, "has no rows"),
        ({"a": np.asfortranarray(np.zeros((3, 4)))}, "column by column"),
    ],
    ids=["objects", "lengths", "scalar", "order"],
)
def test_arrays_that_cannot_be_read_in_parts_are_refused(
    arrays: dict[str, Any], said: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(UserError, match=said):
        open_table(tmp_path / "rows.npz")


def test_an_archive_that_was_cut_off_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", a=np.zeros(100_000))
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged"):
        open_table(tmp_path / "cut.npz")

"""Files of rows, and models that go with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression

from driftline_cli.main import main
from driftline_serving.baseline.file import Baseline, read
from driftline_serving.server.tensors import Array

NAMES = ("age", "debts", "income")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Rows of three numbers, and whether each customer leaves."""

    numbers: Array
    leaves: Array

    def __getitem__(self, part: slice) -> "Data":
        return Data(numbers=self.numbers[part], leaves=self.leaves[part])


def customers(rows: int = 4_000, seed: int = 1, older: float = 0.0, wrong: float = 0.0) -> Data:
    """Return customers: `older` by so many standard deviations, a share of them of another mind."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3)).astype(np.float32)
    leaves = numbers[:, 0] + rng.normal(size=rows) / 4 > 0
    leaves ^= rng.random(rows) < wrong
    numbers[:, 0] += np.float32(older)
    return Data(numbers=numbers, leaves=leaves.astype(np.int64))


@cache
def classifier(seed: int = 1) -> bytes:
    data = customers(seed=seed)
    fitted = LogisticRegression().fit(data.numbers, data.leaves)
    return _serialized(to_onnx(fitted, data.numbers[:1], options={"zipmap": False}))


@cache
def regressor() -> bytes:
    data = customers()
    fitted = LinearRegression().fit(data.numbers, data.numbers.sum(axis=1))
    return _serialized(to_onnx(fitted, data.numbers[:1]))


def _serialized(model: object) -> bytes:
    return bytes(model.SerializeToString())  # type: ignore[attr-defined]  # without types


def write(path: Path, data: Data, names: Sequence[str] = NAMES, label: str = "leaves") -> Path:
    """Write rows as CSV, Parquet or npz, by the name's end."""
    columns: dict[str, Any] = {name: data.numbers[:, at] for at, name in enumerate(names)}
    columns[label] = data.leaves
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    else:
        pa.csv.write_csv(pa.table(columns), path)
    return path


def a_model(directory: Path, content: bytes | None = None) -> Path:
    """Write a model to a directory of its own."""
    directory.mkdir(exist_ok=True)
    file = directory / "model.onnx"
    file.write_bytes(content or classifier())
    return file


def built(directory: Path, *more: str, data: Data | None = None) -> Baseline:
    """Build a profile beside the model in a directory."""
    file = a_model(directory)
    rows = write(directory / "train.csv", data or customers(20_000))
    arguments = ["profile", "build", rows, "--model", file, "--ignore", "leaves", *more]
    assert main(list(map(str, arguments))) == 0
    return read((directory / "driftline-profile.json").read_bytes())


@dataclass(slots=True)
class Terminal:
    """Runs commands, and has what they printed."""

    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def __call__(self, *arguments: object) -> int:
        self.capsys.readouterr()
        code = main([str(each) for each in arguments])
        self.out, self.err = self.capsys.readouterr()
        return code

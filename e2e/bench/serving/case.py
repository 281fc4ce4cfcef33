"""What is measured: a model, some requests to it, and what ONNX Runtime itself answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

Command = list[str]

TREES: Final = "200 trees"
NETWORK: Final = "a network of 7 M weights"
IMAGE_AS_JSON: Final = "an image as JSON"
IMAGE_AS_BINARY: Final = "an image as binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of input, in both forms, and its answer.

    Attributes:
        json: a request of the Open Inference Protocol, all of it JSON.
        raw: the same values as float32, little-endian.
        answers: what ONNX Runtime alone gives for each output, flat.
    """

    json: bytes
    raw: bytes
    answers: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model and distinct requests of one row.

    Attributes:
        name: for people.
        onnx: the model; its one input is called `X`.
        single: the same with a first axis that is fixed to 1; None where that is not compared.
        shape: of a row, the first axis included.
        rows: the requests.
        binary: rows are sent as raw values, to those who take them.
    """

    name: str
    onnx: bytes
    single: bytes | None = None
    shape: tuple[int, ...]
    rows: tuple[Row, ...]
    binary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request as a client sends it."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a server is started with: `directory` holds `model.onnx` and is its own to use."""

    directory: Path
    port: int
    binary: bool

    @property
    def model(self) -> str:
        """The path of the model."""
        return str(self.directory / "model.onnx")

"""Models that are not ONNX: told apart by their first bytes, to say how each becomes ONNX.

None is ever loaded. A pickle is a program that runs when it is read, and most others hold one, or
hold weights without the model.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HEAD: Final = 512
_SCIKIT: Final = (
    "convert it where it was trained, with skl2onnx.to_onnx(model, X[:1], options={'zipmap': "
    "False}), or with onnxmltools if it is of XGBoost or LightGBM"
)
_TORCH: Final = (
    "export it where it was trained, with torch.onnx.export(model, example, 'model.onnx')"
)
_KERAS: Final = "convert it where it was trained, with model.export('model.onnx', format='onnx')"
_TENSORFLOW: Final = "convert it with python -m tf2onnx.convert, and --output model.onnx"
_RUNS: Final = "is never loaded, as that would run whatever code is in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is looked at of a file: its name, its first bytes and its size."""

    path: Path
    start: bytes
    size: int

    @property
    def suffix(self) -> str:
        """The end of its name, in small letters."""
        return self.path.suffix.lower()

    @property
    def first_in_zip(self) -> str:
        """The name of the first file in a ZIP archive, empty if it is none."""
        if not self.start.startswith(b"PK\x03\x04"):
            return ""
        length = int.from_bytes(self.start[26:28], "little")
        return self.start[30 : 30 + length].decode(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format that is not loaded.

    Attributes:
        is_it: tells it by a file's head.
        told: what it is and why it is not loaded, and the way to ONNX.
    """

    is_it: Callable[[Head], bool]
    told: str


def _is_torch(head: Head) -> bool:
    if head.start.startswith(b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."):
        return True  # before PyTorch 1.6
    inside = head.first_in_zip.rpartition("/")[2]
    return inside in {"data.pkl", "constants.pkl", "archive_format", "byteorder"} or (
        bool(head.first_in_zip) and head.suffix in {".pt", ".pth", ".pt2"}
    )


def _is_keras(head: Head) -> bool:
    in_zip = head.first_in_zip in {"metadata.json", "config.json", "model.weights.h5"}
    return in_zip or head.start.startswith(b"\x89HDF\r\n\x1a\n")


def _is_pickle(head: Head) -> bool:
    """Protocols 2 to 5 say so, older ones begin with the class of what they make."""
    versions = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    names = {".pkl", ".pickle", ".joblib", ".sav", ".dill"}
    is_old = re.match(rb"c[a-z_][\w.]*\n[A-Za-z_]\w*\n", head.start)
    return head.start.startswith(versions) or is_old is not None or head.suffix in names


def _is_safetensors(head: Head) -> bool:
    length = int.from_bytes(head.start[:8], "little")
    return head.start[8:9] == b"{" and 2 <= length <= head.size - 8


#: As gzip, bzip2, xz, lzma, LZ4, Zstandard and, at any level, zlib.
_PACKED: Final = (
    *(b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"]\x00\x00", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"),
    *(b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
)

#: The first that a file is counts.
FORMATS: Final = (
    Format(is_it=_is_torch, told=f"is a file of PyTorch, which {_RUNS}: {_TORCH}"),
    Format(
        is_it=_is_keras,
        told=f"is a model of Keras, or other HDF5, and only ONNX is loaded: {_KERAS}",
    ),
    Format(is_it=_is_pickle, told=f"is a pickle, which {_RUNS}: {_SCIKIT}"),
    Format(is_it=_is_safetensors, told=f"holds weights without the model that uses them: {_TORCH}"),
    Format(
        is_it=lambda head: head.path.name == "saved_model.pb",
        told=f"is a SavedModel of TensorFlow, and only ONNX is loaded: {_TENSORFLOW}",
    ),
    Format(
        is_it=lambda head: head.start[3:8] == b"\x00TFL3",
        told=f"is a model of TensorFlow Lite, and only ONNX is loaded: {_TENSORFLOW}",
    ),
    Format(
        is_it=lambda head: bool(head.first_in_zip) or head.start.startswith(_PACKED),
        told=f"is packed. If it is ONNX, unpack it; a pickle of joblib {_RUNS}: {_SCIKIT}",
    ),
)


def foreign(path: Path) -> str | None:
    """Return what a file is and how it becomes ONNX; None if it is nothing that we know."""
    with path.open("rb") as file:
        head = Head(path=path, start=file.read(_HEAD), size=path.stat().st_size)
    return next((each.told for each in FORMATS if each.is_it(head)), None)

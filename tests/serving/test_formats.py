"""Only ONNX is loaded, only from its own directory, and whatever else comes is told what it is."""

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import joblib
import numpy as np
import pytest
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    helper,
    numpy_helper,
)

from driftline_api.conditions import Reason
from driftline_serving.errors import ArtifactError
from driftline_serving.server import engine
from tests.serving import onnx_models
from tests.serving.processes import PROGRAM

CONVERT_SCIKIT = "skl2onnx.to_onnx(model, X[:1], options={'zipmap': False})"
CONVERT_TORCH = "torch.onnx.export("

Make = Callable[[Path], None]


def refusal(directory: Path) -> str:
    with pytest.raises(ArtifactError) as refused:
        engine.load(directory, threads=1)
    assert refused.value.reason is Reason.ARTIFACT_INVALID
    return str(refused.value)


def content(of: bytes) -> Make:
    def write(path: Path) -> None:
        path.write_bytes(of)

    return write


def pickled(protocol: int) -> Make:
    return content(pickle.dumps(onnx_models.cancer_forest(), protocol))


def dumped(compress: object) -> Make:
    def write(path: Path) -> None:
        joblib.dump(onnx_models.cancer_forest(), path, compress=compress)

    return write


def zipped(*names: str) -> Make:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"content")

    return write


def safetensors(path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


#: How a file is made, and what must be said of it, whatever its name.
FOREIGN: Mapping[str, tuple[Make, tuple[str, ...]]] = {
    **{
        f"pickle of protocol {protocol}": (pickled(protocol), ("is a pickle", CONVERT_SCIKIT))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "joblib": (dumped(0), ("is a pickle", CONVERT_SCIKIT)),
    **{
        f"joblib with {compress}": (dumped(compress), ("is packed", "a pickle", CONVERT_SCIKIT))
        for compress in (1, 3, 9, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3))
    },
    "PyTorch": (
        zipped("model/data.pkl", "model/byteorder", "model/data/0", "model/version"),
        ("is a file of PyTorch", CONVERT_TORCH),
    ),
    "TorchScript": (
        zipped("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"),
        ("is a file of PyTorch", CONVERT_TORCH),
    ),
    "PyTorch before 1.6": (
        content(pickle.dumps(0x1950A86A20F9469CFC6C, 2)),
        ("is a file of PyTorch", CONVERT_TORCH),
    ),
    "Keras": (
        zipped("metadata.json", "config.json", "model.weights.h5"),
        ("is a model of Keras", "model.export("),
    ),
    "HDF5": (content(b"\x89HDF\r\n\x1a\n" + bytes(600)), ("is a model of Keras, or other HDF5",)),
    "safetensors": (safetensors, ("weights without the model", CONVERT_TORCH)),
    "TensorFlow Lite": (
        content(b"\x1c\x00\x00\x00TFL3" + bytes(600)),
        ("TensorFlow Lite", "tf2onnx"),
    ),
    "ONNX in a ZIP archive": (zipped("model.onnx"), ("is packed", "unpack it")),
}


@pytest.mark.parametrize(("make", "told"), FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("name", ["model.onnx", "iris.bin"])
def test_another_format_is_told_by_its_content_with_the_way_to_onnx(
    tmp_path: Path, name: str, make: Make, told: tuple[str, ...]
) -> None:
    make(tmp_path / name)

    message = refusal(tmp_path)

    assert name in message
    assert [part for part in told if part not in message] == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.pkl", "model.pkl is a pickle"),
        ("model.JOBLIB", "model.JOBLIB is a pickle"),
        ("saved_model.pb", "is a SavedModel of TensorFlow"),
    ],
)
def test_some_are_told_by_their_name(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(b"\x08\x01 what it begins with says nothing")

    assert told in refusal(tmp_path)


def test_an_archive_by_a_name_of_pytorch_is_taken_for_one(tmp_path: Path) -> None:
    zipped("something/else")(tmp_path / "net.pt")

    assert "is a file of PyTorch" in refusal(tmp_path)


def test_what_lies_beside_a_model_does_not_matter(tmp_path: Path) -> None:
    pickled(4)(tmp_path / "a.pkl")
    (tmp_path / "model.onnx").write_bytes(onnx_models.cancer_onnx())

    assert engine.load(tmp_path, threads=1).signature.inputs[0].name == "X"


class Trap:
    """Makes a directory when it is read as a pickle."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (os.mkdir, (self.sprung,))


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    sprung, model_dir = tmp_path / "sprung", tmp_path / "model"
    model_dir.mkdir()
    (model_dir / "model.onnx").write_bytes(pickle.dumps(Trap(sprung)))

    assert "is a pickle" in refusal(model_dir)
    assert not sprung.exists()
    pickle.loads((model_dir / "model.onnx").read_bytes())
    assert sprung.exists(), "the trap works"


def test_the_reason_is_left_for_the_operator(tmp_path: Path) -> None:
    dumped(0)(tmp_path / "model.joblib")
    log = tmp_path / "log"
    where = ["--model-dir", str(tmp_path), "--termination-log", str(log)]

    ended = subprocess.run(
        [
            *PROGRAM,
            "serve",
            "--model-name",
            "m",
            "--port",
            "0",
            "--grpc-port",
            "0",
            "--admin-port",
            "0",
            *where,
        ],
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    left = json.loads(log.read_text())
    assert left["reason"] == "ArtifactInvalid"
    assert left["message"].startswith("the artifact holds no model.onnx, and model.joblib is a")


def outside(location: str, shape: tuple[int, ...] = (4,)) -> TensorProto:
    """A tensor whose values lie in a file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
ADD = helper.make_node("Add", ["x", "w"], ["y"])
TRUE = helper.make_tensor("true", TensorProto.BOOL, [], [True])
FOUR = numpy_helper.from_array(np.array([4], dtype=np.int64), "four")
ORDER = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def a_model(graph: GraphProto) -> ModelProto:
    return helper.make_model(graph, opset_imports=ORDER, ir_version=8)


def in_initializer(location: str) -> ModelProto:
    return a_model(helper.make_graph([ADD], "g", [X], [Y], [outside(location)]))


def constant(location: str) -> NodeProto:
    return helper.make_node("Constant", [], ["w"], value=outside(location))


def in_constant(location: str) -> ModelProto:
    return a_model(helper.make_graph([constant(location), ADD], "g", [X], [Y]))


def in_attribute(location: str) -> ModelProto:
    filled = helper.make_node("ConstantOfShape", ["four"], ["w"], value=outside(location, (1,)))
    return a_model(helper.make_graph([filled, ADD], "g", [X], [Y], [FOUR]))


def branching(then: GraphProto) -> ModelProto:
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["n"])], "else", [], [Y])
    other.output[0].name = "n"
    node = helper.make_node("If", ["true"], ["y"], then_branch=then, else_branch=other)
    return a_model(helper.make_graph([node], "g", [X], [Y], [TRUE]))


def in_branch(location: str) -> ModelProto:
    return branching(helper.make_graph([ADD], "then", [], [Y], [outside(location)]))


def in_constant_of_branch(location: str) -> ModelProto:
    return branching(helper.make_graph([constant(location), ADD], "then", [], [Y]))


def in_function(location: str) -> ModelProto:
    inner = [constant(location), ADD]
    function = helper.make_function("own", "F", ["x"], ["y"], inner, ORDER[:1])
    call = helper.make_node("F", ["x"], ["y"], domain="own")
    graph = helper.make_graph([call], "g", [X], [Y])
    return helper.make_model(graph, functions=[function], opset_imports=ORDER, ir_version=8)


def sparse(location: str) -> SparseTensorProto:
    where = numpy_helper.from_array(np.arange(4, dtype=np.int64), "at")
    return SparseTensorProto(values=outside(location), indices=where, dims=[4])


def in_sparse_initializer(location: str) -> ModelProto:
    graph = helper.make_graph([ADD], "g", [X], [Y])
    graph.sparse_initializer.append(sparse(location))
    return a_model(graph)


def in_sparse_constant(location: str) -> ModelProto:
    node = helper.make_node("Constant", [], ["w"])
    kind = AttributeProto.SPARSE_TENSOR
    node.attribute.append(
        AttributeProto(name="sparse_value", type=kind, sparse_tensor=sparse(location))
    )
    return a_model(helper.make_graph([node, ADD], "g", [X], [Y]))


PLACES = [
    in_initializer,
    in_constant,
    in_attribute,
    in_branch,
    in_constant_of_branch,
    in_function,
    in_sparse_initializer,
    in_sparse_constant,
]


LOAD_EACH = """
import pathlib, sys
from driftline_serving.errors import ArtifactError
from driftline_serving.server import engine
for directory in sys.argv[1:]:
    try:
        engine.load(pathlib.Path(directory), threads=1)
    except ArtifactError as error:
        print(str(error).replace("\\n", " "))
"""


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_file_outside_the_models_directory_is_read(
    tmp_path: Path, place: Callable[[str], ModelProto]
) -> None:
    """Whoever opened the pipe would wait for ever: nobody writes to it."""
    beside = tmp_path / "beside"
    os.mkfifo(beside)
    locations = ["../beside", "deep/../../beside", str(beside), "link", "up/beside"]
    for number, location in enumerate(locations):
        model_dir = tmp_path / str(number)
        (model_dir / "deep").mkdir(parents=True)
        (model_dir / "link").symlink_to("../beside")
        (model_dir / "up").symlink_to("..")
        (model_dir / "model.onnx").write_bytes(place(location).SerializeToString())

    directories = [str(tmp_path / str(number)) for number in range(len(locations))]
    command = [sys.executable, "-c", LOAD_EACH, *directories]
    said = subprocess.run(command, timeout=60, check=True, capture_output=True, text=True).stdout

    told = said.splitlines()
    assert len(told) == len(locations), said
    assert [line for line in told if "must lie beside it, in the artifact's" not in line] == []


@pytest.mark.parametrize("place", [in_initializer, in_constant, in_branch, in_function])
def test_a_file_in_the_models_directory_is_read(
    tmp_path: Path, place: Callable[[str], ModelProto]
) -> None:
    (tmp_path / "weights").mkdir()
    np.arange(4, dtype=np.float32).tofile(tmp_path / "weights" / "w.bin")
    (tmp_path / "model.onnx").write_bytes(place("weights/w.bin").SerializeToString())

    (sums,) = engine.load(tmp_path, threads=1).run({"x": np.ones(4, dtype=np.float32)}, ["y"])

    assert sums.tolist() == [1, 2, 3, 4]


def test_a_file_that_was_left_behind_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(in_initializer("w.bin").SerializeToString())

    message = refusal(tmp_path)

    assert "must lie beside it" in message
    assert "w.bin" in message

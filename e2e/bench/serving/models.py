"""The models that the servers are compared with, as ONNX, and requests to each."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
import orjson
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.neural_network import MLPClassifier

from e2e.bench.serving.case import IMAGE_AS_BINARY, IMAGE_AS_JSON, NETWORK, TREES, Case, Row

Floats = NDArray[np.float32]

COLUMNS: Final = 20
IMAGE: Final = (3, 224, 224)
CHANNELS, CLASSES = 8, 10
#: Distinct requests; images are large.
ROWS, IMAGES = 64, 4


def cases() -> list[Case]:
    """Return the models, made from a fixed seed."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((2000, COLUMNS)).astype(np.float32)
    labels = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0).astype(int)
    trees = GradientBoostingClassifier(n_estimators=200, max_depth=4, random_state=0)
    network = MLPClassifier((2560, 2560), max_iter=1, random_state=0)
    images = random.standard_normal((IMAGES, *IMAGE)).astype(np.float32)
    fitted = _sklearn(network.fit(rows, labels), rows)
    image = _case(IMAGE_AS_JSON, _convolution(random), images)
    return [
        _case(TREES, _sklearn(trees.fit(rows, labels), rows), rows[:ROWS]),
        replace(_case(NETWORK, fitted, rows[:ROWS]), single=_of_one_row(fitted)),
        image,
        replace(image, name=IMAGE_AS_BINARY, binary=True),
    ]


def _case(name: str, model: bytes, rows: Floats) -> Case:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    made = []
    for row in rows:
        batch = row[np.newaxis]
        found = session.run(names, {"X": batch})
        answers = {
            name: np.asarray(each).ravel().tolist() for name, each in zip(names, found, strict=True)
        }
        made.append(Row(json=_infer_body(batch), raw=batch.tobytes(), answers=answers))
    return Case(name=name, onnx=model, shape=(1, *rows.shape[1:]), rows=tuple(made))


def _infer_body(batch: Floats) -> bytes:
    tensor = {"name": "X", "shape": batch.shape, "datatype": "FP32", "data": batch.ravel()}
    return orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)


def _sklearn(model: object, rows: Floats) -> bytes:
    return bytes(to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString())


def _of_one_row(model: bytes) -> bytes:
    """Return the same model with its first axes fixed: nobody can join calls of it."""
    fixed = onnx.load_from_string(model)
    for tensor in (*fixed.graph.input, *fixed.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    return bytes(fixed.SerializeToString())


def _convolution(random: np.random.Generator) -> bytes:
    """Return a small network over images: what costs is to carry them."""
    filters = random.standard_normal((CHANNELS, IMAGE[0], 7, 7)) / 12
    weights = random.standard_normal((CHANNELS, CLASSES))
    nodes = [
        helper.make_node("Conv", ["X", "filters"], ["edges"], strides=[4, 4]),
        helper.make_node("Relu", ["edges"], ["found"]),
        helper.make_node("GlobalAveragePool", ["found"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    constants = [_constant("filters", filters), _constant("weights", weights)]
    takes = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", *IMAGE])
    gives = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", CLASSES])
    graph = helper.make_graph(nodes, "image", [takes], [gives], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _constant(name: str, values: Any) -> TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)

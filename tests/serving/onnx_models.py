"""Real ONNX models: from scikit-learn's own data, and some of a few nodes for what those lack."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from driftline_serving.server.tensors import Array, Datatype

ONNX_TYPES = {
    Datatype.BOOL: TensorProto.BOOL,
    Datatype.UINT8: TensorProto.UINT8,
    Datatype.UINT16: TensorProto.UINT16,
    Datatype.UINT32: TensorProto.UINT32,
    Datatype.UINT64: TensorProto.UINT64,
    Datatype.INT8: TensorProto.INT8,
    Datatype.INT16: TensorProto.INT16,
    Datatype.INT32: TensorProto.INT32,
    Datatype.INT64: TensorProto.INT64,
    Datatype.FP16: TensorProto.FLOAT16,
    Datatype.FP32: TensorProto.FLOAT,
    Datatype.FP64: TensorProto.DOUBLE,
    Datatype.BYTES: TensorProto.STRING,
}


@cache
def cancer_rows() -> tuple[Array, Array]:
    """The breast cancer data: float32 rows of 30 columns, and labels 0 and 1."""
    rows, labels = load_breast_cancer(return_X_y=True)
    return rows.astype(np.float32), labels


@cache
def cancer_forest() -> RandomForestClassifier:
    """A forest trained on them; it learned to route missing values too."""
    rows, labels = cancer_rows()
    holed = rows.copy()
    holed[::7, 3] = np.nan
    return RandomForestClassifier(n_estimators=20, random_state=0).fit(holed, labels)


@cache
def cancer_onnx() -> bytes:
    """The forest as ONNX: X FP32 [-1, 30] to label INT64 [-1] and probabilities FP32 [-1, 2]."""
    return serialized(to_onnx(cancer_forest(), cancer_rows()[0][:1], options={"zipmap": False}))


@cache
def cancer_onnx_with_maps() -> bytes:
    """The same with skl2onnx's default output, a sequence of maps, which no tensor can be."""
    return serialized(to_onnx(cancer_forest(), cancer_rows()[0][:1]))


@cache
def iris_strings() -> tuple[Array, Array, Array]:
    """Iris with petal length in words: (words [150, 1], widths [150, 1] float32, species names)."""
    bunch = load_iris()
    lengths = bunch.data[:, 2]
    words = np.where(lengths < 2.5, "short", np.where(lengths < 4.9, "medium", "long"))
    species = bunch.target_names[bunch.target]
    return words.astype(object)[:, None], bunch.data[:, 3:].astype(np.float32), species


@cache
def iris_pipeline() -> Pipeline:
    words, widths, species = iris_strings()
    encode = ColumnTransformer(
        [("words", OneHotEncoder(handle_unknown="ignore"), [0])], remainder="passthrough"
    )
    pipeline = Pipeline([("encode", encode), ("classify", LogisticRegression(max_iter=500))])
    return pipeline.fit(np.hstack([words, widths.astype(object)]), species)


@cache
def iris_onnx() -> bytes:
    """Strings in, strings out: length BYTES [-1, 1] and width FP32 [-1, 1] to label BYTES."""
    inputs = [("length", StringTensorType([None, 1])), ("width", FloatTensorType([None, 1]))]
    options = {LogisticRegression: {"zipmap": False}}
    return serialized(to_onnx(iris_pipeline(), initial_types=inputs, options=options))


@cache
def identities(datatypes: Sequence[Datatype] = tuple(Datatype)) -> bytes:
    """One input and one output of each datatype, `in_<datatype>` to `out_<datatype>`, any shape."""
    names = {datatype.value.lower(): ONNX_TYPES[datatype] for datatype in datatypes}
    nodes = [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in names]

    def infos(prefix: str) -> list[ValueInfoProto]:
        return [
            helper.make_tensor_value_info(f"{prefix}{name}", kind, ["rows", "columns"])
            for name, kind in names.items()
        ]

    return serialized(_model(helper.make_graph(nodes, "identities", infos("in_"), infos("out_"))))


def samples(datatype: Datatype) -> Array:
    """Values that are easily got wrong, of shape [2, 2]."""
    if datatype is Datatype.BYTES:
        return np.array([["", "a"], ["ü", "long " * 50]], dtype=object)
    if datatype is Datatype.BOOL:
        return np.array([[True, False], [False, True]])
    if datatype.is_float:
        return np.array([[0.5, np.nan], [np.inf, -np.inf]], dtype=datatype.dtype)
    limits = np.iinfo(datatype.dtype)
    return np.array([[limits.min, limits.max], [1, 0]], dtype=datatype.dtype)


@cache
def labour(least: int = 0) -> bytes:
    """Works as long as it is told: `rounds` INT64 [1] matrix products, but at least so many.

    One round takes roughly 1.5 ms on one thread; gives `done` FP32 [1].
    """
    size = 512
    matrix = np.full((size, size), 1 / size, dtype=np.float32)
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "matrix"], ["after"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [size, size]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [size, size]),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Squeeze", ["rounds"], ["told"]),
            helper.make_node("Max", ["told", "least"], ["times"]),
            helper.make_node("Loop", ["times", "", "matrix"], ["end"], body=body),
            helper.make_node("ReduceMax", ["end"], ["most"], keepdims=0),
            helper.make_node("Reshape", ["most", "one"], ["done"]),
        ],
        "labour",
        [helper.make_tensor_value_info("rounds", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("done", TensorProto.FLOAT, [1])],
        [
            numpy_helper.from_array(matrix, "matrix"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
            numpy_helper.from_array(np.array(least, dtype=np.int64), "least"),
        ],
    )
    return serialized(_model(graph))


@cache
def pair_adder() -> bytes:
    """Adds two FP32 vectors; fails in the runtime where their lengths do not go together."""
    any_length = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [axis])
        for name, axis in (("a", "m"), ("b", "n"))
    ]
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"])],
        "adder",
        any_length,
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["k"])],
    )
    return serialized(_model(graph))


@cache
def pair_joiner() -> bytes:
    """Puts two FP32 matrices side by side; fails in the runtime where their rows differ."""
    matrices = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 1])
        for name, rows in (("a", "m"), ("b", "n"))
    ]
    graph = helper.make_graph(
        [helper.make_node("Concat", ["a", "b"], ["both"], axis=1)],
        "joiner",
        matrices,
        [helper.make_tensor_value_info("both", TensorProto.FLOAT, ["k", 2])],
    )
    return serialized(_model(graph))


@cache
def seven_only() -> bytes:
    """Says that it takes any number of values, but works with seven alone."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "seven"], ["y"])],
        "seven",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.array([7], dtype=np.int64), "seven")],
    )
    return serialized(_model(graph))


def _model(graph: GraphProto) -> ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def serialized(model: ModelProto) -> bytes:
    return bytes(model.SerializeToString())

"""Which models' calls are joined: real models in ONNX Runtime, tried out as at load."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier

from driftline_serving.server import engine as engines
from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec
from driftline_serving.server.trial import Trial, try_out
from tests.serving import onnx_models


def tried(directory: Path, onnx: bytes, clock: Callable[[], float] | None = None) -> Trial:
    (directory / "model.onnx").write_bytes(onnx)
    model = engines.load(directory, threads=1)
    exact = engines.is_trees(directory)
    return try_out(model, exact=exact, clock=clock) if clock else try_out(model, exact=exact)


def over_the_batch() -> bytes:
    """Takes the batch's mean away from each row."""
    rows: list[str | int | None] = ["n", 3]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        "centred",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, rows)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, rows)],
    )
    return onnx_models.serialized(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    )


def a_network() -> bytes:
    rows, labels = onnx_models.cancer_rows()
    network = MLPClassifier((64, 64), max_iter=20, random_state=0)
    with pytest.warns(UserWarning, match="hasn't converged"):
        network.fit(rows, labels)
    return onnx_models.serialized(to_onnx(network, rows[:1], options={"zipmap": False}))


def test_trees_are_joined_and_agree_in_every_bit(tmp_path: Path) -> None:
    trial = tried(tmp_path, onnx_models.cancer_onnx())
    assert engines.is_trees(tmp_path)
    assert (trial.joins, trial.reason) == (True, "batches of 1, 8 and 64 agree in every bit")
    assert 0 < trial.seconds(1) <= trial.seconds(64) < 0.05


def test_networks_are_joined_within_the_tolerance(tmp_path: Path) -> None:
    trial = tried(tmp_path, a_network())
    assert not engines.is_trees(tmp_path)
    assert trial.joins
    assert trial.reason.startswith("batches of 1, 8 and 64 agree")


def test_models_of_strings_are_joined(tmp_path: Path) -> None:
    assert tried(tmp_path, onnx_models.iris_onnx()).joins


def test_a_model_that_looks_at_the_whole_batch_is_not_joined(tmp_path: Path) -> None:
    trial = tried(tmp_path, over_the_batch())
    assert (trial.joins, trial.reason) == (False, "its answers depend on what else is in the batch")


def test_a_model_of_fixed_length_is_not_joined(tmp_path: Path) -> None:
    trial = tried(tmp_path, onnx_models.labour())
    assert trial.reason == "the first axis of rounds, done is fixed"


def test_a_model_of_vectors_is_joined(tmp_path: Path) -> None:
    """It adds vectors of equal lengths, so rows are rows as far as anybody can see."""
    assert tried(tmp_path, onnx_models.pair_adder()).joins


def test_a_model_whose_shapes_depend_on_values_is_not_joined(tmp_path: Path) -> None:
    """Of all rows it keeps the columns that are positive in the first."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["x", "zero"], ["first"], axis=0),
            helper.make_node("Greater", ["first", "nought"], ["positive"]),
            helper.make_node("Compress", ["x", "positive"], ["y"], axis=1),
        ],
        "chooser",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "found"])],
        [
            numpy_helper.from_array(np.array(0, dtype=np.int64), "zero"),
            numpy_helper.from_array(np.array(0, dtype=np.float32), "nought"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    trial = tried(tmp_path, onnx_models.serialized(model))
    assert trial.reason.endswith("the shape of its rows depends on the batch")


def test_longer_rows_are_taken_to_cost_more() -> None:
    trial = Trial(joins=True, reason="", fixed=0.001, per_row=0.01, row_size=10)
    assert trial.seconds(20) == pytest.approx(0.021)


def test_a_dear_model_is_not_joined(tmp_path: Path) -> None:
    ticks: Iterator[float] = iter(range(1000))
    trial = tried(tmp_path, onnx_models.cancer_onnx(), lambda: float(next(ticks)))
    assert trial.reason == "one row takes 1 s: batches would gain nothing"
    assert trial.seconds(1) == 1


def test_what_agrees_only_nearly_is_not_enough_for_trees() -> None:
    class Nearly:
        pair = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2))
        signature = Signature(inputs=(pair,), outputs=(pair,))

        def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
            return [inputs[name] * np.float32(1 + 1e-7 * len(inputs[name])) for name in outputs]

    assert try_out(Nearly(), exact=False).joins
    assert not try_out(Nearly(), exact=True).joins

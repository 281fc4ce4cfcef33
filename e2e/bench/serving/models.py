"""The models that the servers are compared with, as ONNX, and one request to each."""

from dataclasses import dataclass

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.neural_network import MLPClassifier

from e2e.bench.serving.load import infer_body

COLUMNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model and a request of one row."""

    name: str
    onnx: bytes
    body: bytes


def cases() -> list[Case]:
    """Return the models, trained on rows that are drawn from a fixed seed."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((2000, COLUMNS)).astype(np.float32)
    labels = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0).astype(int)
    body = infer_body("X", (1, COLUMNS), rows[0].tolist())
    trees = GradientBoostingClassifier(n_estimators=200, max_depth=4, random_state=0)
    network = MLPClassifier((2048, 1536), max_iter=2, random_state=0)
    return [
        Case(name=name, onnx=_onnx(model.fit(rows, labels), rows), body=body)
        for name, model in (("200 trees", trees), ("a network of 3 M weights", network))
    ]


def _onnx(model: object, rows: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> bytes:
    return bytes(to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString())

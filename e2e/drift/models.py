"""A model for each scene: trained here, as ONNX, with the signature of what its numbers mean."""

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from e2e.drift.scenes import LEVELS, NUMBERS, Examples, Scene

SCORES = "probabilities"


def train(scene: Scene) -> bytes:
    """Return a gradient boosting of the scene's training rows, as ONNX."""
    trees = GradientBoostingClassifier(n_estimators=60, subsample=0.5, random_state=0)
    many = len(scene.numeric)
    model: ClassifierMixin = trees
    rows: npt.NDArray[Any] = scene.trained.numbers
    types = [(NUMBERS, FloatTensorType([None, many]))]
    if scene.categorical:
        width = len(scene.categorical)
        encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        columns = list(range(many, many + width))
        spread = ColumnTransformer(
            [("levels", encode, columns), ("numbers", "passthrough", list(range(many)))]
        )
        model = make_pipeline(spread, trees)
        rows = np.hstack([rows.astype(object), scene.trained.levels.astype(object)])
        types.append((LEVELS, StringTensorType([None, width])))
    model.fit(rows, scene.trained.truth)
    options = {id(trees): {"zipmap": False}}
    converted = convert_sklearn(model, initial_types=types, options=options, target_opset=17)
    onnx: bytes = converted.SerializeToString()
    return onnx


def signature(scene: Scene) -> dict[str, Any]:
    """Return the signature of the scene's model."""
    numeric = [
        {"name": name, "tensor": NUMBERS, "column": at} for at, name in enumerate(scene.numeric)
    ]
    categorical = [
        {"name": name, "tensor": LEVELS, "column": at, "kind": "categorical", "levels": known}
        for at, name in enumerate(scene.categorical)
        for known in [_levels(scene.trained, at)]
    ]
    prediction = {
        "task": "binary",
        "tensor": "label",
        "score": SCORES,
        "classes": [f"no {scene.positive}", scene.positive],
        "calibrated": True,
    }
    return {
        "features": [*numeric, *categorical],
        "prediction": prediction,
        "loss": "zero_one",
    }


def _levels(rows: Examples, column: int) -> list[str]:
    return sorted({str(level) for level in np.unique(rows.levels[:, column])} - {""})


def note(scene: Scene) -> bytes:
    """Return `driftline.json`, which says the signature beside the model."""
    return json.dumps({"signature": signature(scene)}, indent=1).encode()


def digest_of(files: dict[str, bytes]) -> str:
    """Return the digest of a directory artifact with these files.

    >>> digest_of({"model.onnx": b""})[:14]
    'sha256:f62a9b4'
    """
    lines = sorted(f"{hashlib.sha256(each).hexdigest()}  {name}\n" for name, each in files.items())
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def predicted(onnx: bytes, rows: Examples) -> npt.NDArray[np.int64]:
    """Return the classes that the model predicts, shape (rows,)."""
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    tensors = {
        name: each.astype(object) if name == LEVELS else each
        for name, each in rows.inputs().items()
    }
    classes: npt.NDArray[np.int64] = session.run(["label"], tensors)[0]
    return classes

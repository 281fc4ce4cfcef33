"""Real models for the demo and the suite: trained here, on data that scikit-learn carries."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The Wisconsin breast cancer data, split once: 30 measurements of a cell, benign or not.

    Attributes:
        train_x: float32, shape (398, 30).
        train_y: int64, shape (398,); 0 is malignant, 1 is benign.
        test_x: float32, shape (171, 30), which no model is trained on.
        test_y: int64, shape (171,).
        names: what 0 and 1 mean.
    """

    train_x: Rows
    train_y: NDArray[np.int64]
    test_x: Rows
    test_y: NDArray[np.int64]
    names: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model as ONNX.

    Attributes:
        onnx: the file's bytes.
        digest: `sha256:` and the hash of these bytes.
        accuracy: share of the test rows predicted right, 0 to 1.
    """

    onnx: bytes
    digest: str
    accuracy: float


def breast_cancer() -> Data:
    """Return the data set, split the same way every time."""
    bunch = load_breast_cancer()
    parts = train_test_split(
        bunch.data.astype(np.float32), bunch.target, test_size=0.3, random_state=7
    )
    names = (str(bunch.target_names[0]), str(bunch.target_names[1]))
    train_x, test_x, train_y, test_y = parts
    return Data(train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y, names=names)


def export(model: ClassifierMixin, sample: Rows, accuracy: float = 0.0) -> Trained:
    """Convert a fitted classifier to ONNX with plain tensors `label` and `probabilities`."""
    onnx = to_onnx(
        model, sample[:1], options={"zipmap": False}, initial_types=None, target_opset=17
    ).SerializeToString()
    digest = f"sha256:{hashlib.sha256(onnx).hexdigest()}"
    return Trained(onnx=onnx, digest=digest, accuracy=accuracy)


def train(version: int, data: Data) -> Trained:
    """Train version 1 (a logistic regression) or 2 (gradient boosting)."""
    if version == 1:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    else:
        model = GradientBoostingClassifier(n_estimators=100, random_state=version)
    model.fit(data.train_x, data.train_y)
    return export(model, data.test_x, float(model.score(data.test_x, data.test_y)))


def forest_of(megabytes: float) -> Trained:
    """Return a random forest of about this size, for what depends on the size of a model."""
    features, classes = make_classification(4_000, 20, n_informative=10, random_state=0)
    rows = features.astype(np.float32)
    one = export(RandomForestClassifier(10, random_state=0).fit(rows, classes), rows)
    trees = max(1, round(10 * megabytes * 1e6 / len(one.onnx)))
    return export(RandomForestClassifier(trees, random_state=0).fit(rows, classes), rows)

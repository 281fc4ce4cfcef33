"""Predictions as a model server tells them, with ids and receipts as it makes them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftline_api.keys import ReceiptKey
from driftline_api.signature import Loss, ModelSignature, Prediction
from driftline_serving.monitor.feedback.desk import Claim, FeedbackDesk, Outcome
from driftline_serving.monitor.feedback.items import ItemError, read_item
from driftline_serving.receipt import Signer
from driftline_serving.server.prediction_id import PredictionIds, pod_hash
from driftline_serving.server.predictions import Predictions
from driftline_serving.server.tensors import Array
from driftline_serving.tap.columns import groups
from driftline_serving.tap.decode import decode
from driftline_serving.tap.encode import encode
from driftline_serving.tap.frame import Frame
from driftline_serving.tap.layout import Counters
from driftline_serving.tap.records import Inference, Stamp
from tests.serving.keys import a_key
from tests.serving.tap_frames import SOURCE, a_batch

#: Unix seconds at the beginning of an hour.
NOON = 1_767_268_800.0
HOUR = int(NOON) // 3600
KEY = a_key()
MODEL, REVISION = "loans", "loans-1a2b3c"


def classes(**more: Any) -> ModelSignature:
    """Two classes, named by the model."""
    prediction = {"task": "binary", "tensor": "label", "classes": ["good", "bad"], **more}
    return ModelSignature(prediction=Prediction.model_validate(prediction))


def probabilities() -> ModelSignature:
    """Calibrated probabilities of two classes."""
    return ModelSignature(prediction=Prediction(task="binary", score="scores", calibrated=True))


def values(loss: Loss = "absolute") -> ModelSignature:
    return ModelSignature(prediction=Prediction(task="regression", tensor="value"), loss=loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """One prediction: what the server told, and what the client was given."""

    inference: Inference
    receipt: str

    @property
    def id(self) -> str:
        return self.inference.id


class Server:
    """Predicts as a pod of a Model does."""

    def __init__(
        self,
        signature: ModelSignature | None,
        address: str = "10.0.0.1",
        revision: str = REVISION,
        key: ReceiptKey = KEY,
    ) -> None:
        self._ids = PredictionIds(pod_hash(address))
        self._signer = Signer(key, revision)
        known = signature.prediction if signature else None
        self._predictions = Predictions(known) if known else None
        self._numbers = itertools.count()

    def predict(
        self, at: float = NOON, arm: str = "", epoch: int | None = None, **outputs: Sequence[Any]
    ) -> Predicted:
        arrays: dict[str, Array] = {name: np.asarray(each) for name, each in outputs.items()}
        arrays = {
            name: each.astype(object) if each.dtype.kind == "U" else each
            for name, each in arrays.items()
        }
        identity = self._ids(round(at * 1000))
        told = self._predictions.values(arrays, 16) if self._predictions else None
        receipt = self._signer.sign(identity, arm, str(epoch or 0), told or ())
        inference = Inference(
            id=identity,
            request_id="",
            stamp=Stamp(arm, epoch, int(at)),
            received_us=round(at * 1e6),
            latency_us=100,
            status=200,
            inputs={},
            outputs=arrays,
        )
        return Predicted(inference=inference, receipt=receipt)


def frame_of(*predicted: Predicted) -> Frame:
    """What the monitor reads of them, through the bytes of the tap."""
    batch = a_batch([each.inference for each in predicted])
    payload = encode(batch, groups(batch.inputs, batch.outputs), SOURCE)
    return decode(payload.header(Counters()) + payload.content)


def a_desk(signature: ModelSignature | None, *remembered: Predicted) -> FeedbackDesk:
    desk = FeedbackDesk(signature, MODEL, REVISION, lambda: (KEY,))
    if remembered:
        desk.observe(frame_of(*remembered))
    return desk


def said(desk: FeedbackDesk, now: float = NOON, **item: Any) -> Outcome:
    """Say something of a prediction, as the endpoint does; return what became of it."""
    try:
        claim = desk.claim(read_item(item), now)
    except ItemError as error:
        return Outcome("invalid", str(error))
    outcome = desk.settle(claim, now) if isinstance(claim, Claim) else claim
    desk.count(outcome.what)
    return outcome

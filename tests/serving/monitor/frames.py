"""Frames as a worker sends them, and rows that are in them."""

import itertools
from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np

from driftline_api.signature import Feature, ModelSignature, Prediction
from driftline_serving.server.tensors import Array
from driftline_serving.tap.columns import groups
from driftline_serving.tap.decode import decode
from driftline_serving.tap.encode import encode
from driftline_serving.tap.frame import Frame
from driftline_serving.tap.layout import Counters, Source
from driftline_serving.tap.records import Inference, Omitted, Stamp
from tests.serving.tap_frames import a_batch

_NUMBERS = itertools.count(1)
_RANDOM = np.random.default_rng(5)


def a_frame(
    inferences: Sequence[Inference], counters: Counters | None = None, worker: str = "w"
) -> Frame:
    """What a reader gets; the counters are those of a worker's first frame, unless given."""
    batch = a_batch(inferences)
    counters = counters or Counters(offered=len(inferences))
    payload = encode(batch, groups(batch.inputs, batch.outputs), Source(worker=worker, about={}))
    return decode(payload.header(counters) + payload.content)


def an_inference(
    inputs: Mapping[str, Array | Omitted] | None = None,
    outputs: Mapping[str, Array | Omitted] | None = None,
    *,
    status: int = 200,
    latency_us: int = 1500,
    stamp: Stamp | None = None,
) -> Inference:
    """One with an id like those of servers."""
    low = int(_RANDOM.integers(0, 1 << 62)) & ~0xFFFFFFFF
    identifier = UUID(int=(0x0190_0000_0000_7000 + next(_NUMBERS)) << 64 | 1 << 63 | low | 0xABCD)
    return Inference(
        id=str(identifier),
        request_id="",
        stamp=stamp or Stamp("stable", 7, 1_700_000_000),
        received_us=1_700_000_000_000_000,
        latency_us=latency_us,
        status=status,
        inputs=inputs or {},
        outputs=outputs or {},
    )


def loans() -> ModelSignature:
    """Two numbers, a city and a note; bad or good, and how likely bad is."""
    return ModelSignature(
        features=[
            Feature(name="age", tensor="x"),
            Feature(name="debt", tensor="x", column=1),
            Feature(name="city", tensor="city", kind="categorical"),
            Feature(name="note", tensor="note", kind="text"),
        ],
        prediction=Prediction(
            task="binary", tensor="label", classes=["good", "bad"], score="p", calibrated=True
        ),
    )


def a_loan(age: float = 40, debt: float = 0, city: str = "Rome", score: float = 0.25) -> Inference:
    """One answered application."""
    return an_inference(
        {
            "x": np.array([[age, debt]], np.float32),
            "city": np.array([[city]], object),
            "note": np.array([["soon"]], object),
        },
        {
            "label": np.array([int(score > 0.5)], np.int64),
            "p": np.array([[1 - score, score]], np.float32),
        },
    )

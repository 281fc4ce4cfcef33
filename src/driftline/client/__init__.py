"""A small client: asks a Model, keeps what a prediction is known by, and says later what was true.

>>> from driftline.client import Client
>>> with Client("http://loans", "loans") as client:  # doctest: +SKIP
...     answer = client.infer({"X": [[3200.0, 0.4]]})
...     client.label(answer.prediction, "bad")
"""

from driftline.client.client import Client
from driftline.client.errors import (
    AwayError,
    ClientError,
    MisuseError,
    NotKeptError,
    RefusedError,
)
from driftline.client.ledger import Ledger
from driftline.client.said import Label, Outcome, Reward
from driftline.client.values import Answer, Prediction

__all__ = [
    "Answer",
    "AwayError",
    "Client",
    "ClientError",
    "Label",
    "Ledger",
    "MisuseError",
    "NotKeptError",
    "Outcome",
    "Prediction",
    "RefusedError",
    "Reward",
]

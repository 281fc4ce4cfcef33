"""Tensors as the protocol has them, and what an answer says of itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from driftline.client.errors import MisuseError
from driftline_api.names import (
    DIGEST_HEADER,
    PREDICTION_ID_HEADER,
    RECEIPT_HEADER,
    REVISION_HEADER,
)

_HEADERS: Final = {
    "id": PREDICTION_ID_HEADER,
    "receipt": RECEIPT_HEADER,
    "revision": REVISION_HEADER,
    "digest": DIGEST_HEADER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a prediction is known by, to be kept until it is known what was true.

    Attributes:
        id: of the prediction.
        receipt: signed by the server, and enough by itself; empty where there is none.
        revision: that answered.
        digest: of its artifact.
    """

    id: str = ""
    receipt: str = ""
    revision: str = ""
    digest: str = ""

    def to_json(self) -> str:
        """Return it as text, to be stored beside what it was asked for."""
        return json.dumps({name: value for name, value in asdict(self).items() if value})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` has written; members that are not known are left out.

        Raises:
            MisuseError: it is not that.
        """
        try:
            return cls(**{n: v for n, v in json.loads(text).items() if n in _HEADERS})
        except (ValueError, AttributeError, TypeError) as error:
            raise MisuseError(f"this is no stored prediction: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a Model has answered.

    Attributes:
        outputs: by name, as nested lists in the shape of the tensor.
        prediction: what it is known by.
    """

    outputs: Mapping[str, Any]
    prediction: Prediction


def prediction_of(headers: Mapping[str, str]) -> Prediction:
    """Return what the headers of an answer say of it."""
    return Prediction(**{name: headers.get(header, "") for name, header in _HEADERS.items()})


def inputs_of(given: Mapping[str, Any], datatypes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return tensors as the protocol has them.

    Args:
        given: nested lists or arrays, by name.
        datatypes: of the model's inputs, by name.

    Raises:
        MisuseError: the model has no such input, or the rows are not of the same length.
    """
    for name in given:
        if name not in datatypes:
            raise MisuseError(f"the model has no input {name!r}; it has {', '.join(datatypes)}")
    return [_tensor(name, values, datatypes[name]) for name, values in given.items()]


def outputs_of(tensors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return outputs as nested lists, by name."""
    return {each["name"]: _nested(each["data"], each["shape"]) for each in tensors}


def _tensor(name: str, values: Any, datatype: str) -> dict[str, Any]:
    nested = values.tolist() if hasattr(values, "tolist") else values
    shape = _shape(nested)
    flat = _flat(name, nested, shape)
    return {"name": name, "datatype": datatype, "shape": shape, "data": flat}


def _is_row(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _shape(nested: Any) -> list[int]:
    shape = []
    while _is_row(nested):
        shape.append(len(nested))
        nested = nested[0] if len(nested) else None
    return shape


def _flat(name: str, nested: Any, shape: Sequence[int]) -> list[Any]:
    """Return elements in the order of rows.

    Raises:
        MisuseError: something is longer, shorter or deeper than the first of its kind.
    """
    level = [nested]
    for axis, length in enumerate(shape):
        if not all(_is_row(each) and len(each) == length for each in level):
            raise MisuseError(f"{name}: not everything along axis {axis} has length {length}")
        level = [each for row in level for each in row]
    if any(_is_row(each) for each in level):
        raise MisuseError(f"{name}: lists are nested more deeply in some places than in others")
    return level


def _nested(data: Any, shape: Sequence[int]) -> Any:
    """Return flat data in rows; data that are nested already are left."""
    if len(shape) < 2 or (data and _is_row(data[0])):
        return data
    for length in reversed(shape[1:]):
        count = len(data) // length if length else 0
        data = [data[at * length : (at + 1) * length] for at in range(count)]
    return data

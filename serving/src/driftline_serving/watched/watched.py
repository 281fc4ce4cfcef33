"""What there is to watch of a model: by its signature, and where that is silent by its tensors."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod
from typing import Final

from driftline_api.signature import Feature as SignedFeature
from driftline_api.signature import ModelSignature
from driftline_serving.server.tensors import ANY_LENGTH, Datatype, Signature, TensorSpec
from driftline_serving.watched.predictions import of_prediction
from driftline_serving.watched.readings import (
    Lengths,
    Levels,
    Numbers,
    Reading,
    VaryingNumbers,
    WideNumbers,
)
from driftline_stats.drift.rows import CATEGORICAL, FEATURE, NUMERIC, PREDICTION, Feature
from driftline_stats.drift.wide import WIDE, Wide

#: Features of a model without a signature; it may have that many, too.
MOST_FEATURES: Final = 1024
#: Columns of a tensor that is watched as a whole: 32 MiB are kept for the projections of one.
WIDEST: Final = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwatched:
    """Something of the model that is not watched, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is read of a model's inputs and outputs.

    Attributes:
        readings: of its tensors; inputs first.
        unwatched: what nobody looks at.
    """

    readings: tuple[Reading, ...] = ()
    unwatched: tuple[Unwatched, ...] = ()

    @property
    def features(self) -> tuple[Feature, ...]:
        """All that comes out, each with a name of its own."""
        return tuple(feature for each in self.readings for feature in each.features)

    def excluded(self, names: Collection[str]) -> frozenset[str]:
        """Return the features that some names exclude: their own, and those of their tensors."""
        return frozenset(
            feature.name
            for reading in self.readings
            for feature in reading.features
            if {feature.name, reading.tensor, feature.name.removesuffix(_LENGTH)} & set(names)
        )

    def without(self, names: Collection[str]) -> tuple[Feature, ...]:
        """Return the features that some names leave."""
        gone = self.excluded(names)
        return tuple(each for each in self.features if each.name not in gone)


def watched_of(signature: ModelSignature | None, tensors: Signature | None = None) -> Watched:
    """Return what is watched of a model.

    Inputs are read as the signature's features say. Without features a tensor of at most 256
    columns is read column by column (`x[3]`, and `x` if it has one), a wider one as
    `driftline_stats.drift.wide` sums it up, and one of any length by length, mean and missing.
    The same goes for outputs where the signature says nothing of a prediction.

    >>> x = TensorSpec(name="x", datatype=Datatype.FP32, shape=(ANY_LENGTH, 2))
    >>> image = TensorSpec(name="image", datatype=Datatype.UINT8, shape=(ANY_LENGTH, 28, 28))
    >>> found = watched_of(None, Signature(inputs=(x, image), outputs=()))
    >>> [feature.name for feature in found.features][:4], len(found.features)
    (['x[0]', 'x[1]', 'image.norm', 'image.mean'], 21)

    Args:
        signature: of the model, if it has one.
        tensors: its inputs and outputs; needed where the signature leaves out one of both.
    """
    features = signature.features if signature else ()
    prediction = signature.prediction if signature else None
    inputs, outputs = (tensors.inputs, tensors.outputs) if tensors else ((), ())
    found = [
        *(_of_features(features) if features else _of_tensors(inputs, FEATURE)),
        *(of_prediction(prediction) if prediction else _of_tensors(outputs, PREDICTION)),
    ]
    readings = [each for each in found if isinstance(each, Reading)]
    unwatched = [each for each in found if isinstance(each, Unwatched)]
    return Watched(readings=_named_apart(readings), unwatched=tuple(unwatched))


def _of_features(features: Sequence[SignedFeature]) -> Iterator[Reading]:
    """Yield a reading for each tensor and kind."""
    ordered = sorted(features, key=lambda each: (each.tensor, each.kind, each.column))
    for (tensor, kind), group in groupby(ordered, lambda each: (each.tensor, each.kind)):
        some = list(group)
        columns = tuple(each.column for each in some)
        if kind == "categorical":
            named = tuple(Feature(name=each.name, kind=CATEGORICAL) for each in some)
            yield Reading(tensor=tensor, features=named, read=Levels(columns=columns))
        elif kind == "text":
            named = tuple(Feature(name=each.name + _LENGTH) for each in some)
            yield Reading(tensor=tensor, features=named, read=Lengths(columns=columns))
        else:
            named = tuple(Feature(name=each.name) for each in some)
            yield Reading(tensor=tensor, features=named, read=Numbers(columns=columns))


_LENGTH: Final = ".length"


def _of_tensors(specs: Sequence[TensorSpec], role: str) -> Iterator[Reading | Unwatched]:
    left = MOST_FEATURES
    for spec in specs:
        found = _of_tensor(spec, role, left)
        left -= len(found.features) if isinstance(found, Reading) else 0
        yield found


def _of_tensor(spec: TensorSpec, role: str, left: int) -> Reading | Unwatched:
    columns = prod(spec.shape[1:])
    if ANY_LENGTH in spec.shape[1:]:
        columns = WIDEST + 1
        found = _varying(spec, role)
    elif columns > min(WIDE, left):
        found = _wide(spec, role, columns)
    else:
        found = _by_column(spec, role, columns)
    if not columns:
        return Unwatched(name=spec.name, why="it has no columns")
    if spec.datatype is Datatype.BYTES and columns > min(WIDE, left):
        return Unwatched(name=spec.name, why="it holds strings in too many columns")
    if columns > WIDEST and ANY_LENGTH not in spec.shape[1:]:
        return Unwatched(name=spec.name, why=f"it has {columns} columns, more than {WIDEST}")
    if len(found.features) > left:
        return Unwatched(name=spec.name, why=f"{MOST_FEATURES} features are watched already")
    return found


def _by_column(spec: TensorSpec, role: str, columns: int) -> Reading:
    """Read strings and truth values as levels; integers too where they are an output's classes."""
    kind = spec.datatype.dtype.kind
    is_level = kind in "Ob" or (role == PREDICTION and kind in "iu")
    names = [spec.name] if columns == 1 else [f"{spec.name}[{at}]" for at in range(columns)]
    all_columns = tuple(range(columns))
    return Reading(
        tensor=spec.name,
        of_output=role == PREDICTION,
        features=tuple(
            Feature(name=name, kind=CATEGORICAL if is_level else NUMERIC, role=role)
            for name in names
        ),
        read=Levels(columns=all_columns, flat=True)
        if is_level
        else Numbers(columns=all_columns, flat=True),
    )


def _wide(spec: TensorSpec, role: str, columns: int) -> Reading:
    wide = Wide(name=spec.name, columns=columns)
    return Reading(
        tensor=spec.name,
        of_output=role == PREDICTION,
        features=tuple(Feature(name=each.name, role=role) for each in wide.features),
        read=WideNumbers(wide=wide),
    )


def _varying(spec: TensorSpec, role: str) -> Reading:
    names = (f"{spec.name}{part}" for part in (_LENGTH, ".mean", ".missing"))
    return Reading(
        tensor=spec.name,
        of_output=role == PREDICTION,
        features=tuple(Feature(name=name, role=role) for name in names),
        read=VaryingNumbers(),
    )


def _named_apart(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Mark the later of two features of one name, such as an input's and an output's."""
    taken: set[str] = set()
    return tuple(_marked(each, taken) for each in readings)


def _marked(reading: Reading, taken: set[str]) -> Reading:
    features: list[Feature] = []
    for feature in reading.features:
        name = feature.name
        while name in taken:
            name += "'"
        taken.add(name)
        features.append(replace(feature, name=name))
    return replace(reading, features=tuple(features))

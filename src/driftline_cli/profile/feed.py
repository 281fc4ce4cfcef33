"""From a file to rows, through the code by which live traffic becomes rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from driftline_api.signature import Feature, ModelSignature
from driftline_cli.data.table import (
    Array,
    Batch,
    Kind,
    Progress,
    Table,
    absent,
    is_missing,
    silent,
)
from driftline_cli.errors import UserError
from driftline_cli.profile.layout import width_of
from driftline_serving.server.engine import Engine
from driftline_serving.server.tensors import ANY_LENGTH, Datatype, Signature, TensorSpec
from driftline_serving.watched.extract import Extractor
from driftline_stats.drift.rows import Rows

#: Rows that are in memory at a time.
ROWS: Final = 1024

Tensors = Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """Columns that are no inputs.

    Attributes:
        outputs: what a model answered, where it is not run; called as its outputs are.
        beside: what is given on as it stands, such as the label.
    """

    outputs: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


FURTHER: Final = Further()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows.

    Attributes:
        inputs: what the model gets.
        outputs: what it answers, or what the file says that it did.
        beside: further columns that were asked for.
    """

    inputs: Tensors
    outputs: Tensors
    beside: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """How one input is made of columns.

    Attributes:
        name: of the input.
        spec: what the model wants; None where there is no model.
        columns: of the file, by the input's column; an array of the file as it is has none.
    """

    name: str
    spec: TensorSpec | None
    columns: Mapping[int, str]
    kinds: Mapping[str, Kind]


class Feed:
    """Makes tensors of a file's columns, and has the model answer them.

    Args:
        table: the rows.
        signature: says which column is which input's.
        engine: the model, where predictions are wanted.
        columns: of the file, beside those that are inputs.

    Raises:
        UserError: the file lacks columns.
    """

    def __init__(
        self,
        table: Table,
        signature: ModelSignature | None,
        engine: Engine | None,
        columns: Further = FURTHER,
    ) -> None:
        absent(table, columns.beside)
        self._table = table
        self._beside = columns.beside
        self._engine = engine
        tensors = engine.signature if engine else None
        features = signature.features if signature else []
        self._inputs = _inputs(table, features, tensors)
        self._outputs = [] if engine else _outputs(table, signature, columns.outputs)
        self._wanted = {
            name: kind
            for each in (*self._inputs, *self._outputs)
            for name, kind in each.kinds.items()
        }
        if not self._wanted:
            raise UserError(f"{table.path} holds nothing that belongs to the model")
        held = {column.name: column.kind for column in table.columns}
        self._wanted = {name: held[name] for name in columns.beside} | self._wanted
        self._step = _step(tensors)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that there will be."""
        if self._engine:
            return self._engine.signature.output_names
        return tuple(each.name for each in self._outputs)

    def parts(self, progress: Progress = silent) -> Iterator[Part]:
        """Yield the rows in the order of the file.

        Raises:
            UserError: a value cannot be given to the model, or the model refuses it.
        """
        begin = 0
        for batch in self._table.batches(self._wanted, self._step, progress):
            try:
                inputs = {each.name: _tensor(each, batch) for each in self._inputs}
                beside = {name: batch[name] for name in self._beside}
                yield Part(inputs=inputs, outputs=self._answers(inputs, batch), beside=beside)
            except _RowError as error:
                raise UserError(
                    f"{self._table.path}, row {begin + error.row + 1}: {error}"
                ) from error
            begin += len(next(iter(batch.values())))

    def rows(self, extractor: Extractor, progress: Progress = silent) -> Iterator[Rows]:
        """Yield what is watched of them.

        Raises:
            UserError: as `parts`, or what comes is not of the shape that the signature says.
        """
        for part in self.parts(progress):
            found = extractor.of_tensors(part.inputs, part.outputs)
            for name, fault in found.faults:
                if fault != "not_a_number":
                    raise UserError(f"{name!r} cannot be read: {fault.replace('_', ' ')}")
            yield found.rows

    def _answers(self, inputs: Tensors, batch: Batch) -> Tensors:
        if self._engine is None:
            return {each.name: _answer(_tensor(each, batch)) for each in self._outputs}
        names = self._engine.signature.output_names
        return dict(zip(names, self._engine.run(inputs, names), strict=True))


class _RowError(Exception):
    """A value that the model cannot be given; the row is counted in the batch."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def _inputs(table: Table, features: Sequence[Feature], tensors: Signature | None) -> list[_Input]:
    specs = tensors.input_specs if tensors else {}
    by_tensor = groupby(sorted(features, key=lambda each: each.tensor), lambda each: each.tensor)
    found = {
        tensor: _of_features(table, list(some), specs.get(tensor)) for tensor, some in by_tensor
    }
    for spec in specs.values():
        if spec.name not in found:
            found[spec.name] = _whole(table, spec.name, spec)
        elif missing := _uncovered(found[spec.name], spec):
            raise UserError(
                f"the input {spec.name!r} has {width_of(spec)} columns, and the signature names no "
                f"feature for column {missing[0]}: the model cannot be run without; describe it, "
                f"or give the input as an array called {spec.name!r} in a .npz file"
            )
    return list(found.values())


def _of_features(table: Table, features: Sequence[Feature], spec: TensorSpec | None) -> _Input:
    """Return an input that is an array of the file, or else made of columns named as features."""
    name = features[0].tensor
    if any(column.name == name and column.shape for column in table.columns):
        return _whole(table, name, spec)
    absent(table, [each.name for each in features])
    held = {column.name: column.kind for column in table.columns}
    kinds = {each.name: _read_as(each, spec, held[each.name]) for each in features}
    if len(set(kinds.values())) > 1:
        raise UserError(
            f"the input {name!r} would hold numbers and text: one input holds one of both; name "
            "the model with --model, or leave out --tensor where each column is an input"
        )
    columns = {each.column: each.name for each in features}
    return _Input(name=name, spec=spec, columns=columns, kinds=kinds)


def _read_as(feature: Feature, spec: TensorSpec | None, held: Kind) -> Kind:
    if spec is not None:
        return Kind.TEXT if spec.datatype is Datatype.BYTES else Kind.NUMBERS
    if feature.kind == "numeric":
        return Kind.NUMBERS
    return Kind.NUMBERS if held is Kind.NUMBERS and feature.kind == "categorical" else Kind.TEXT


def _whole(table: Table, name: str, spec: TensorSpec | None) -> _Input:
    absent(table, [name])
    (column,) = (column for column in table.columns if column.name == name)
    kind = column.kind
    if spec is not None:
        kind = Kind.TEXT if spec.datatype is Datatype.BYTES else Kind.NUMBERS
    return _Input(name=name, spec=spec, columns={}, kinds={name: kind})


def _outputs(table: Table, signature: ModelSignature | None, names: Sequence[str]) -> list[_Input]:
    """Return the outputs that the file holds, as somebody says.

    A column that is called like an output need not be one: labels often are.
    """
    absent(table, names)
    prediction = signature.prediction if signature else None
    known = {prediction.tensor, prediction.score} if prediction else set()
    unknown = [name for name in names if name not in known]
    if prediction and unknown:
        raise UserError(f"--outputs {unknown[0]}: the signature names no output like that")
    return [_whole(table, name, None) for name in names]


def _uncovered(made: _Input, spec: TensorSpec) -> list[int]:
    """Return the columns of an input that nothing says the value of."""
    width = width_of(spec)
    if not made.columns or width is None:
        return []
    return sorted(set(range(width)) - set(made.columns))


def _step(tensors: Signature | None) -> int:
    """Return how many rows a model takes at once."""
    inputs = tensors.inputs if tensors else ()
    if odd := [spec for spec in inputs if not spec.shape or spec.shape[0] not in (1, ANY_LENGTH)]:
        raise UserError(
            f"the input {odd[0].name!r} has the shape {list(odd[0].shape)}, whose first axis is no "
            "number of rows: export the model with a first axis of any length"
        )
    return 1 if any(spec.shape[0] == 1 for spec in inputs) else ROWS


def _tensor(made: _Input, batch: Batch) -> Array:
    if not made.columns:
        (name,) = made.kinds
        return _as_wanted(made, name, batch[name])
    columns = {at: _as_wanted(made, name, batch[name]) for at, name in made.columns.items()}
    first = next(iter(columns.values()))
    if made.spec is not None and len(made.spec.shape) == 1:
        return first
    whole = np.zeros((len(first), max(columns) + 1), first.dtype)
    for at, column in columns.items():
        whole[:, at] = column
    return whole


def _answer(values: Array) -> Array:
    """Return what a file says that a model answered; whole numbers may be classes.

    >>> _answer(np.array([1.0, 0.0])).dtype, _answer(np.array([1.0, 0.5])).dtype
    (dtype('int64'), dtype('float64'))
    """
    if values.dtype.kind != "f" or not np.array_equal(values, np.rint(values)):
        return values
    return values.astype(np.int64)


def _as_wanted(made: _Input, name: str, values: Array) -> Array:
    """Return values in the datatype of the input, if they are such.

    Raises:
        _RowError: the model cannot be given one.
    """
    spec = made.spec
    if spec is None or values.dtype == spec.datatype.dtype or values.dtype.kind == "O":
        return values
    if not spec.datatype.is_float:
        _check_whole(name, values, spec)
    with np.errstate(over="ignore"):
        return values.astype(spec.datatype.dtype)


def _check_whole(name: str, values: Array, spec: TensorSpec) -> None:
    shown = f"{spec.name!r} ({spec.datatype.value})"
    if spec.datatype is Datatype.BOOL:
        low, high = 0.0, 1.0
    else:
        limits = np.iinfo(spec.datatype.dtype)
        low, high = float(limits.min), float(limits.max)
    for bad, what in (
        (is_missing(values), "has no value"),
        ((values != np.floor(values)) | (values < low) | (values > high), "is no such number"),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))[0])
            raise _RowError(
                row,
                f"{name} {what}, and the input {shown} takes whole numbers only: write what "
                "your service sends for it",
            )

"""Which column of a file is which column of which input."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from driftline_api.signature import Feature
from driftline_api.signature import Kind as FeatureKind
from driftline_cli.data.table import Column, Kind, Table, absent
from driftline_cli.errors import UserError
from driftline_cli.profile.model import named
from driftline_serving.server.tensors import ANY_LENGTH, Datatype, Signature, TensorSpec

_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person said about the columns.

    Attributes:
        features: the columns that are features, in the order of the input; all by default.
        ignored: columns that are none, such as the label.
        categorical: features that are categories, whatever they are written as.
        text: features that are free text.
        tensor: the one input that holds all features, where there is no model that says so.
    """

    features: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    tensor: str | None = None


def features_of(table: Table, wishes: Wishes, tensors: Signature | None) -> list[Feature]:
    """Return the features of a model that was given no signature.

    Inputs that the file holds as they are, arrays of several columns, have none: they are read
    column by column.

    Args:
        table: whose columns they are.
        wishes: what a person said.
        tensors: the model's inputs, where there is a model.

    Raises:
        UserError: it is not clear, or the file has not what the model needs.
    """
    for names in (wishes.features, wishes.ignored, wishes.categorical, wishes.text):
        absent(table, names)
    chosen = _chosen(table, wishes, {spec.name for spec in tensors.inputs} if tensors else set())
    if tensors is None:
        return _without_model(chosen, wishes)
    has = {column.name for column in table.columns}
    if inputs := [spec for spec in tensors.inputs if not _is_whole(spec, table)]:
        if all(_place_names(spec)[0] in has for spec in inputs):
            return _by_name(table, inputs, wishes)
        if len(inputs) == 1:
            return _by_order(table, chosen, inputs[0], wishes)
        lacking = [spec.name for spec in inputs if _place_names(spec)[0] not in has]
        raise UserError(
            f"{table.path}: there is no column for the input {', '.join(map(repr, lacking))} of "
            f"the model: name columns as inputs, with [3] behind the name for the fourth of an "
            "input's columns, or say which is which in a driftline.json and give it as --signature"
        )
    return []


def _chosen(table: Table, wishes: Wishes, inputs: Collection[str]) -> list[Column]:
    """Return the columns of one value a row that are features, in the order of the input."""
    by_name = {column.name: column for column in table.columns}
    if wishes.features:
        return [by_name[name] for name in wishes.features]
    wanted = {*wishes.categorical, *wishes.text, *inputs}
    return [
        column
        for column in table.columns
        if column.name not in wishes.ignored
        and not column.shape
        and (column.kind is not Kind.OTHER or column.name in wanted)
    ]


def _without_model(chosen: Sequence[Column], wishes: Wishes) -> list[Feature]:
    """Take each column for an input of its own, or all for columns of one."""
    if not chosen:
        raise UserError("there is no column that could be a feature")
    return [
        named(
            name=column.name,
            tensor=wishes.tensor or column.name,
            column=at if wishes.tensor else 0,
            kind=_kind(column, wishes, None),
        )
        for at, column in enumerate(chosen)
    ]


def _is_whole(spec: TensorSpec, table: Table) -> bool:
    """Whether the file holds an input as it is."""
    return any(column.name == spec.name and column.shape for column in table.columns)


def _place_names(spec: TensorSpec) -> list[str]:
    """Return what the columns of an input are called in a file; at least one."""
    width = width_of(spec)
    return [spec.name] if width in (1, None) else [f"{spec.name}[{at}]" for at in range(width)]


def _by_name(table: Table, inputs: Sequence[TensorSpec], wishes: Wishes) -> list[Feature]:
    by_name = {column.name: column for column in table.columns}
    absent(table, [name for spec in inputs for name in _place_names(spec)])
    return [
        named(
            name=name,
            tensor=spec.name,
            column=at,
            kind=_kind(by_name[name], wishes, spec.datatype),
        )
        for spec in inputs
        for at, name in enumerate(_place_names(spec))
    ]


def _by_order(
    table: Table, chosen: Sequence[Column], spec: TensorSpec, wishes: Wishes
) -> list[Feature]:
    """Take the columns of a file for those of the one input, in their order."""
    width = width_of(spec)
    if len(spec.shape) > 2:
        raise UserError(
            f"the input {spec.name!r} has the shape {list(spec.shape)}: give it in an archive of "
            f"numpy arrays (.npz), as an array called {spec.name!r}"
        )
    if width is not None and width != len(chosen):
        names = [column.name for column in chosen]
        more = ", …" if len(names) > _MOST_NAMED else ""
        raise UserError(
            f"{table.path}: the input {spec.name!r} has {width} columns, and the file {len(names)} "
            f"that could be features ({', '.join(names[:_MOST_NAMED])}{more}): leave out the label "
            "and what else is none with --ignore, or list them in order with --features"
        )
    return [
        named(
            name=column.name,
            tensor=spec.name,
            column=at,
            kind=_kind(column, wishes, spec.datatype),
        )
        for at, column in enumerate(chosen)
    ]


def _kind(column: Column, wishes: Wishes, datatype: Datatype | None) -> FeatureKind:
    is_text = column.kind is Kind.TEXT if datatype is None else datatype is Datatype.BYTES
    if column.name in wishes.text:
        if not is_text:
            raise UserError(f"--text {column.name}: it is no text for the model, but numbers")
        return "text"
    return "categorical" if is_text or column.name in wishes.categorical else "numeric"


def width_of(spec: TensorSpec) -> int | None:
    """Return the number of columns of an input; None where any will do.

    >>> width_of(TensorSpec(name="x", datatype=Datatype.FP32, shape=(ANY_LENGTH, 30)))
    30
    """
    columns = spec.shape[1:]
    return None if ANY_LENGTH in columns else prod(columns)

"""The bodies of the protocol read a second time: naively, one value after the other.

It shares no code with the codec that it judges, and says no more than whether a body is to be taken
and what is in it.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec

#: Of a tensor, axes of length zero counted as one.
MOST_ELEMENTS = 2**40
SPECIALS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


T = TypeVar("T", str, int, bool, list[Any], dict[str, Any])


class Refused(Exception):  # noqa: N818 - it is an outcome, and no error
    """The body is not one that the model can be asked."""


def read(content: bytes, json_length: int | None, signature: Signature) -> dict[str, Array]:
    """Return the inputs that a body holds.

    Raises:
        Refused: it is no request for this model.
    """
    length = len(content) if json_length is None else json_length
    need(length <= len(content))
    request = member_of(parse(content[:length]), dict)
    member(request, "id", str)
    raw = content[length:]
    specs = {spec.name: spec for spec in signature.inputs}
    arrays: dict[str, Array] = {}
    for item in required(request, "inputs", list):
        given = member_of(item, dict)
        name = required(given, "name", str)
        need(name in specs and name not in arrays)
        arrays[name], raw = read_input(given, specs[name], raw)
    need(set(arrays) == set(specs) and not raw)
    check_outputs(request, {spec.name for spec in signature.outputs})
    return arrays


def parse(header: bytes) -> object:
    """Read JSON, in which NaN and the infinities may stand bare."""
    try:
        parsed: object = json.loads(header.decode(), parse_float=finite)
        json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refused from error
    return parsed


def finite(text: str) -> float:
    """Read a fraction; one that no double holds is none."""
    value = float(text)
    need(math.isfinite(value))
    return value


def read_input(given: Mapping[str, Any], spec: TensorSpec, raw: bytes) -> tuple[Array, bytes]:
    """Return an input, and the bytes that are left for those after it."""
    parameters = member(given, "parameters", dict) or {}
    size = member(parameters, "binary_data_size", int)
    need(parameters.get("shared_memory_region") is None)
    need(required(given, "datatype", str) == spec.datatype.value)
    shape = required(given, "shape", list)
    need(all(type(axis) is int and axis >= 0 for axis in shape))
    need(math.prod(max(axis, 1) for axis in shape) <= MOST_ELEMENTS)
    need(len(shape) == len(spec.shape))
    need(all(wanted in {-1, axis} for wanted, axis in zip(spec.shape, shape, strict=True)))
    if size is None:
        values = flatten(required(given, "data", list), shape)
        return as_array([value_of(spec.datatype, v) for v in values], spec.datatype, shape), raw
    need(0 <= size <= len(raw))
    values = unpack(spec.datatype, raw[:size])
    return as_array(values, spec.datatype, shape), raw[size:]


def flatten(data: list[Any], shape: list[int]) -> list[Any]:
    """Return the values of flat data, or of data nested as deep as the shape has axes."""
    if len(shape) > 1 and data and type(data[0]) is list:
        return list(unnest(data, shape))
    return data


def unnest(data: object, shape: list[int]) -> Iterator[object]:
    """Yield the values of nested data, in the order in which they stand."""
    if not shape:
        yield data
        return
    items = member_of(data, list)
    need(len(items) == shape[0])
    for item in items:
        yield from unnest(item, shape[1:])


def value_of(datatype: Datatype, value: object) -> object:
    """Return one value of JSON as numpy takes it."""
    if datatype is Datatype.BYTES:
        return member_of(value, str)
    if datatype is Datatype.BOOL:
        return member_of(value, bool)
    if not datatype.is_float:
        need(type(value) is int)
        return value
    if isinstance(value, str):
        need(value in SPECIALS)
        return SPECIALS[value]
    need(type(value) in {int, float})
    return value


def unpack(datatype: Datatype, raw: bytes) -> list[Any]:
    """Return the values that bytes hold."""
    if datatype is Datatype.BYTES:
        return list(strings(raw))
    size = datatype.dtype.itemsize
    need(len(raw) % size == 0)
    if datatype is Datatype.BOOL:
        need(set(raw) <= {0, 1})
    found: list[Any] = np.frombuffer(raw, datatype.dtype).tolist()
    return found


def strings(raw: bytes) -> Iterator[str]:
    """Yield strings, each of which has its length before it."""
    while raw:
        need(len(raw) >= 4)
        (length,) = struct.unpack("<I", raw[:4])
        need(len(raw) >= 4 + length)
        try:
            yield raw[4 : 4 + length].decode()
        except UnicodeDecodeError as error:
            raise Refused from error
        raw = raw[4 + length :]


def as_array(values: list[Any], datatype: Datatype, shape: list[int]) -> Array:
    """Return an array of values, each of which must be one of the datatype's."""
    need(len(values) == math.prod(shape))
    if datatype.dtype.kind in "iu":
        limits = np.iinfo(datatype.dtype)
        need(all(limits.min <= value <= limits.max for value in values))
    if datatype.is_float:
        need(all(fits(value, datatype) for value in values))
        values = [float(value) for value in values]
    found = np.empty(len(values), datatype.dtype)
    for index, value in enumerate(values):
        found[index] = value
    return found.reshape(shape)


def fits(value: float, datatype: Datatype) -> bool:
    """Whether a number that is finite stays so."""
    try:
        number = float(value)
    except OverflowError:
        return False
    with np.errstate(over="ignore"):
        narrow = np.float64(number).astype(datatype.dtype)
    return not math.isfinite(number) or bool(np.isfinite(narrow))


def check_outputs(request: Mapping[str, Any], known: set[str]) -> None:
    """Check which outputs are asked for, and how."""
    member(member(request, "parameters", dict) or {}, "binary_data_output", bool)
    names: list[str] = []
    for item in member(request, "outputs", list) or []:
        output = member_of(item, dict)
        names.append(required(output, "name", str))
        parameters = member(output, "parameters", dict) or {}
        member(parameters, "binary_data", bool)
        for unsupported in ("shared_memory_region", "classification"):
            need(parameters.get(unsupported) is None)
    need(len(set(names)) == len(names) and set(names) <= known)


def required(holder: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return a member that must be there."""
    return member_of(holder.get(name), kind)


def member(holder: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a member, None where it is not there or null."""
    found = holder.get(name)
    return None if found is None else member_of(found, kind)


def member_of(value: object, kind: type[T]) -> T:
    """Return a value, which must be of that kind and no other."""
    need(type(value) is kind)
    return value  # type: ignore[return-value]  # mypy does not see through `need`


def need(true: bool) -> None:
    """Refuse what is not as it must be.

    Raises:
        Refused: it is not.
    """
    if not true:
        raise Refused

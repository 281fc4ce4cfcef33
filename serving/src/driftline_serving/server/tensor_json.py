"""One tensor's `data` in JSON, to numpy and back.

NaN and the infinities are values like others. JSON has no numbers for them, so we write them as
the strings "NaN", "Infinity" and "-Infinity", as the JSON form of protocol buffers does: the body
stays valid JSON, and clients that build an array with numpy read them unchanged. We read these
strings, and also the bare tokens that Python's own `json` writes. `null` is refused: it would turn
a value that a client failed to encode into a missing one.
"""

from collections.abc import Sequence
from itertools import chain
from math import isnan, prod

import numpy as np

from driftline_serving.errors import RequestError
from driftline_serving.server.request import out_of_range
from driftline_serving.server.tensors import Array, Datatype, TensorSpec

_SPECIALS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def to_array(spec: TensorSpec, shape: tuple[int, ...], data: object) -> Array:
    """Build the array that `data`, flat or nested, stands for.

    Raises:
        RequestError: the number of values, their nesting, types or ranges are not as the shape and
            the datatype say.
    """
    flat = _flatten(spec.name, shape, data)
    if spec.datatype.is_float:
        values = _floats(spec, flat)
    elif spec.datatype is Datatype.BYTES:
        values = _strings(spec, flat)
    else:
        values = _exact(spec, flat)
    return values.reshape(shape)


def finite(array: Array) -> object:
    """What stands for the array in JSON, flat, if no value is NaN or infinite."""
    return array.ravel().tolist() if array.dtype.hasobject else array.ravel()


def from_array(array: Array) -> object:
    """What stands for the array in JSON, flat."""
    if array.dtype.kind == "f":
        return [_spell(value) for value in array.ravel().tolist()]
    return finite(array)


def _spell(value: float) -> float | str:
    if isnan(value):
        return "NaN"
    if value == float("inf"):
        return "Infinity"
    return "-Infinity" if value == float("-inf") else value


def _flatten(name: str, shape: tuple[int, ...], data: object) -> list[object]:
    if not isinstance(data, list):
        raise RequestError(f"input {name!r}: data must be an array, got {_kind(data)}")
    if len(shape) > 1 and data and isinstance(data[0], list):
        return _unnest(name, shape, data)
    if len(data) != prod(shape):
        raise RequestError(
            f"input {name!r}: shape {list(shape)} asks for {prod(shape)} values, data holds "
            f"{len(data)}"
        )
    return data


def _unnest(name: str, shape: tuple[int, ...], data: list[object]) -> list[object]:
    level: list[object] = [data]
    for axis, length in enumerate(shape):
        for item in level:
            if not isinstance(item, list):
                raise RequestError(
                    f"input {name!r}: data is nested {axis} deep in one place, where shape "
                    f"{list(shape)} asks for {len(shape)}"
                )
            if len(item) != length:
                raise RequestError(
                    f"input {name!r}: an array in data holds {len(item)} items on axis {axis}, "
                    f"where shape {list(shape)} asks for {length}"
                )
        level = list(chain.from_iterable(level))  # type: ignore[arg-type]  # all lists, see above
    return level


def _floats(spec: TensorSpec, flat: Sequence[object]) -> Array:
    types = set(map(type, flat))
    if str in types:
        flat = [_special(spec, item) if isinstance(item, str) else item for item in flat]
        types = set(map(type, flat))
    _require(spec, types, {int, float}, "numbers")
    try:
        with np.errstate(over="raise"):
            return np.array(flat, dtype=np.float64).astype(spec.datatype.dtype)
    except (OverflowError, FloatingPointError) as error:
        raise out_of_range(spec) from error


def _special(spec: TensorSpec, item: str) -> float:
    found = _SPECIALS.get(item)
    if found is None:
        raise RequestError(
            f"input {spec.name!r}: expected numbers for {spec.datatype}, got the string "
            f'"{item[:40]}" (only "NaN", "Infinity" and "-Infinity" are)'
        )
    return found


def _strings(spec: TensorSpec, flat: Sequence[object]) -> Array:
    _require(spec, set(map(type, flat)), {str}, "strings")
    try:
        "".join(flat).encode()  # type: ignore[arg-type]  # all strings, see above
    except UnicodeEncodeError as error:
        raise RequestError(f"input {spec.name!r}: a string is not valid Unicode") from error
    return np.array(flat, dtype=object)


def _exact(spec: TensorSpec, flat: Sequence[object]) -> Array:
    types = set(map(type, flat))
    if spec.datatype is Datatype.BOOL:
        _require(spec, types, {bool}, "true or false")
    else:
        _require(spec, types, {int}, "integers")
    try:
        return np.array(flat, dtype=spec.datatype.dtype)
    except OverflowError as error:
        raise out_of_range(spec) from error


def _require(spec: TensorSpec, found: set[type], allowed: set[type], words: str) -> None:
    if found <= allowed:
        return
    others = ", ".join(sorted(_NAMES.get(kind, kind.__name__) for kind in found - allowed))
    raise RequestError(
        f"input {spec.name!r}: expected {words} for {spec.datatype}, data also holds {others}"
    )


def _kind(value: object) -> str:
    return _NAMES.get(type(value), type(value).__name__)


_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "integers",
    float: "fractions",
    str: "strings",
    list: "arrays",
    dict: "objects",
}

"""Frozen values that can be stored: JSON both ways, exact, with a kind and a version.

A class derives from `State`, is a frozen dataclass, and names its KIND. Fields may be bool, int,
float, str, None, tuples and mappings with keys of text, arrays of int64 or float64, and other
states. Floats come back bit for bit; those that JSON has no number for are written as "nan", "inf"
and "-inf".
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from driftline_stats.errors import StateError

_NOT_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class State:
    """The base of all that is stored; see the module.

    >>> @dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
    ... class Seen(State):
    ...     KIND = "seen"
    ...     most: float
    >>> text = Seen(most=-math.inf).to_json()
    >>> text
    '{"kind":"seen","version":1,"most":"-inf"}'
    >>> Seen.from_json(text) == Seen(most=-math.inf)
    True
    >>> Seen.from_json('{"kind":"seen","version":2,"most":1}')
    Traceback (most recent call last):
    driftline_stats.errors.StateError: seen: version 2 is not known, only 1
    """

    __slots__ = ()
    KIND: ClassVar[str]
    VERSION: ClassVar[int] = 1

    def to_json(self) -> str:
        """Return the state as text."""
        return json.dumps(_written(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` has written.

        Raises:
            StateError: it is not that, of another kind, or of a version that is not known.
        """
        try:
            parsed = json.loads(text)
        except ValueError as error:
            raise StateError(f"this is no JSON: {error}") from error
        state: Self = _state(cls, parsed, cls.KIND)
        return state

    def __eq__(self, other: object) -> bool:
        """Whether all fields are the same to the bit, arrays included."""
        if type(other) is not type(self):
            return NotImplemented
        return self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


def _written(value: Any) -> Any:
    if isinstance(value, State):
        fields = {each.name: _written(getattr(value, each.name)) for each in _fields(type(value))}
        return {"kind": value.KIND, "version": value.VERSION, **fields}
    if isinstance(value, np.ndarray):
        return _written(value.tolist())
    if isinstance(value, Mapping):
        return {key: _written(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_written(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _fields(cls: type[State]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)  # type: ignore[arg-type]  # all but the base are dataclasses


def _state(cls: type[Any], parsed: Any, where: str) -> Any:
    if not isinstance(parsed, dict):
        raise StateError(f"{where}: expected an object, found {type(parsed).__name__}")
    kind, version = parsed.get("kind"), parsed.get("version")
    if kind != cls.KIND:
        raise StateError(f"{where}: expected kind {cls.KIND!r}, found {kind!r}")
    if version != cls.VERSION:
        raise StateError(f"{where}: version {version!r} is not known, only {cls.VERSION}")
    names = [each.name for each in _fields(cls)]
    if missing := [name for name in names if name not in parsed]:
        raise StateError(f"{where}: {', '.join(missing)} missing")
    if unknown := sorted(parsed.keys() - {*names, "kind", "version"}):
        raise StateError(f"{where}: {', '.join(unknown)} not known")
    hints = get_type_hints(cls)
    return cls(**{name: _read(hints[name], parsed[name], f"{where}.{name}") for name in names})


def _read(hint: Any, value: Any, where: str) -> Any:
    """Read a value of a type.

    Raises:
        StateError: it is not of that type.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _read_either(arguments, value, where)
    if isinstance(hint, type) and issubclass(hint, State):
        return _state(hint, value, where)
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise StateError(f"{where}: expected an object, found {type(value).__name__}")
        return {key: _read(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    if origin is np.ndarray:
        return _read_array(np.dtype(get_args(arguments[1])[0]), value, where)
    return _read_scalar(hint, value, where)


def _read_either(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and NoneType in options:
        return None
    states = [each for each in options if isinstance(each, type) and issubclass(each, State)]
    if isinstance(value, dict) and states:
        found = [each for each in states if value.get("kind") == each.KIND]
        return _read((found or states)[0], value, where)
    errors = []
    for option in options:
        if option is not NoneType:
            try:
                return _read(option, value, where)
            except StateError as error:
                errors.append(str(error))
    raise StateError("; ".join(errors))


def _read_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise StateError(f"{where}: expected a list, found {type(value).__name__}")
    hints = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
    if len(hints) != len(value):
        raise StateError(f"{where}: expected {len(hints)} elements, found {len(value)}")
    return tuple(
        _read(hint, each, f"{where}[{at}]")
        for at, (hint, each) in enumerate(zip(hints, value, strict=True))
    )


def _read_array(dtype: "np.dtype[Any]", value: Any, where: str) -> "np.ndarray[Any, Any]":
    try:
        found = np.array(value)
        if found.dtype.kind == "U" or (
            dtype.kind == "i" and found.dtype.kind == "f" and found.size
        ):
            found = np.array(value, object)
        array = found.astype(dtype)
        if dtype.kind == "i" and not np.array_equal(array, found):
            raise StateError(f"{where}: not all are integers")
    except (ValueError, TypeError, OverflowError) as error:
        raise StateError(f"{where}: expected numbers: {error}") from error
    array.setflags(write=False)
    return array


def _read_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float:
        if isinstance(value, str) and value in _NOT_NUMBERS:
            return _NOT_NUMBERS[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif type(value) is hint or hint is Any:
        return value
    name = getattr(hint, "__name__", str(hint))
    raise StateError(f"{where}: expected {name}, found {str(value)[:40]!r}")

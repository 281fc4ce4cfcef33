"""Typed access to parsed JSON, with errors that say where and what was expected."""

from typing import Any, TypeVar

from driftline_serving.errors import RequestError

T = TypeVar("T", str, int, bool, list[Any], dict[str, Any])

_WORDS: dict[type, str] = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    list: "an array",
    dict: "an object",
}


class Fields:
    """The members of one JSON object.

    Args:
        value: What the parser gave; must be an object.
        where: How messages name it.

    Raises:
        RequestError: from here and from every method, when something is missing or not of the
            type asked for.
    """

    __slots__ = ("_members", "where")

    def __init__(self, value: object, where: str) -> None:
        self._members = _typed(value, dict, where)
        self.where = where

    def named(self, where: str) -> "Fields":
        """The same, under a name that says more."""
        return Fields(self._members, where)

    def has(self, name: str) -> bool:
        """Whether the member is there; some clients write null for what they leave out."""
        return self._members.get(name) is not None

    def optional(self, name: str, kind: type[T]) -> T | None:
        """The member, or None where it is not there."""
        found = self._members.get(name)
        return None if found is None else _typed(found, kind, f"{self.where}: {name}")

    def required(self, name: str, kind: type[T]) -> T:
        """The member."""
        found = self.optional(name, kind)
        if found is None:
            raise RequestError(f"{self.where}: {name} is missing")
        return found

    def objects(self, name: str) -> list["Fields"]:
        """The member, an array of objects."""
        items = self.required(name, list)
        return [Fields(item, f"{name}[{index}]") for index, item in enumerate(items)]

    def integers(self, name: str) -> tuple[int, ...]:
        """The member, an array of integers from 0 up."""
        items = self.required(name, list)
        if not all(type(item) is int and item >= 0 for item in items):
            raise RequestError(f"{self.where}: {name} must be an array of integers from 0 up")
        return tuple(items)

    def has_parameter(self, name: str) -> bool:
        """Whether that one of the `parameters` is there."""
        return (self.optional("parameters", dict) or {}).get(name) is not None

    def parameter(self, name: str, kind: type[T]) -> T | None:
        """One of the `parameters`, or None where it is not there."""
        found = (self.optional("parameters", dict) or {}).get(name)
        return None if found is None else _typed(found, kind, f"{self.where}: parameters.{name}")


def _typed(value: object, kind: type[T], where: str) -> T:
    if type(value) is not kind:
        raise RequestError(f"{where} must be {_WORDS[kind]}")
    return value

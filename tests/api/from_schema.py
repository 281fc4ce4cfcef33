"""Objects drawn from a structural schema: mostly what it allows, sometimes a little beyond."""

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

PRESERVE = "x-kubernetes-preserve-unknown-fields"

#: Values for what CEL rules judge, by the name of the field.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "uri": ("s3://bucket/model.onnx", "pvc://claim/dir/", "https://host/m.onnx", "nonsense"),
    "digest": ("sha256:" + "0f" * 32, "sha256:0"),
    "image": ("server:1", "registry.example.com/a/b@sha256:" + "0f" * 32),
    "serviceAccountName": ("reader", "a.b"),
    "priorityClassName": ("high",),
    "lastTransitionTime": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456+02:00", "soon"),
    "targetSince": ("2026-01-01T00:00:00Z",),
    "since": ("2026-01-01T00:00:00Z",),
    "updated": ("2026-01-01T00:00:00Z",),
}
_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_NAMES = st.sampled_from(["a", "fraud-1", "server", "fetcher", "cpu", "memory", "team"])
_AMOUNTS = st.sampled_from([0, 1, 3, 0.5, 1.0, "500m", "1Gi", "1e3", "-1", "lots", True])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2),
    max_leaves=4,
)


def drawn_from(schema: Mapping[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """Return a strategy for values of a structural schema.

    Args:
        schema: the schema.
        name: of the field that has it, which picks examples.
    """
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "x-kubernetes-int-or-string" in schema:
        return _AMOUNTS
    return _BY_TYPE[schema["type"]](schema, name)


def _object(schema: Mapping[str, Any], _name: str) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        values = drawn_from(schema["additionalProperties"])
        return st.dictionaries(_NAMES, _seldom_null(values), max_size=3)
    if "properties" not in schema:
        return st.dictionaries(_NAMES, _ANYTHING, max_size=3)
    fields = {
        name: _seldom_null(drawn_from(inner, name)) for name, inner in schema["properties"].items()
    }
    required = {name: drawn_from(schema["properties"][name], name) for name in _required(schema)}
    optional = {name: value for name, value in fields.items() if name not in required}
    known = st.fixed_dictionaries(required, optional=optional)
    if PRESERVE not in schema:
        return known
    return st.builds(lambda more, base: {**more, **base}, st.dictionaries(_TEXT, _ANYTHING), known)


def _required(schema: Mapping[str, Any]) -> list[str]:
    return list(schema.get("required", ()))


def _seldom_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 15).flatmap(lambda one: st.none() if one == 15 else values)


def _array(schema: Mapping[str, Any], name: str) -> st.SearchStrategy[Any]:
    return st.lists(drawn_from(schema["items"], name), max_size=2)


def _string(schema: Mapping[str, Any], name: str) -> st.SearchStrategy[Any]:
    if name in EXAMPLES:
        return st.sampled_from(EXAMPLES[name])
    return _NAMES | _TEXT | st.just("x" * schema["maxLength"])


def _integer(schema: Mapping[str, Any], _name: str) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum", -(2**31)), schema.get("maximum", 2**53)
    return st.integers(low, high) | st.sampled_from([low, high, float(low), low - 1])


def _number(schema: Mapping[str, Any], _name: str) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum", -1e9), schema.get("maximum", 1e9)
    return st.floats(low, high) | st.sampled_from([low, high, 1, low - 1])


def _boolean(_schema: Mapping[str, Any], _name: str) -> st.SearchStrategy[Any]:
    return st.booleans()


_BY_TYPE: dict[str, Callable[[Mapping[str, Any], str], st.SearchStrategy[Any]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}

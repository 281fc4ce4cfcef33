"""From the JSON Schema that pydantic writes to the structural schema that Kubernetes takes.

A structural schema has no references and no alternatives, names the type of every node, and
drops what is null. See "Specifying a structural schema" in the documentation of custom
resources.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

#: Said by the Python type, of no use to a reader of YAML.
_NOISE = frozenset({"title", "$defs"})
#: Defaults that say nothing.
_BLANK: tuple[Any, ...] = (None, {}, [], "")


def structural(model: type[BaseModel], *, defaults: bool = True) -> dict[str, Any]:
    """Return the structural schema of a type.

    Args:
        model: the type.
        defaults: whether the API server is to fill in defaults. It must not in a status, whose
            absent parts say that nothing has been observed.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    inlined = _inline(schema, schema.get("$defs", {}))
    return inlined if defaults else _without_defaults(inlined)


def _inline(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return `node` with references resolved and optional values made plain."""
    merged = _alternatives_resolved(_reference_resolved(node, definitions))
    if "$ref" in merged:
        return _inline(merged, definitions)
    for bound in ("minimum", "maximum"):
        merged |= _exclusive(bound, merged)
    if "const" in merged:
        merged["enum"] = [merged.pop("const")]
    if merged.get("default", ...) in _BLANK:
        del merged["default"]
    return {
        key: _children(key, merged[key], definitions)
        for key in sorted(merged, key=_place)
        if key not in _NOISE
    }


def _exclusive(bound: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return an exclusive bound as Kubernetes has it, which is JSON Schema's of 2013."""
    name = f"exclusive{bound.capitalize()}"
    return {bound: node[name], name: True} if name in node else {}


def _place(keyword: str) -> tuple[int, str]:
    """Order keywords as a person reads them: what it is, then its bounds, then what is in it."""
    last = {"required": 1, "x-kubernetes-validations": 2, "properties": 3, "items": 3}
    first = ("type", "description", "format", "default", "enum")
    return last.get(keyword, 0), str(first.index(keyword)) if keyword in first else keyword


def _reference_resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a reference by what it names; what stands beside it wins."""
    if "$ref" not in node:
        return dict(node)
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {**definitions[node["$ref"].rpartition("/")[2]], **beside}


def _alternatives_resolved(node: Mapping[str, Any]) -> dict[str, Any]:
    """Replace `anyOf: [X, null]` by X: to Kubernetes a null is the same as an absent field."""
    if "anyOf" not in node:
        return dict(node)
    (only,) = (option for option in node["anyOf"] if option.get("type") != "null")
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    return dict(only) | beside


def _children(key: str, value: Any, definitions: Mapping[str, Any]) -> Any:
    """Return the value of one keyword with the schemas in it made structural."""
    if key == "properties":
        return {name: _inline(schema, definitions) for name, schema in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, Mapping):
        return _inline(value, definitions)
    if key == "default":
        return _without_blanks(value)
    return " ".join(value.split()) if key == "description" else value


def _without_blanks(value: Any) -> Any:
    """Return a default without what it leaves open, however deep."""
    if isinstance(value, Mapping):
        known = {name: each for name, each in value.items() if each not in _BLANK}
        return {name: _without_blanks(each) for name, each in known.items()}
    return value


def _without_defaults(node: Any) -> Any:
    """Return a schema with no `default` keyword in it.

    A property of that name would be lost too; no type of ours has one.
    """
    if isinstance(node, Mapping):
        return {key: _without_defaults(value) for key, value in node.items() if key != "default"}
    return [_without_defaults(item) for item in node] if isinstance(node, list) else node

"""The part of an object that one field manager applied, found from the object's own record."""

import json
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]


def applied_by(manager: str, live: Mapping[str, Any]) -> Object:
    """Return what `manager` last applied to be `live`: the manifest without defaults and status.

    Assumes that it applied the object as a whole, in one apiVersion.

    Raises:
        KeyError: it applied nothing.
    """
    meta = live["metadata"]
    for entry in meta["managedFields"]:
        if entry["manager"] == manager and entry["operation"] == "Apply":
            part = _part(live, entry["fieldsV1"])
            identity = {"name": meta["name"], "namespace": meta["namespace"]}
            named = {"apiVersion": entry["apiVersion"], "kind": live["kind"]}
            return {**part, **named, "metadata": {**part.get("metadata", {}), **identity}}
    raise KeyError(manager)


def _part(value: Any, fields: Mapping[str, Any]) -> Any:
    """Return of `value` what `fields` (a FieldsV1) names; a name without more is all below it."""
    if not fields:
        return value
    if isinstance(value, dict):
        names = {key[2:]: below for key, below in fields.items() if key.startswith("f:")}
        return {name: _part(value[name], below) for name, below in names.items() if name in value}
    if isinstance(value, list):
        return [_part(item, below) for key, below in fields.items() for item in _items(value, key)]
    return value


def _items(value: list[Any], key: str) -> list[Any]:
    """Return the items of a list that a FieldsV1 key means: `k:` by key fields, `v:` by value."""
    if key.startswith("k:"):
        wanted = json.loads(key[2:])
        return [item for item in value if wanted.items() <= item.items()]
    if key.startswith("v:"):
        wanted = json.loads(key[2:])
        return [item for item in value if item == wanted]
    return []

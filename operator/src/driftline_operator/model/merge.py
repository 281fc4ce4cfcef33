"""Merges what a user adds to a pod over what we render."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: By which field the items of a list are the same, for lists whose items have no `name`.
_KEYS: Final[Mapping[str, str]] = {
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


def merged(base: Any, over: Any, field: str = "") -> Any:
    """Return `base` with `over` laid on it; neither is changed.

    Maps are merged key by key, and None removes a key. Lists whose items have a name (or
    another key, by the rules of Kubernetes' strategic merge) are merged item by item: items of
    the same name are merged, new ones come before the old where `field` is `initContainers`
    (whose order is that of execution, and ours must stay the last) and after them otherwise.
    Any other value replaces.

    >>> merged({"a": [{"name": "x", "b": 1}]}, {"a": [{"name": "x", "c": 2}, {"name": "y"}]})
    {'a': [{'name': 'x', 'b': 1, 'c': 2}, {'name': 'y'}]}
    """
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return _merged_map(base, over)
    key = _KEYS.get(field, "name")
    if _all_have(base, key) and _all_have(over, key):
        return _merged_list(base, over, key, first=field == "initContainers")
    return over


def _merged_map(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(base[key], value, key) if key in base else value
    return result


def _merged_list(
    base: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]], key: str, *, first: bool
) -> list[Any]:
    laid_over = {item[key]: item for item in over}
    known = {item[key] for item in base}
    kept = [merged(item, laid_over[item[key]]) if item[key] in laid_over else item for item in base]
    new = [item for item in over if item[key] not in known]
    return [*new, *kept] if first else [*kept, *new]


def _all_have(value: Any, key: str) -> bool:
    listed = isinstance(value, list | tuple)
    return listed and all(isinstance(item, Mapping) and key in item for item in value)

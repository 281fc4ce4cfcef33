"""Field ownership, as server-side apply keeps it, as far as Driftline's manifests need it.

A field is a path; where the API server merges a list by key, the key is part of the path. All
else that is a list is one value. The table of keys is written here a second time on purpose: the
contract suite holds it against the real API server, and the operator's own against this.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[Any, ...]

#: The value of a path that says only that a list has an item of this key.
PRESENT = object()

_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_PORT_KEYS = {"containerPort": ("containerPort", "protocol"), "port": ("port", "protocol")}
_UNTRACKED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
_SERVER_SET = {
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
}


def list_keys(name: str, items: Any) -> tuple[str, ...] | None:
    """Return what a list is merged by; None where it is one value."""
    if name == "ports" and items and isinstance(items[0], Mapping):
        return next((keys for field, keys in _PORT_KEYS.items() if field in items[0]), None)
    return _KEYS.get(name)


def key_of(item: Mapping[str, Any], keys: tuple[str, ...]) -> Path:
    """Return the part of a path that stands for one item of a merged list."""
    return tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every field that a manifest sets, with its value."""
    if path in _UNTRACKED or (len(path) == 2 and path[0] == "metadata" and path[1] in _SERVER_SET):
        return
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and (keys := list_keys(path[-1], value)):
        for item in value:
            here = (*path, key_of(item, keys))
            yield here, PRESENT
            rest = {field: inner for field, inner in item.items() if field not in keys}
            if rest:
                yield from leaves(rest, here)
    else:
        yield path, value


def get_at(root: Any, path: Path) -> Any:
    """Return the value at a path; None where there is none."""
    node, name = root, ""
    for step in path:
        if isinstance(step, tuple):
            keys = list_keys(name, node) or ()
            node = next((item for item in node or () if key_of(item, keys) == step), None)
        else:
            node, name = (node or {}).get(step), step
        if node is None:
            return None
    return node


def set_at(root: dict[str, Any], path: Path, value: Any, template: Any) -> None:
    """Set the value at a path, making what is missing on the way in the likeness of `template`."""
    node: Any = root
    name = ""
    for index, step in enumerate(path):
        if isinstance(step, tuple):
            keys = list_keys(name, [get_at(template, path[: index + 1])]) or ()
            node = _item(node, step, keys)
        elif index == len(path) - 1:
            node[step] = value
        else:
            is_list = isinstance(path[index + 1], tuple)
            if not isinstance(node.get(step), list if is_list else dict):
                node[step] = [] if is_list else {}
            node, name = node[step], step


def _item(items: list[dict[str, Any]], step: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    for item in items:
        if key_of(item, keys) == step:
            return item
    made = dict(zip(keys, step, strict=True))
    items.append(made)
    return made


def remove_at(root: dict[str, Any], path: Path) -> None:
    """Remove the field at a path; an item of a list only when nothing but its key is left."""
    parent = get_at(root, path[:-1]) if len(path) > 1 else root
    step = path[-1]
    if isinstance(parent, dict):
        parent.pop(step, None)
    elif isinstance(parent, list):
        keys = list_keys(path[-2], parent) or ()
        parent[:] = [item for item in parent if key_of(item, keys) != step or set(item) - set(keys)]

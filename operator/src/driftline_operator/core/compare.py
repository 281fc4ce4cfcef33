"""Whether the cluster already holds what a plan wants.

The API server fills in defaults, rewrites quantities and drops what is empty, so a live object
never equals the manifest it came from. What counts is whether the manifest is *contained* in it:
every value that we set is there and unchanged, whatever others added.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from driftline_api.names import MANIFEST_HASH
from driftline_operator.core.plan import Manifest

#: Lists that the API server merges by key, and the fields that make the key.
#: Any other list is one value: same length, same order.
_LIST_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "ports": ("port", "containerPort", "protocol"),
}
_KEY_DEFAULTS: Final = {"protocol": "TCP"}
#: Maps whose values are quantities: the API server stores `1000m` as `1`.
_QUANTITIES: Final = frozenset({"limits", "requests", "hard", "capacity"})
_QUANTITY_FIELDS: Final = frozenset({"sizeLimit", "divisor"})
_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{unit: Decimal(1000) ** (i + 1) for i, unit in enumerate("kMGTPE")},
    **{f"{unit}i": Decimal(1024) ** (i + 1) for i, unit in enumerate("KMGTPE")},
}
_PRECONDITIONS: Final = frozenset({"resourceVersion", "uid"})


def manifest_hash(manifest: Manifest) -> str:
    """Return a hash of all that a manifest asks for; preconditions are not part of that.

    >>> manifest_hash({"metadata": {"name": "a"}}) == manifest_hash(
    ...     {"metadata": {"uid": "1", "name": "a"}}
    ... )
    True
    """
    meta = {k: v for k, v in manifest["metadata"].items() if k not in _PRECONDITIONS}
    wanted = {**manifest, "metadata": meta}
    packed = json.dumps(wanted, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(packed).hexdigest()[:20]


def stamped(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest with its own hash as an annotation."""
    meta = dict(manifest["metadata"])
    meta["annotations"] = {**meta.get("annotations", {}), MANIFEST_HASH: manifest_hash(manifest)}
    return {**manifest, "metadata": meta}


def is_contained(desired: Manifest, live: Manifest) -> bool:
    """Tell whether `live` already says everything that `desired` asks for.

    Ignored are `status` and the preconditions in `desired`.

    >>> is_contained({"spec": {"replicas": 1}}, {"spec": {"replicas": 1, "paused": False}})
    True
    """
    wanted = {key: value for key, value in desired.items() if key != "status"}
    if "metadata" in wanted:
        meta = wanted["metadata"].items()
        wanted["metadata"] = {k: v for k, v in meta if k not in _PRECONDITIONS}
    return _contains(live, wanted, "")


def _contains(live: Any, desired: Any, field: str) -> bool:
    if live is None:
        return _is_empty(desired)
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and _contains_map(live, desired, field)
    if isinstance(desired, list | tuple):
        return isinstance(live, list | tuple) and _contains_list(live, desired, field)
    if live == desired and isinstance(live, bool) == isinstance(desired, bool):
        return True
    return field in _QUANTITY_FIELDS and _same_quantity(live, desired)


def _is_empty(desired: Any) -> bool:
    """Tell whether the API server would not store the value at all (`omitempty`)."""
    if isinstance(desired, Mapping):
        return all(_is_empty(value) for value in desired.values())
    return not desired


def _contains_map(live: Manifest, desired: Manifest, field: str) -> bool:
    if field in _QUANTITIES:
        return all(_same_quantity(live.get(key), value) for key, value in desired.items())
    return all(_contains(live.get(key), value, key) for key, value in desired.items())


def _contains_list(live: Sequence[Any], desired: Sequence[Any], field: str) -> bool:
    if field == "finalizers":
        return set(desired) <= set(live)
    keys = _LIST_KEYS.get(field)
    if keys is None or not _all_maps(live) or not _all_maps(desired):
        return len(live) == len(desired) and all(
            _contains(have, want, field) for have, want in zip(live, desired, strict=True)
        )
    by_key = {_list_key(item, keys): item for item in live}
    return all(_contains(by_key.get(_list_key(item, keys)), item, "") for item in desired)


def _all_maps(items: Sequence[Any]) -> bool:
    return all(isinstance(item, Mapping) for item in items)


def _list_key(item: Manifest, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, _KEY_DEFAULTS.get(key)) for key in keys)


def _same_quantity(live: Any, desired: Any) -> bool:
    if live is None or desired is None:
        return live is desired
    if str(live) == str(desired):
        return True
    try:
        return quantity(str(live)) == quantity(str(desired))
    except InvalidOperation:
        return False


def quantity(text: str) -> Decimal:
    """Return the value of a Kubernetes quantity.

    >>> quantity("1500m") == quantity("1.5") and quantity("1Gi") == quantity("1024Mi")
    True

    Raises:
        InvalidOperation: it is none.
    """
    for length in (2, 1):
        factor = _SUFFIXES.get(text[-length:])
        if factor is not None:
            return Decimal(text[:-length]) * factor
    return Decimal(text)


def merge_patch(current: Manifest, desired: Manifest) -> dict[str, Any]:
    """Return the JSON merge patch that turns `current` into `desired`; empty when they agree.

    None in `desired` is the same as absent: a merge patch cannot store it.

    >>> merge_patch({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}})
    {'b': {'c': 3}, 'a': None}
    """
    patch: dict[str, Any] = {}
    for key, wanted in desired.items():
        have = current.get(key)
        if isinstance(wanted, Mapping) and isinstance(have, Mapping):
            if inner := merge_patch(have, wanted):
                patch[key] = inner
        elif have != wanted or (key in current) != (wanted is not None):
            patch[key] = wanted
    return patch | {key: None for key in current if key not in desired}

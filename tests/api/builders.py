"""A good Model, and how to make others of it."""

from collections.abc import Mapping
from typing import Any

GOOD_MODEL: dict[str, Any] = {
    "apiVersion": "driftline.dev/v1alpha1",
    "kind": "Model",
    "metadata": {"name": "fraud", "namespace": "default"},
    "spec": {"artifact": {"uri": "s3://models/fraud/v3/model.onnx"}},
}


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with a JSON merge patch applied: null removes, objects merge."""
    result = dict(base)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            inner = result.get(key)
            result[key] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[key] = value
    return result

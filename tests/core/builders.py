"""Small things for the tests of the core."""

from typing import Any

from driftline_api.names import MANAGED_BY, MANAGER, MODEL
from driftline_operator.core.plan import Key

NAMESPACE = "team"


def a_key(name: str = "m", namespace: str = NAMESPACE) -> Key:
    return Key(controller="model", namespace=namespace, name=name)


def an_object(
    name: str = "a", *, kind: str = "ConfigMap", version: int = 1, uid: str = "", **more: Any
) -> dict[str, Any]:
    """Return an object as the API server would."""
    meta = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "labels": {MANAGED_BY: MANAGER, MODEL: "m"},
        **more.pop("metadata", {}),
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


class Time:
    """A clock that stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

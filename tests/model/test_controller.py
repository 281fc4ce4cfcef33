"""Which Models a change concerns."""

import json
from typing import Any

import pytest

from driftline_operator.core.controller import Change
from driftline_operator.core.plan import Key
from driftline_operator.core.store import Store
from driftline_operator.model.controller import ModelController
from driftline_operator.router.acks import RouterAcks
from driftline_operator.router.manifests import LABELS
from tests.model.builders import IMAGES

CONTROLLER = ModelController(IMAGES, RouterAcks())


def an_object(kind: str, name: str, **labels: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "team", "labels": labels, "uid": name}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta}


def keys(old: dict[str, Any] | None, new: dict[str, Any] | None) -> list[str]:
    store = Store()
    for name in ("iris", "wine"):
        model = an_object("Model", name)
        model["metadata"]["resourceVersion"] = "1"
        store.put(model)
    found: list[Key] = list(CONTROLLER.keys_for(Change(old=old, new=new), store))
    return [key.name for key in found]


@pytest.mark.parametrize("kind", ["Deployment", "Service", "Job", "Pod", "ControllerRevision"])
def test_a_child_concerns_the_model_that_its_label_names(kind: str) -> None:
    child = an_object(kind, "iris-aaaaaaaaaa", **{"driftline.dev/model": "iris"})
    assert keys(None, child) == ["iris"]
    assert keys(child, None) == ["iris"]


def test_a_model_concerns_itself() -> None:
    assert keys(None, an_object("Model", "wine")) == ["wine"]


def test_what_is_nobodys_concerns_nobody() -> None:
    assert keys(None, an_object("Service", "driftline-router", **LABELS)) == []


def entries(**ports: int) -> dict[str, Any]:
    models = {name: {"uid": name, "port": port} for name, port in ports.items()}
    return {
        **an_object("ConfigMap", "driftline-router", **LABELS),
        "data": {"models": json.dumps(models)},
    }


def test_the_routers_state_concerns_the_models_whose_entry_has_changed() -> None:
    assert keys(None, entries(iris=1, wine=2)) == ["iris", "wine"]
    assert keys(entries(iris=1, wine=2), entries(iris=1, wine=3)) == ["wine"]
    assert keys(entries(iris=1, wine=2), entries(iris=1)) == ["wine"]
    assert keys(entries(iris=1), {**entries(), "data": {"models": "broken"}}) == ["iris"]
    problem = {**entries(iris=1), "data": {"problems": '{"wine":"PortsExhausted"}'}}
    assert keys(None, problem) == ["wine"]


def a_router(ready: str = "True", restarts: int = 0) -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "containerStatuses": [{"restartCount": restarts}],
    }
    return {**an_object("Pod", "router-1", **LABELS), "status": status}


def test_a_router_that_comes_or_goes_concerns_all_models_of_its_namespace() -> None:
    assert keys(None, a_router()) == ["iris", "wine"]
    assert keys(a_router(), a_router("False")) == ["iris", "wine"]
    assert keys(a_router(), a_router(restarts=1)) == ["iris", "wine"]
    assert keys(a_router(), a_router()) == []
    assert keys(None, a_router("False")) == []

"""A drained node: each pod leaves through the Eviction API, and no client notices."""

import json
from functools import partial

import pytest

from driftline_api.names import COMPONENT, COMPONENT_MODEL_SERVER, COMPONENT_ROUTER
from e2e.kubectl import eventually
from e2e.models import Data
from e2e.workspace import Workspace


def ready(workspace: Workspace, component: str) -> set[str]:
    pods = workspace.kubectl.list(workspace.namespace, "pods", {COMPONENT: component})
    return {
        pod["metadata"]["name"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in pod["status"].get("conditions", [])
        )
    }


def two_ready_without(workspace: Workspace, component: str, pod: str) -> bool:
    return len(ready(workspace, component) - {pod}) >= 2


def evict(workspace: Workspace, pod: str) -> None:
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": workspace.namespace},
    }
    path = f"/api/v1/namespaces/{workspace.namespace}/pods/{pod}/eviction"
    workspace.kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


@pytest.mark.parametrize("component", [COMPONENT_MODEL_SERVER, COMPONENT_ROUTER])
def test_evicting_each_pod_under_load_loses_no_request(
    workspace: Workspace, data: Data, component: str
) -> None:
    name = f"evict-{component}"
    workspace.apply(workspace.model(name, replicas=2))
    workspace.wait_promoted(name)
    rows = data.test_x[:1]
    with (
        workspace.load(name, rows, client=name) as load,
        workspace.grpc_load(name, rows, client=f"{name}-grpc") as grpc_load,
    ):
        for pod in sorted(ready(workspace, component)):
            evict(workspace, pod)
            eventually(
                f"two pods are ready without {pod}",
                partial(two_ready_without, workspace, component, pod),
                within=90,
            )
        accounts = [load.settled(), grpc_load.account()]
    for account in accounts:
        assert account.sent > 100
        assert account.failed == 0, account.errors


def test_a_namespace_is_deleted_whole(workspace: Workspace) -> None:
    other = Workspace(
        kubectl=workspace.kubectl, system=workspace.system, namespace=f"{workspace.namespace}-gone"
    )
    other.create()
    other.apply(other.model("gone"))
    other.wait_promoted("gone")
    other.delete()
    assert workspace.kubectl.get("default", "namespace", other.namespace) is None

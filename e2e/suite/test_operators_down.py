"""The operators die, and clients do not notice."""

from collections.abc import Iterator

import pytest

from driftline_api.names import COMPONENT, COMPONENT_ROUTER
from e2e.cluster.faults import api_server_down
from e2e.install import NAMESPACE, OPERATOR
from e2e.kubectl import Kubectl, Object, eventually
from e2e.models import Data
from e2e.suite.test_eviction import ready
from e2e.workspace import Workspace

pytestmark = pytest.mark.disruptive


def operators(kubectl: Kubectl) -> list[Object]:
    return kubectl.list(NAMESPACE, "pods", {"app.kubernetes.io/name": "driftline"})


def scale(kubectl: Kubectl, replicas: int) -> None:
    kubectl.run("scale", "deployment", OPERATOR, f"--replicas={replicas}", "-n", NAMESPACE)


@pytest.fixture
def no_operators(kubectl: Kubectl) -> Iterator[None]:
    scale(kubectl, 0)
    eventually("no operator runs", lambda: not operators(kubectl))
    yield
    scale(kubectl, 2)
    kubectl.run("rollout", "status", "deployment", OPERATOR, "-n", NAMESPACE, timeout=120)


@pytest.fixture(scope="module")
def served(workspace: Workspace) -> str:
    workspace.apply(workspace.model("served"))
    workspace.wait_promoted("served")
    return "served"


def test_both_operators_killed_in_the_middle_of_an_update(
    workspace: Workspace, kubectl: Kubectl, data: Data
) -> None:
    workspace.apply(workspace.model("killed"))
    workspace.wait_promoted("killed")
    with workspace.load("killed", data.test_x[:1]) as load:
        workspace.apply(workspace.model("killed", "v2"))
        eventually(
            "the new revision has a Deployment",
            lambda: len(workspace.children("killed", "deployments")) == 2,
        )
        names = [pod["metadata"]["name"] for pod in operators(kubectl)]
        assert len(names) == 2
        kubectl.run("delete", "pod", *names, "-n", NAMESPACE, "--grace-period=0", "--force")
        done = workspace.wait_promoted("killed", within=150)
        account = load.settled()
    assert done["status"]["digest"] == workspace.system.artifacts["v2"].digest
    assert account.failed == 0, account.errors


def test_serving_goes_on_while_operators_and_api_server_are_down(
    workspace: Workspace, served: str, data: Data, no_operators: None
) -> None:
    with workspace.load(served, data.test_x[:1]) as load:
        before = load.settled()
        with api_server_down(seconds=15):
            pass
        account = load.settled()
    assert account.sent > before.sent + 500
    assert account.failed == 0, account.errors


def test_a_restarted_router_stays_out_of_the_service_until_an_operator_is_back(
    workspace: Workspace, kubectl: Kubectl, served: str, data: Data
) -> None:
    routers = sorted(eventually("both routers are ready", lambda: both_ready(workspace), within=90))
    scale(kubectl, 0)
    try:
        eventually("no operator runs", lambda: not operators(kubectl))
        with workspace.load(served, data.test_x[:1], client="restart") as load:
            restart_container(workspace, routers[0])
            eventually(
                "the restarted router is not ready",
                lambda: ready(workspace, COMPONENT_ROUTER) == {routers[1]},
            )
            out = load.settled()
            kubectl.run("delete", "pod", "-n", workspace.namespace, routers[0])
            eventually("a new router pod runs", lambda: len(router_pods(workspace)) == 2)
            after = load.settled()
            assert ready(workspace, COMPONENT_ROUTER) == {routers[1]}
    finally:
        scale(kubectl, 2)
    # What the killed process had in flight is lost with it; nothing is once its pod is out.
    assert after.sent > out.sent + 100
    assert after.failed == out.failed, after.errors
    eventually("both routers are ready again", lambda: both_ready(workspace), within=90)


def both_ready(workspace: Workspace) -> set[str]:
    """Return the ready routers once there are two."""
    found = ready(workspace, COMPONENT_ROUTER)
    return found if len(found) == 2 else set()


def router_pods(workspace: Workspace) -> list[Object]:
    pods = workspace.kubectl.list(workspace.namespace, "pods", {COMPONENT: COMPONENT_ROUTER})
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def restart_container(workspace: Workspace, pod: str) -> None:
    """End the router's process, so that the kubelet starts its container anew."""
    where = ("exec", "-n", workspace.namespace, pod, "-c", "envoy")
    workspace.kubectl.run(*where, "--", "sh", "-c", "kill 1")

"""The chart on a cluster: upgraded, uninstalled and confined, while Models go on serving."""

import secrets
from collections.abc import Iterator

import pytest

from driftline_api.names import COMPONENT, COMPONENT_MODEL_SERVER, COMPONENT_ROUTER, MANAGED_BY
from e2e.chart_check import CHART, helm
from e2e.install import NAMESPACE, OPERATOR, RELEASE, image_values, install_chart
from e2e.kubectl import Kubectl, KubectlError, Object, eventually
from e2e.load import client_pod
from e2e.models import Data
from e2e.workspace import Workspace

pytestmark = pytest.mark.disruptive

CRD = "models.driftline.dev"
PODS_OF_OPERATOR = {"app.kubernetes.io/name": "driftline"}


def uids(pods: list[Object]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def serving_pods(workspace: Workspace) -> set[str]:
    """Return the uids of the pods that answer: model servers and routers."""
    return uids(
        [
            pod
            for component in (COMPONENT_MODEL_SERVER, COMPONENT_ROUTER)
            for pod in workspace.kubectl.list(workspace.namespace, "pods", {COMPONENT: component})
        ]
    )


def operators(kubectl: Kubectl) -> list[Object]:
    return kubectl.list(NAMESPACE, "pods", PODS_OF_OPERATOR)


@pytest.fixture(scope="module")
def served(workspace: Workspace) -> str:
    workspace.apply(workspace.model("charted"))
    workspace.wait_promoted("charted")
    return "charted"


@pytest.fixture
def installed_again(workspace: Workspace) -> Iterator[None]:
    """Leave operators behind for the other tests, whatever becomes of this one."""
    yield
    if not operators(workspace.kubectl):
        install_chart(workspace.kubectl, workspace.system.images)


def test_upgrade_replaces_the_operators_and_leaves_what_serves_alone(
    workspace: Workspace, kubectl: Kubectl, served: str, data: Data
) -> None:
    serving, operating = serving_pods(workspace), uids(operators(kubectl))
    with workspace.load(served, data.test_x[:1], client="upgrade") as load:
        mark = f"--set-string=operator.podAnnotations.e2e={secrets.token_hex(4)}"
        install_chart(kubectl, workspace.system.images, mark)
        eventually(
            "the operators are new", lambda: not operating.intersection(uids(operators(kubectl)))
        )
        workspace.wait_ready(served)
        account = load.settled()
    assert serving_pods(workspace) == serving
    assert account.failed == 0, account.errors


@pytest.mark.usefixtures("installed_again")
def test_uninstall_leaves_models_serving_and_install_takes_them_up_again(
    workspace: Workspace, kubectl: Kubectl, served: str, data: Data
) -> None:
    serving = serving_pods(workspace)
    crd = kubectl.get("", "crd", CRD)
    assert crd is not None
    with workspace.load(served, data.test_x[:1], client="uninstall") as load:
        flags = ("-n", NAMESPACE, "--wait", f"--kubeconfig={kubectl.kubeconfig}")
        helm("uninstall", RELEASE, *flags)
        eventually("no operator is left", lambda: not operators(kubectl))
        left = kubectl.get("", "crd", CRD)
        assert left is not None
        assert left["metadata"]["uid"] == crd["metadata"]["uid"]
        assert kubectl.get("", "clusterrole", OPERATOR) is None

        install_chart(kubectl, workspace.system.images)
        workspace.apply(workspace.model(served, replicas=2))
        workspace.wait_promoted(served)
        account = load.settled()
    assert serving_pods(workspace) > serving
    assert account.failed == 0, account.errors


@pytest.fixture
def confined(workspace: Workspace) -> Iterator[str]:
    """A second installation, with no right outside its own namespace, where no Model lies."""
    namespace = f"e2e-confined-{secrets.token_hex(2)}"
    kubectl = workspace.kubectl
    values = f"watchNamespaces: [{namespace}]\ncrds: {{install: false}}\nrbac: {{userRoles: false}}"
    flags = ["-n", namespace, "--create-namespace", f"--kubeconfig={kubectl.kubeconfig}"]
    images = image_values(workspace.system.images)
    helm(
        *("install", "confined", str(CHART), *flags, "--wait", "--timeout=2m", "--values=-"),
        *images,
        stdin=values,
    )
    yield namespace
    helm("uninstall", "confined", "-n", namespace, f"--kubeconfig={kubectl.kubeconfig}")
    kubectl.run("delete", "namespace", namespace, timeout=180)


def test_gets_ready_with_rights_in_its_own_namespace_only(
    workspace: Workspace, confined: str
) -> None:
    kubectl = workspace.kubectl
    account = f"system:serviceaccount:{confined}:{OPERATOR}"
    may = ("auth", "can-i", "list", "models.driftline.dev", f"--as={account}")

    assert kubectl.run(*may, "-n", confined).strip() == "yes"
    with pytest.raises(KubectlError):  # it answers by its exit code, too
        kubectl.run(*may, "-n", "default")
    lease = eventually("one leads", lambda: kubectl.get(confined, "lease", OPERATOR))
    assert lease is not None
    pods = kubectl.list(confined, "pods", PODS_OF_OPERATOR)
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in pods)


CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)
except OSError:
    print("refused")
else:
    print("connected")
"""


def connects(
    workspace: Workspace, address: str, port: int, labels: dict[str, str] | None = None
) -> bool:
    """Tell whether a pod with these labels gets a connection.

    It stands beside the operators: in a namespace with Models, one that is labelled as a router
    would get their requests.
    """
    name = f"connect-{secrets.token_hex(3)}"
    command = ["python3", "-c", CONNECT, address, str(port)]
    pod = client_pod(NAMESPACE, workspace.system.images["serving"], command, name)
    pod["metadata"]["labels"] = labels or {}
    workspace.apply(pod)

    def said() -> str:
        return workspace.kubectl.run("logs", name, "-n", NAMESPACE).strip()

    answer = eventually(f"{name} has tried", said)
    workspace.kubectl.delete(NAMESPACE, "pod", name, wait=False)
    return answer == "connected"


@pytest.fixture
def enforced(workspace: Workspace) -> None:
    """Skip where the network plugin takes policies and does nothing, which only a try can tell."""
    kubectl = workspace.kubectl
    address = operators(kubectl)[0]["status"]["podIP"]
    deny = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "e2e-cut-off", "namespace": NAMESPACE},
        "spec": {"podSelector": {"matchLabels": {"e2e": "cut-off"}}, "policyTypes": ["Egress"]},
    }
    workspace.apply(deny)
    assert connects(workspace, address, 8080)
    cut_off = not connects(workspace, address, 8080, {"e2e": "cut-off"})
    kubectl.delete(NAMESPACE, "networkpolicy", "e2e-cut-off")
    if not cut_off:
        pytest.skip("this cluster's network plugin enforces no NetworkPolicy")


@pytest.mark.usefixtures("enforced")
def test_only_routers_reach_the_configuration_feed(workspace: Workspace, kubectl: Kubectl) -> None:
    address = operators(kubectl)[0]["status"]["podIP"]

    assert not connects(workspace, address, 8081)
    router = {MANAGED_BY: "driftline", COMPONENT: COMPONENT_ROUTER}
    assert connects(workspace, address, 8081, router)

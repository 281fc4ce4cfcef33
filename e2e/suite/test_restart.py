"""Pods that are replaced under load: whoever asks does not notice."""

from e2e.kubectl import eventually
from e2e.models import Data
from e2e.workspace import Workspace

#: Requests a second, over each protocol.
RATE = 100


def test_a_rolling_restart_at_200_requests_a_second_loses_none(
    workspace: Workspace, data: Data
) -> None:
    rows = data.test_x[:2]
    workspace.apply(workspace.model("steady", replicas=2))
    stable = workspace.wait_promoted("steady")["status"]["stableRevision"]
    before = pods(workspace)
    with (
        workspace.load("steady", rows, rate=RATE) as load,
        workspace.grpc_load("steady", rows, rate=RATE) as grpc_load,
    ):
        target = (f"deployment/{stable}", "-n", workspace.namespace)
        workspace.kubectl.run("rollout", "restart", *target)
        workspace.kubectl.run("rollout", "status", *target, "--timeout=120s", timeout=130)
        eventually("the old pods are gone", lambda: not before & pods(workspace), within=90)
        accounts = [load.settled(), grpc_load.account()]
    for account in accounts:
        assert account.failed == 0, account.errors
        assert account.sent > 10 * RATE
        assert set(account.revisions) == {stable}


def pods(workspace: Workspace) -> set[str]:
    """Return the names of the Model's pods, also of those that are leaving."""
    return {pod["metadata"]["name"] for pod in workspace.children("steady", "pods")}

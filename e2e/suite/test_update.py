"""A new revision takes over without a failed request; a bad one takes nothing."""

import time

import pytest

from e2e.kubectl import eventually
from e2e.models import Data
from e2e.workspace import Workspace


def test_an_update_under_load_loses_no_request(workspace: Workspace, data: Data) -> None:
    workspace.apply(workspace.model("update"))
    first = workspace.wait_promoted("update")["status"]["stableRevision"]
    rows = data.test_x[:2]
    with workspace.load("update", rows) as load, workspace.grpc_load("update", rows) as grpc_load:
        workspace.apply(workspace.model("update", "v2"))
        second = workspace.wait_promoted("update")["status"]["stableRevision"]
        eventually(
            "the old Deployment is gone",
            lambda: (
                {d["metadata"]["name"] for d in workspace.children("update", "deployments")}
                == {second}
            ),
        )
        accounts = [load.settled(), grpc_load.account()]
    for account in accounts:
        assert account.failed == 0, account.errors
        assert account.revisions[first] > 0
        assert account.revisions[second] > 0
    status = workspace.get("update")["status"]
    assert status["digest"] == workspace.system.artifacts["v2"].digest
    assert [r["role"] for r in status["revisions"]].count("Stable") == 1


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_twenty_updates_under_load_lose_no_request(workspace: Workspace, data: Data) -> None:
    workspace.apply(workspace.model("often", replicas=2))
    workspace.wait_promoted("often")
    with workspace.load("often", data.test_x[:2], client="often", seconds=1400) as load:
        for update in range(20):
            runtime = {"refreshToken": str(update)}
            workspace.apply(workspace.model("often", "v2", replicas=2, runtime=runtime))
            workspace.wait_promoted("often")
        account = load.settled()
    assert len(account.revisions) == 21
    assert account.failed == 0, account.errors


def test_going_back_to_the_old_content_reuses_its_revision(workspace: Workspace) -> None:
    workspace.apply(workspace.model("back"))
    first = workspace.wait_promoted("back")["status"]["stableRevision"]
    workspace.apply(workspace.model("back", "v2"))
    workspace.wait_promoted("back")
    workspace.apply(workspace.model("back"))
    assert workspace.wait_promoted("back")["status"]["stableRevision"] == first
    assert len(workspace.children("back", "controllerrevisions")) == 2


def test_history_is_pruned_to_its_limit(workspace: Workspace) -> None:
    for step in range(4):
        threads = {"onnx": {"threads": step + 1}}
        model = workspace.model("pruned", runtime=threads, revisionHistoryLimit=1)
        workspace.apply(model)
        workspace.wait_promoted("pruned")
    eventually(
        "stable and one earlier revision are left",
        lambda: len(workspace.children("pruned", "controllerrevisions")) == 2,
    )


def test_a_third_revision_in_the_middle_of_a_switch_wins(workspace: Workspace, data: Data) -> None:
    workspace.apply(workspace.model("third"))
    workspace.wait_promoted("third")
    with workspace.load("third", data.test_x[:1]) as load:
        workspace.apply(workspace.model("third", "v2"))
        time.sleep(2)
        workspace.apply(workspace.model("third", "v2", runtime={"onnx": {"threads": 2}}))
        final = workspace.wait_promoted("third")
        account = load.settled()
    assert account.failed == 0, account.errors
    assert final["status"]["stableRevision"] == final["status"]["targetRevision"]
    eventually(
        "only one Deployment is left", lambda: len(workspace.children("third", "deployments")) == 1
    )

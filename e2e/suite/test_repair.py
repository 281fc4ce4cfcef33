"""What people do by hand: undone where it is ours, left alone where it is theirs."""

import json
from functools import partial

from e2e.kubectl import Object, eventually
from e2e.models import Data
from e2e.workspace import Workspace


def foreign_service(workspace: Workspace, name: str) -> Object:
    port = {"name": "http", "port": 80, "targetPort": 5432}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": workspace.namespace, "labels": {"owner": "them"}},
        "spec": {"selector": {"app": "theirs"}, "ports": [port]},
    }


def replaced(workspace: Workspace, kind: str, name: str, uid: str) -> bool:
    return bool(workspace.get(name, kind)["metadata"]["uid"] != uid)


def test_deleted_children_come_back(workspace: Workspace, data: Data) -> None:
    workspace.apply(workspace.model("deleted"))
    revision = workspace.wait_promoted("deleted")["status"]["stableRevision"]
    for kind, name in (("deployment", revision), ("service", revision), ("service", "deleted")):
        old = workspace.get(name, kind)["metadata"]["uid"]
        workspace.kubectl.delete(workspace.namespace, kind, name)
        eventually(
            f"{kind} {name} is back",
            partial(replaced, workspace, kind, name, old),
        )
    workspace.wait_promoted("deleted")
    eventually("it predicts again", lambda: len(workspace.predict("deleted", data.test_x[:2])) == 2)


def test_edits_by_hand_are_undone(workspace: Workspace) -> None:
    workspace.apply(workspace.model("edited"))
    revision = workspace.wait_promoted("edited")["status"]["stableRevision"]
    wanted = workspace.get(revision, "deployment")["spec"]["template"]["spec"]["containers"][0]
    patch = '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"other:1"}]'
    workspace.kubectl.run(
        "patch", "deployment", revision, "-n", workspace.namespace, "--type=json", f"-p={patch}"
    )

    def image() -> str:
        spec = workspace.get(revision, "deployment")["spec"]["template"]["spec"]
        return str(spec["containers"][0]["image"])

    eventually("the image is ours again", lambda: image() == wanted["image"])
    ours = workspace.get("edited", "service")["spec"]["selector"]
    component = {"spec": {"selector": {"app.kubernetes.io/component": "elsewhere"}}}
    merge = ("patch", "service", "edited", "-n", workspace.namespace, "-p", json.dumps(component))
    workspace.kubectl.run(*merge)
    eventually(
        "the selector is ours again",
        lambda: workspace.get("edited", "service")["spec"]["selector"] == ours,
    )


def test_a_foreign_service_of_our_name_is_left_alone_until_it_is_handed_over(
    workspace: Workspace, data: Data
) -> None:
    workspace.apply(foreign_service(workspace, "taken"))
    before = workspace.get("taken", "service")
    workspace.apply(workspace.model("taken"))
    seen = workspace.wait_for("taken", "Stalled", "True", "NameConflict")
    assert "Service" in seen["message"]
    assert "driftline.dev/adopt" in seen["message"]
    workspace.wait_event("taken", "NameConflict")
    assert workspace.get("taken", "service") == before

    adopt = ("annotate", "service", "taken", "driftline.dev/adopt=taken")
    workspace.kubectl.run(*adopt, "-n", workspace.namespace)
    workspace.wait_promoted("taken", within=120)
    assert len(workspace.predict("taken", data.test_x[:2])) == 2

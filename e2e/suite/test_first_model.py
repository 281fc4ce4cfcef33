"""From `kubectl apply` to a prediction, and what does not change afterwards."""

import json

import numpy as np
import onnxruntime
import pytest

from driftline_api.conditions import Reason
from driftline_api.names import COMPONENT, COMPONENT_RESOLVER
from e2e.kubectl import Object, condition, eventually
from e2e.models import Data
from e2e.workspace import Workspace

CHILDREN = "controllerrevisions,deployments,services,jobs,poddisruptionbudgets"


@pytest.fixture(scope="module")
def served(workspace: Workspace) -> Object:
    workspace.apply(workspace.model("first"))
    workspace.wait_ready("first")
    return workspace.wait_promoted("first")


def versions(workspace: Workspace, name: str) -> dict[str, str]:
    seen = {f"{o['kind']}/{o['metadata']['name']}": o for o in workspace.children(name, CHILDREN)}
    found = {key: o["metadata"]["resourceVersion"] for key, o in seen.items()}
    return {**found, "Model": workspace.get(name)["metadata"]["resourceVersion"]}


def test_predictions_through_the_service_are_those_of_the_model(
    workspace: Workspace, served: Object, data: Data
) -> None:
    session = onnxruntime.InferenceSession(workspace.system.artifacts["v1"].content)
    expected = session.run(["label"], {"X": data.test_x})[0]
    assert np.array_equal(workspace.predict("first", data.test_x), expected)


def test_status_says_what_serves_and_that_nothing_is_to_be_done(
    workspace: Workspace, served: Object
) -> None:
    status = served["status"]
    assert status["digest"] == workspace.system.artifacts["v1"].digest
    assert status["stableRevision"] == status["targetRevision"]
    assert status["url"] == f"http://first.{workspace.namespace}.svc"
    assert status["observedGeneration"] == served["metadata"]["generation"]
    assert condition(served, "Stalled") == {} or condition(served, "Stalled")["status"] == "False"


def test_kubectl_get_shows_the_state_at_a_glance(workspace: Workspace, served: Object) -> None:
    header, row = workspace.kubectl.run("get", "dlm", "-n", workspace.namespace).splitlines()[:2]
    assert header.split()[:2] == ["NAME", "READY"]
    assert row.split()[:2] == ["first", "True"]


def test_applying_the_same_file_again_changes_nothing(workspace: Workspace, served: Object) -> None:
    before = versions(workspace, "first")
    workspace.apply(workspace.model("first"))
    workspace.kubectl.run("annotate", "dlm", "first", "-n", workspace.namespace, "touched=yes")
    eventually(
        "the annotation is seen",
        lambda: workspace.get("first")["metadata"]["annotations"].get("touched"),
    )
    after = versions(workspace, "first")
    assert {k: v for k, v in after.items() if k != "Model"} == {
        k: v for k, v in before.items() if k != "Model"
    }


def test_scaling_changes_replicas_in_place_and_does_not_resolve_a_moving_artifact_again(
    workspace: Workspace,
) -> None:
    system = workspace.system
    uri = system.upload("moving/model.onnx", system.artifacts["v1"].content)
    model = workspace.model("moving")
    model["spec"]["artifact"] = {**model["spec"]["artifact"], "uri": uri}
    del model["spec"]["artifact"]["digest"]
    workspace.apply(model)
    first = workspace.wait_promoted("moving")
    assert first["status"]["digest"] == system.artifacts["v1"].digest

    system.upload("moving/model.onnx", system.artifacts["v2"].content)
    scale = ("scale", "--replicas=2", "model.driftline.dev/moving", "-n", workspace.namespace)
    workspace.kubectl.run(*scale)
    # The new pod is the same revision's: it refuses the other bytes that are there by now.
    mismatch = workspace.wait_for("moving", "Reconciling", "True", Reason.DIGEST_MISMATCH)
    assert "refreshToken" in mismatch["message"]
    workspace.wait_for("moving", "Ready", "True")
    scaled = workspace.get("moving")
    assert scaled["status"]["digest"] == first["status"]["digest"]
    assert scaled["status"]["stableRevision"] == first["status"]["stableRevision"]
    resolvers = {COMPONENT: COMPONENT_RESOLVER}
    assert workspace.kubectl.list(workspace.namespace, "jobs", resolvers) == []

    model["spec"]["artifact"]["refreshToken"] = "again"
    model["spec"]["replicas"] = 2
    workspace.apply(model)
    refreshed = workspace.wait_promoted("moving")
    assert refreshed["status"]["digest"] == system.artifacts["v2"].digest
    assert refreshed["status"]["readyReplicas"] == 2


def test_every_pod_is_restricted_and_reads_no_api(workspace: Workspace, served: Object) -> None:
    pods = workspace.kubectl.list(workspace.namespace, "pods")
    assert pods, "no pods"
    for pod in pods:
        assert pod["spec"]["automountServiceAccountToken"] is False, pod["metadata"]["name"]
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_answers_name_the_revision_and_the_digest(
    workspace: Workspace, served: Object, data: Data
) -> None:
    headers = workspace.headers("first", data.test_x[:1])
    assert headers["driftline-revision"] == served["status"]["stableRevision"]
    assert headers["driftline-digest"] == served["status"]["digest"]
    assert len(headers["driftline-prediction-id"]) == 36, json.dumps(dict(headers))


def test_autoscaling_makes_an_autoscaler_and_leaves_replicas_to_it(workspace: Workspace) -> None:
    workspace.apply(workspace.model("auto", autoscaling={"minReplicas": 1, "maxReplicas": 3}))
    stable = workspace.wait_promoted("auto")["status"]["stableRevision"]
    autoscaler = workspace.get("auto", "horizontalpodautoscaler")
    assert autoscaler["spec"]["maxReplicas"] == 3
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == stable
    workspace.kubectl.run("scale", "deployment", stable, "--replicas=2", "-n", workspace.namespace)
    eventually(
        "status follows the autoscaled Deployment",
        lambda: workspace.get("auto")["status"].get("readyReplicas") == 2,
    )
    assert workspace.get(stable, "deployment")["spec"]["replicas"] == 2

"""gRPC through the Service of a Model, by a client that we did not write: Triton's."""

import contextlib
from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton

from driftline_api.names import COMPONENT, COMPONENT_ROUTER
from driftline_operator.router.stats import OUTCOMES_QUERY, Outcome, parse_outcomes
from e2e.cluster.access import service_url
from e2e.kubectl import eventually
from e2e.models import Data, Rows
from e2e.workspace import INPUT, Workspace

MODEL = "spoken"


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> Iterator[triton.InferenceServerClient]:
    workspace.apply(workspace.model(MODEL))
    workspace.wait_promoted(MODEL)
    with calling(workspace, MODEL) as client:
        yield client


@contextlib.contextmanager
def calling(workspace: Workspace, name: str) -> Iterator[triton.InferenceServerClient]:
    """Connect to a Model's Service, on the port that HTTP has too."""
    with (
        service_url(workspace.kubectl, workspace.namespace, name, 80) as url,
        triton.InferenceServerClient(url.removeprefix("http://")) as client,
    ):
        yield client


def tensor(rows: Rows) -> triton.InferInput:
    return triton.InferInput(INPUT, list(rows.shape), "FP32").set_data_from_numpy(rows)


def counted(workspace: Workspace) -> list[Outcome]:
    """Return the units that the routers have counted."""
    outcomes: list[Outcome] = []
    for pod in workspace.kubectl.list(workspace.namespace, "pods", {COMPONENT: COMPONENT_ROUTER}):
        proxy = f"/api/v1/namespaces/{workspace.namespace}/pods/{pod['metadata']['name']}:9902"
        said = workspace.kubectl.run("get", "--raw", f"{proxy}/proxy{OUTCOMES_QUERY}")
        outcomes += parse_outcomes(said).outcomes
    return [each for each in outcomes if each.arm.model == MODEL]


def test_predictions_are_those_of_the_model(
    workspace: Workspace, client: triton.InferenceServerClient, data: Data
) -> None:
    session = onnxruntime.InferenceSession(workspace.system.artifacts["v1"].content)
    expected = session.run(["label"], {INPUT: data.test_x})[0]
    found = client.infer(MODEL, [tensor(data.test_x)]).as_numpy("label")
    assert np.array_equal(found, expected)


def test_health_and_metadata_are_told_and_not_counted(
    workspace: Workspace, client: triton.InferenceServerClient, data: Data
) -> None:
    before = sum(each.count for each in counted(workspace))
    for _ in range(3):
        assert client.is_server_live()
        assert client.is_model_ready(MODEL)
        assert client.get_model_metadata(MODEL).inputs[0].name == INPUT
    client.infer(MODEL, [tensor(data.test_x[:1])])
    with pytest.raises(triton.InferenceServerException):
        client.infer(MODEL, [tensor(data.test_x[:1, :5].copy())])

    def found() -> list[Outcome]:
        outcomes = counted(workspace)
        assert sum(each.count for each in outcomes) - before == 2, outcomes
        return outcomes

    outcomes = eventually("two units are counted", found)
    assert outcomes is not None
    assert {each.grpc for each in outcomes} == {0, 3}, "OK, INVALID_ARGUMENT"
    assert [each.is_rejected for each in outcomes if each.grpc] == [True]
    stable = workspace.get(MODEL)["status"]["stableRevision"]
    assert {each.served_by for each in outcomes} == {stable}


def test_a_container_serves_grpc_once_it_says_where(workspace: Workspace, data: Data) -> None:
    """As one that an older operator rendered, a revision without the port goes without it."""
    name = "foreign"
    where = ["--model-name", name, "--model-dir", "/mnt/model", "--grpc-port", "9001"]
    container = {"image": workspace.system.images["serving"], "args": ["serve", *where]}
    workspace.apply(workspace.model(name, runtime={"container": container}))
    workspace.wait_promoted(name)
    with calling(workspace, name) as client:
        with pytest.raises(triton.InferenceServerException, match="does not serve gRPC") as told:
            client.infer(name, [tensor(data.test_x)])
        assert told.value.status() == "StatusCode.UNIMPLEMENTED"
        assert len(workspace.predict(name, data.test_x)) == len(data.test_x)
        saying = {**container, "ports": {"http": 8080, "grpc": 9001}}
        workspace.apply(workspace.model(name, runtime={"container": saying}))
        workspace.wait_promoted(name)
        client.infer(name, [tensor(data.test_x)])

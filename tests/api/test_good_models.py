"""What the API server takes, what it fills in, and how a Model may change."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline_api.crd import NAME_LIMIT
from driftline_api.model import ModelSpec
from tests.api.builders import GOOD_MODEL, merged
from tests.conftest import Answer, ApiServer

MODELS = "/apis/driftline.dev/v1alpha1/namespaces/default/models"
FRAUD = f"{MODELS}/fraud"
GOOD = yaml.safe_load((Path(__file__).parent / "good_models.yaml").read_text())
MERGE = "application/merge-patch+json"


@pytest.fixture
def server(api_server: ApiServer) -> Iterator[ApiServer]:
    yield api_server
    api_server.request("DELETE", FRAUD)


def create(server: ApiServer, patch: Mapping[str, Any]) -> Answer:
    model = merged(GOOD_MODEL, patch)
    return server.request("POST", f"{MODELS}?fieldValidation=Strict", model)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["case"])
def test_taken_and_understood(server: ApiServer, case: dict[str, Any]) -> None:
    answer = create(server, case["model"])

    assert answer.status == 201, answer.message
    spec = ModelSpec.model_validate(answer.body["spec"])
    assert (spec.runtime.onnx is None) != (spec.runtime.container is None)


def test_the_longest_name_is_taken(api_server: ApiServer) -> None:
    longest = merged(GOOD_MODEL, {"metadata": {"name": "m" * NAME_LIMIT}})

    assert api_server.request("POST", f"{MODELS}?dryRun=All", longest).status == 201


def test_defaults_stand_in_what_is_stored(server: ApiServer) -> None:
    stored = create(server, {}).body

    assert stored["spec"] == {
        "artifact": {"uri": "s3://models/fraud/v3/model.onnx"},
        "replicas": 1,
        "rollout": {"progressDeadlineSeconds": 600},
        "monitoring": {
            "baseline": {"rows": 10_000},
            "expectedFalseAlarmsPerYear": 1,
            "tolerance": 0.1,
        },
        "revisionHistoryLimit": 5,
    }
    assert "status" not in stored


def test_defaults_of_the_types_are_those_of_the_api_server(server: ApiServer) -> None:
    sparse = {
        "artifact": {"uri": "s3://models/fraud.onnx"},
        "runtime": {"container": {"image": "server:1"}},
        "resources": {"requests": {"cpu": "1"}},
        "autoscaling": {"maxReplicas": 3},
    }

    stored = create(server, {"spec": sparse}).body["spec"]

    assert ModelSpec.model_validate(stored) == ModelSpec.model_validate(sparse)


def test_scaled_by_kubectl(server: ApiServer) -> None:
    create(server, {})

    scaled = server.request("PATCH", f"{FRAUD}/scale", {"spec": {"replicas": 4}}, MERGE)

    assert scaled.status == 200, scaled.message
    assert server.request("GET", FRAUD).body["spec"]["replicas"] == 4


@pytest.mark.parametrize("replicas", [0, 3])
def test_scale_beside_autoscaling_is_refused(server: ApiServer, replicas: int) -> None:
    resources = {"requests": {"cpu": "1"}}
    create(server, {"spec": {"resources": resources, "autoscaling": {"maxReplicas": 5}}})

    scaled = server.request("PATCH", f"{FRAUD}/scale", {"spec": {"replicas": replicas}}, MERGE)

    assert scaled.status == 422
    assert "autoscaling.minReplicas and maxReplicas" in scaled.message


@pytest.mark.parametrize("first", [{}, {"runtime": {"onnx": {}}}, {"runtime": {"onnx": None}}])
def test_runtime_can_be_changed_by_server_side_apply(
    server: ApiServer, first: dict[str, Any]
) -> None:
    assert server.apply(FRAUD, merged(GOOD_MODEL, {"spec": first})).status == 201

    changed = {"runtime": {"container": {"image": "server:1"}}}
    answer = server.apply(FRAUD, merged(GOOD_MODEL, {"spec": changed}))

    assert answer.status == 200, answer.message
    assert answer.body["spec"]["runtime"] == {
        "container": {"image": "server:1", "ports": {"http": 8080}, "observe": "Tap"}
    }


def test_autoscaling_can_take_the_place_of_replicas(server: ApiServer) -> None:
    assert server.apply(FRAUD, merged(GOOD_MODEL, {"spec": {"replicas": 3}})).status == 201

    autoscaled = {"resources": {"requests": {"cpu": "1"}}, "autoscaling": {"maxReplicas": 5}}
    answer = server.apply(FRAUD, merged(GOOD_MODEL, {"spec": autoscaled}))

    assert answer.status == 200, answer.message
    assert answer.body["spec"]["replicas"] == 1


def test_only_the_status_subresource_changes_the_status(server: ApiServer) -> None:
    create(server, {"status": {"phase": "Serving"}})

    assert "status" not in server.request("GET", FRAUD).body
    written = server.request("PATCH", f"{FRAUD}/status", {"status": {"phase": "Serving"}}, MERGE)
    assert written.body["status"] == {"phase": "Serving"}


def test_shown_in_columns(server: ApiServer) -> None:
    create(server, {})
    status = {
        "phase": "Serving",
        "stableRevision": "fraud-0123456789",
        "readyReplicas": 2,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Serving",
                "message": "2 of 2 pods are ready",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            },
            {
                "type": "DriftFree",
                "status": "False",
                "reason": "CovariateDrift",
                "message": "age has moved",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            },
        ],
    }
    server.request("PATCH", f"{FRAUD}/status", {"status": status}, MERGE)

    table = server.table(FRAUD)

    shown = [column["name"] for column in table["columnDefinitions"] if not column["priority"]]
    assert shown == ["Name", "Ready", "Phase", "Revision", "Pods", "Drift", "Age"]
    cells = ["fraud", "True", "Serving", "fraud-0123456789", 2, "CovariateDrift"]
    assert table["rows"][0]["cells"][:6] == cells

"""Whatever is wrong with a new revision: stable serves on, and status says what to do."""

from dataclasses import dataclass
from typing import Any

import pytest

from driftline_api.conditions import Reason
from e2e.models import Data
from e2e.workspace import Workspace

HOG = "x = bytearray(1)\nwhile True: x += bytearray(8_000_000)"
NOWHERE = "registry.invalid/nothing:1"
OTHER_DIGEST = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A broken second revision.

    Attributes:
        spec: fields that replace those of the good Model.
        artifact: fields that replace those of its artifact.
        reason: of the condition and the Event.
        says: a part of the message.
    """

    spec: dict[str, Any]
    artifact: dict[str, Any]
    reason: Reason
    says: str


def container(image: str, command: list[str] | None = None) -> dict[str, Any]:
    program = {"image": image} | ({"command": command} if command else {})
    return {"runtime": {"container": program}}


FAULTS = {
    "broken-artifact": lambda w: Fault(
        spec={},
        artifact={
            "uri": w.system.artifacts["broken"].uri,
            "digest": w.system.artifacts["broken"].digest,
        },
        reason=Reason.ARTIFACT_INVALID,
        says="model.onnx",
    ),
    "wrong-digest": lambda w: Fault(
        spec={}, artifact={"digest": OTHER_DIGEST}, reason=Reason.DIGEST_MISMATCH, says="000000"
    ),
    "missing-object": lambda w: Fault(
        spec={},
        artifact={"uri": w.system.artifacts["v1"].uri + ".gone", "digest": None},
        reason=Reason.ARTIFACT_NOT_FOUND,
        says=".gone",
    ),
    "missing-secret": lambda w: Fault(
        spec={},
        artifact={"secretRef": {"name": "not-there"}},
        reason=Reason.SECRET_NOT_FOUND,
        says="not-there",
    ),
    "image-that-is-not-there": lambda w: Fault(
        spec=container(NOWHERE), artifact={}, reason=Reason.IMAGE_PULL_FAILED, says=NOWHERE
    ),
    "crash-loop": lambda w: Fault(
        spec=container(w.system.images["serving"], ["python3", "-c", "raise SystemExit(3)"]),
        artifact={},
        reason=Reason.CRASH_LOOP,
        says="3",
    ),
    "out-of-memory": lambda w: Fault(
        spec=container(w.system.images["serving"], ["python3", "-c", HOG])
        | {"resources": {"requests": {"memory": "32Mi"}, "limits": {"memory": "64Mi"}}},
        artifact={},
        reason=Reason.OUT_OF_MEMORY,
        says="64Mi",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_stable_serves_on_and_status_says_what_is_wrong(
    workspace: Workspace, data: Data, fault: str
) -> None:
    workspace.apply(workspace.model(fault))
    stable = workspace.wait_promoted(fault)["status"]["stableRevision"]
    found = FAULTS[fault](workspace)
    broken = workspace.model(fault, **found.spec)
    artifact = {**broken["spec"]["artifact"], **found.artifact}
    broken["spec"]["artifact"] = {k: v for k, v in artifact.items() if v is not None}
    workspace.apply(broken)

    seen = workspace.wait_for(fault, "RolloutSucceeded", "False", found.reason, within=150)
    assert found.says in seen["message"]
    assert workspace.wait_for(fault, "Stalled", "True")["reason"] == found.reason
    workspace.wait_event(fault, found.reason)
    assert workspace.wait_for(fault, "Ready", "True")
    status = workspace.get(fault)["status"]
    assert status["stableRevision"] == stable
    assert [s["revision"] for s in status["traffic"]["shares"] if s["weight"] > 0] == [stable]
    assert len(workspace.predict(fault, data.test_x[:3])) == 3

    workspace.apply(workspace.model(fault))
    assert workspace.wait_promoted(fault)["status"]["stableRevision"] == stable


def test_a_first_revision_that_cannot_serve_is_stalled_and_recovers_when_mended(
    workspace: Workspace, data: Data
) -> None:
    model = workspace.model("first-bad")
    model["spec"]["artifact"]["secretRef"] = {"name": "late"}
    workspace.apply(model)
    workspace.wait_for("first-bad", "Stalled", "True", Reason.SECRET_NOT_FOUND)
    workspace.wait_for("first-bad", "Ready", "False")
    secret = workspace.system.credentials(workspace.namespace)
    workspace.apply({**secret, "metadata": {**secret["metadata"], "name": "late"}})
    workspace.wait_promoted("first-bad", within=150)
    assert len(workspace.predict("first-bad", data.test_x[:3])) == 3

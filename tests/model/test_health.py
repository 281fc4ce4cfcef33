"""One table for all causes: what the pods show, and what is told."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from driftline_api.conditions import Reason
from driftline_operator.model.health import CAUSES, PULL_PATIENCE, Problem, Suspect, diagnose
from driftline_operator.model.pods import parse_pod
from tests.model.builders import NOW, a_container, a_pod, ended

LATER = NOW + timedelta(days=1)
NEVER = None
AT_ONCE = NOW


def left(reason: str, message: str = "s3://models/iris.onnx is gone") -> str:
    return f'{{"reason":"{reason}","message":"{message}"}}'


def waiting(reason: str, message: str = "", **fields: Any) -> Suspect:
    return Suspect(pods=(a_pod(a_container(waiting=reason, message=message, **fields)),))


def failed(**fields: Any) -> Suspect:
    return Suspect(pods=(a_pod(a_container(**fields)),), memory="64Mi")


Row = tuple[Suspect, Reason, str, datetime | None]

#: What is seen; the reason; a part of the message; since when it is certain that someone must act.
TABLE: dict[str, Row] = {
    "fetcher found nothing": (
        failed(name="fetcher", ended=ended(message=left("ArtifactNotFound"))),
        Reason.ARTIFACT_NOT_FOUND,
        "s3://models/iris.onnx is gone",
        AT_ONCE,
    ),
    "fetcher is at it again": (
        failed(name="fetcher", last=ended(message=left("DigestMismatch", "not 0000"))),
        Reason.DIGEST_MISMATCH,
        "not 0000",
        AT_ONCE,
    ),
    "fetcher is refused": (
        failed(name="fetcher", ended=ended(message=left("ArtifactAccessDenied"))),
        Reason.ARTIFACT_ACCESS_DENIED,
        "fetcher of pod",
        AT_ONCE,
    ),
    "store is away": (
        failed(name="fetcher", ended=ended(message=left("ArtifactUnreachable"))),
        Reason.ARTIFACT_UNREACHABLE,
        "fetcher of pod",
        NEVER,
    ),
    "server cannot load the model": (
        failed(ended=ended(message=left("ArtifactInvalid", "no graph")), restarts=4),
        Reason.ARTIFACT_INVALID,
        "no graph",
        AT_ONCE,
    ),
    "secret is not there": (
        waiting("CreateContainerConfigError", 'secret "models-s3" not found'),
        Reason.SECRET_NOT_FOUND,
        '"models-s3"',
        AT_ONCE,
    ),
    "secret lacks a key": (
        waiting("CreateContainerConfigError", "couldn't find key token in Secret team/models-s3"),
        Reason.SECRET_NOT_FOUND,
        "key token",
        AT_ONCE,
    ),
    "image is not there": (
        waiting("ErrImagePull", "failed to resolve: team/server:1: not found"),
        Reason.IMAGE_PULL_FAILED,
        "team/server:1 of pod iris-aaaaaaaaaa-x cannot be pulled: it is not there",
        NOW + PULL_PATIENCE,
    ),
    "image is kept from us": (
        waiting("ImagePullBackOff", "Back-off pulling image: ErrImagePull: 401 Unauthorized"),
        Reason.IMAGE_PULL_FAILED,
        "access is denied",
        NOW + PULL_PATIENCE,
    ),
    "image has no valid name": (
        waiting("InvalidImageName", "couldn't parse image name"),
        Reason.IMAGE_PULL_FAILED,
        "cannot be pulled",
        AT_ONCE,
    ),
    "killed at its memory limit": (
        failed(last=ended(137, reason="OOMKilled"), restarts=1),
        Reason.OUT_OF_MEMORY,
        "limit of 64Mi, twice",
        AT_ONCE,
    ),
    "killed at its memory limit for the first time": (
        failed(ended=ended(137, reason="OOMKilled")),
        Reason.OUT_OF_MEMORY,
        "once",
        NEVER,
    ),
    "crashes": (
        failed(last=ended(3, "ValueError: no such thing"), restarts=2, waiting="CrashLoopBackOff"),
        Reason.CRASH_LOOP,
        "code 3, 3 times or more: ValueError: no such thing",
        AT_ONCE,
    ),
    "crashed once": (failed(ended=ended(3)), Reason.CRASH_LOOP, "code 3, once", NEVER),
    "ends well, again and again": (
        failed(last=ended(0), restarts=2, waiting="CrashLoopBackOff"),
        Reason.CRASH_LOOP,
        "code 0",
        AT_ONCE,
    ),
    "has no such program": (
        waiting("RunContainerError", "exec: /server: no such file", last=ended(128), restarts=1),
        Reason.CRASH_LOOP,
        "/server: no such file",
        NOW + PULL_PATIENCE,
    ),
    "would run as root": (
        waiting("CreateContainerConfigError", "image will run as root"),
        Reason.CRASH_LOOP,
        "image will run as root",
        NOW + PULL_PATIENCE,
    ),
    "no node fits": (
        Suspect(pods=(a_pod(unschedulable="0/3 nodes: Insufficient cpu"),)),
        Reason.UNSCHEDULABLE,
        "0/3 nodes",
        NEVER,
    ),
    "quota is used up": (
        Suspect(refused="pods is forbidden: exceeded quota: team"),
        Reason.CHILD_REFUSED,
        "exceeded quota",
        NEVER,
    ),
    "pod security refuses": (
        Suspect(refused="violates PodSecurity restricted"),
        Reason.CHILD_REFUSED,
        "violates PodSecurity",
        AT_ONCE,
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_names_the_cause_and_when_a_person_must_act(row: Row) -> None:
    suspect, reason, message, certain = row
    found = diagnose(suspect)
    assert found
    assert found.reason == reason
    assert message in found.message
    assert found.remedy
    assert found.is_certain(LATER) == (certain is not None)
    if certain is not None:
        assert found.is_certain(certain)
        assert found.is_certain(certain - timedelta(seconds=1)) == (certain == NOW)


def test_every_cause_is_in_the_table() -> None:
    found = {cause for cause in CAUSES for row in TABLE.values() if cause(row[0])}
    assert found == set(CAUSES)


HEALTHY = {
    "nothing yet": Suspect(),
    "creating": waiting("ContainerCreating"),
    "waiting for the fetcher": waiting("PodInitializing"),
    "the fetcher is done, after a second try": failed(
        name="fetcher", ended=ended(0), last=ended(message=left("ArtifactUnreachable")), ready=True
    ),
    "ready again": Suspect(
        pods=(a_pod(a_container(last=ended(3), restarts=9, ready=True), ready=True),)
    ),
    "loading": failed(),
}


@pytest.mark.parametrize("suspect", HEALTHY.values(), ids=HEALTHY.keys())
def test_sees_no_problem_where_there_is_none(suspect: Suspect) -> None:
    assert diagnose(suspect) is None


def test_the_surest_cause_is_told_first() -> None:
    crashed = a_pod(a_container(last=ended(1), restarts=5))
    denied = a_pod(a_container(name="fetcher", ended=ended(message=left("DigestMismatch"))))
    lost = a_pod(unschedulable="0/1 nodes")
    found = diagnose(Suspect(pods=(lost, crashed, denied), refused="exceeded quota"))
    assert found
    assert found.reason == Reason.DIGEST_MISMATCH


def test_a_message_does_not_move_with_every_try() -> None:
    tries = [
        waiting("ErrImagePull", "rpc error: id=1: team/server:1: not found"),
        waiting("ImagePullBackOff", 'Back-off pulling "team/server:1": ErrImagePull: not found'),
    ]
    crashes = [failed(last=ended(3), restarts=restarts) for restarts in (2, 3, 17)]
    assert len({_told(suspect) for suspect in tries}) == 1
    assert len({_told(suspect) for suspect in crashes}) == 1


def _told(suspect: Suspect) -> tuple[Reason, str]:
    found = diagnose(suspect)
    assert isinstance(found, Problem)
    return found.reason, found.message


def test_a_pod_is_read_from_what_the_kubelet_writes() -> None:
    manifest = {
        "metadata": {
            "name": "iris-aaaaaaaaaa-x",
            "creationTimestamp": "2026-03-04T05:06:07Z",
            "labels": {"driftline.dev/revision": "iris-aaaaaaaaaa"},
            "ownerReferences": [{"uid": "other"}, {"uid": "set", "controller": True}],
        },
        "status": {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "False"},
            ],
            "initContainerStatuses": [
                {
                    "name": "fetcher",
                    "image": "serving:1",
                    "restartCount": 2,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                    "lastState": {
                        "terminated": {
                            "exitCode": 1,
                            "reason": "Error",
                            "message": left("ArtifactNotFound"),
                        }
                    },
                }
            ],
            "containerStatuses": [
                {"name": "server", "state": {"waiting": {"reason": "PodInitializing"}}}
            ],
        },
    }
    pod = parse_pod(manifest)
    assert pod
    assert (pod.revision, pod.owner, pod.created) == ("iris-aaaaaaaaaa", "set", NOW)
    assert [each.name for each in pod.containers] == ["fetcher", "server"]
    found = diagnose(Suspect(pods=(pod,)))
    assert found
    assert found.reason == Reason.ARTIFACT_NOT_FOUND


def test_a_pod_that_is_being_deleted_is_no_witness() -> None:
    meta = {"name": "gone", "deletionTimestamp": "2026-03-04T05:06:07Z"}
    assert parse_pod({"metadata": meta}) is None

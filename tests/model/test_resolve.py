"""An artifact without a digest is looked at once, by a Job."""

from datetime import timedelta
from typing import Any

import pytest

from driftline_api.conditions import Reason
from driftline_api.model import ModelSpec
from driftline_operator.core.plan import Manifest
from driftline_operator.model.children import resolver_name
from driftline_operator.model.observed import PodView
from driftline_operator.model.resolve import RETRY, Resolution, plan_resolution
from driftline_operator.model.revision import artifact_hash
from tests.model.builders import (
    DIGEST,
    IMAGES,
    NOW,
    OTHER_DIGEST,
    a_container,
    a_model,
    a_pod,
    a_record,
    a_spec,
    a_subject,
    ended,
    observed,
    the_run,
)
from tests.model.invariants import INVARIANTS
from tests.model.world import World

SPEC = ModelSpec.model_validate(a_spec(digest=None))
HASH = artifact_hash(SPEC.artifact)
JOB = resolver_name("iris", HASH)
FOUND = ended(0, f'{{"digest":"{OTHER_DIGEST}","size":7}}', "Completed")


def resolver(**container: Any) -> PodView:
    given = a_container("resolver", **container)
    return a_pod(given, revision="", owner="uid-of-job", finished=True)


def resolved(*records: Any, now: float = 0, **fields: Any) -> Resolution:
    seen = observed(a_subject(digest=None), *records, **fields)
    return plan_resolution(seen, SPEC, IMAGES, NOW + timedelta(seconds=now))


def test_a_given_digest_is_taken_as_it_is() -> None:
    spec = ModelSpec.model_validate(a_spec(artifact={"secretRef": {"name": "models-s3"}}))
    found = plan_resolution(observed(a_subject()), spec, IMAGES, NOW)
    assert found.pinned
    assert (found.pinned.digest, found.pinned.secret) == (DIGEST, "models-s3")
    assert found.job is None


def test_a_digest_that_was_found_for_this_very_artifact_is_taken_again() -> None:
    found = resolved(a_record(resolved_from=("other", HASH)))
    assert found.pinned
    assert found.pinned.digest == DIGEST
    assert found.job is None


def test_a_digest_that_was_found_for_another_is_not() -> None:
    found = resolved(a_record(resolved_from=("other",)))
    assert found.pinned is None
    assert found.job
    assert found.job["metadata"]["name"] == JOB


def test_a_result_counts_only_from_the_jobs_own_pod() -> None:
    mine, theirs = resolver(ended=FOUND), a_pod(a_container(ended=FOUND), owner="other")
    assert resolved(runs=(the_run(),), pods=(theirs,)).pinned is None
    found = resolved(runs=(the_run(),), pods=(theirs, mine))
    assert found.pinned
    assert found.pinned.digest == OTHER_DIGEST
    assert found.kept == JOB, "until the ControllerRevision is seen"


@pytest.mark.parametrize("message", ["", "{}", '{"digest":"md5:1"}', "[1]", '{"digest":7}'])
def test_what_is_not_a_digest_is_no_result(message: str) -> None:
    assert resolved(runs=(the_run(),), pods=(resolver(ended=ended(0, message)),)).pinned is None


def test_a_failing_job_says_why_before_it_has_failed_for_good() -> None:
    gone = ended(1, '{"reason":"ArtifactNotFound","message":"s3://models/iris.onnx"}')
    found = resolved(runs=(the_run(),), pods=(resolver(ended=gone),))
    assert found.problem
    assert found.problem.reason == Reason.ARTIFACT_NOT_FOUND
    assert found.problem.is_certain(NOW)
    assert found.kept == JOB


def test_a_job_that_has_failed_for_good_is_made_anew_in_time() -> None:
    run = the_run(outcome="Failed", ended=NOW, message="backoff limit exceeded")
    early = resolved(runs=(run,))
    assert early.kept == JOB
    assert early.due == NOW + RETRY
    assert early.problem
    assert "backoff limit exceeded" in early.problem.message
    assert early.problem.is_certain(NOW)
    late = resolved(runs=(run,), now=RETRY.total_seconds())
    assert late.kept is None


def test_a_job_that_succeeded_without_a_result_is_made_anew_in_time() -> None:
    run = the_run(outcome="Complete", ended=NOW)
    assert resolved(runs=(run,)).kept == JOB
    assert resolved(runs=(run,), now=60).kept is None


def test_a_job_for_another_service_account_is_made_anew() -> None:
    spec = ModelSpec.model_validate(a_spec(digest=None, serviceAccountName="corrected"))
    seen = observed(a_subject(digest=None), runs=(the_run(),))
    assert plan_resolution(seen, spec, IMAGES, NOW).kept is None


def finish_job(world: World, digest: str) -> Manifest:
    """Let the resolving Job end with a digest."""
    (job,) = world.memory.everything("Job")
    meta = {
        "name": f"{job['metadata']['name']}-x",
        "namespace": "team",
        "labels": dict(job["spec"]["template"]["metadata"]["labels"]),
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": job["metadata"]["name"],
                "uid": job["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    world.memory.create_as("kubelet", {"apiVersion": "v1", "kind": "Pod", "metadata": meta})
    done = {"exitCode": 0, "message": f'{{"digest":"{digest}","size":1}}'}
    status = {"name": "resolver", "state": {"terminated": done}}
    world.memory.set_status(
        world.ref("Pod", f"{job['metadata']['name']}-x"),
        {"phase": "Succeeded", "containerStatuses": [status]},
    )
    return job


@pytest.fixture
def moving() -> World:
    """A Model whose artifact was resolved to DIGEST, and serves."""
    world = World()
    world.checks.extend(INVARIANTS)
    world.apply(a_model(digest=None))
    world.settle()
    assert world.condition("Reconciling") == ("True", "ResolvingArtifact")
    finish_job(world, DIGEST)
    world.finish()
    return world


def test_what_the_job_found_is_pinned_and_the_job_goes(moving: World) -> None:
    assert moving.status.digest == DIGEST
    assert moving.names("Job") == []
    assert moving.condition("RolloutSucceeded") == ("True", "Promoted")
    assert moving.events()[0] == "ResolvingArtifact"


def test_scaling_looks_at_nothing_again(moving: World) -> None:
    written = len(moving.writes.done)
    moving.edit(lambda spec: spec.update(replicas=3))
    moving.finish()
    assert ("Job", "apply") not in moving.writes.done[written:]
    assert moving.status.ready_replicas == 3


def test_a_refresh_token_has_the_same_uri_looked_at_again(moving: World) -> None:
    stable = moving.status.stable_revision
    moving.edit(lambda spec: spec["artifact"].update(refreshToken="again"))
    moving.settle()
    assert moving.condition("Ready") == ("True", "Serving")
    finish_job(moving, OTHER_DIGEST)
    moving.finish()
    assert moving.status.digest == OTHER_DIGEST
    assert moving.status.stable_revision != stable


def test_a_refresh_that_finds_the_same_makes_no_revision_and_is_not_done_again(
    moving: World,
) -> None:
    stable = moving.status.stable_revision
    moving.edit(lambda spec: spec["artifact"].update(refreshToken="again"))
    moving.settle()
    finish_job(moving, DIGEST)
    moving.finish()
    assert moving.status.stable_revision == stable
    assert moving.names("ControllerRevision") == [stable]
    assert moving.names("Job") == []
    assert moving.condition("RolloutSucceeded") == ("True", "Promoted")
    moving.edit(lambda spec: spec["artifact"].pop("refreshToken"))
    moving.finish()
    assert moving.condition("RolloutSucceeded") == ("True", "Promoted")
    assert moving.names("Job") == [], "the first artifact's digest is remembered as well"


def test_an_operator_with_another_image_leaves_a_running_job_alone() -> None:
    world = World()
    world.apply(a_model(digest=None))
    world.settle()
    world.restart(type(IMAGES)(serving="registry.example.com/driftline-serving:2"))
    written = len(world.writes.done)
    world.settle()
    assert len(world.writes.done) == written
    assert world.condition("Stalled") == ("", "")

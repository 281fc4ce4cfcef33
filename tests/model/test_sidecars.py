"""What stands beside a server: it may watch, and it may never be in the way."""

from typing import Any

import pytest

from driftline_api.model import ModelSpec
from driftline_operator.core.plan import Manifest
from driftline_operator.model.children import render_headless_service
from driftline_operator.model.containers import Identity
from driftline_operator.model.gather import gather
from driftline_operator.model.observed import Pinned, PodView
from driftline_operator.model.pods import parse_pod
from driftline_operator.model.revision import plan_target, revision_name
from driftline_operator.model.template import render_server_template
from driftline_operator.router.traffic import RouterView
from tests.model.builders import DIGEST, IMAGES, NAMESPACE, a_spec, a_subject, observed

PINNED = Pinned(uri="s3://models/iris.onnx", digest=DIGEST, secret="models-s3")
REVISION = "iris-aaaaaaaaaa"
PROXIED = {"container": {"image": "server:1", "ports": {"http": 9000}, "observe": "Proxy"}}
FOREIGN = {"container": {"image": "server:1", "ports": {"http": 9000}}}


def template(**spec: Any) -> dict[str, Any]:
    """Return the pod template of a spec."""
    identity = Identity(model="iris", revision=REVISION)
    return render_server_template(
        ModelSpec.model_validate(a_spec(**spec)), PINNED, identity, IMAGES
    )


def containers(**spec: Any) -> dict[str, dict[str, Any]]:
    """Return the containers of a spec, by name."""
    return {each["name"]: each for each in template(**spec)["spec"]["containers"]}


@pytest.mark.parametrize(
    ("runtime", "names"),
    [
        ({}, ["server", "monitor"]),
        (FOREIGN, ["server", "monitor"]),
        (PROXIED, ["server", "proxy", "monitor"]),
    ],
)
def test_every_pod_holds_a_monitor(runtime: dict[str, Any], names: list[str]) -> None:
    assert list(containers(runtime=runtime)) == names


def test_a_monitor_never_keeps_its_pod_from_being_ready() -> None:
    assert not {"readinessProbe", "startupProbe"} & containers()["monitor"].keys()


def test_a_monitor_gets_the_credentials_of_the_artifact_for_its_baseline() -> None:
    assert containers()["monitor"]["envFrom"] == [{"secretRef": {"name": "models-s3"}}]


def test_a_foreign_server_gets_neither_keys_nor_credentials() -> None:
    server = containers(runtime=FOREIGN)["server"]
    mounts = {each["name"] for each in server["volumeMounts"]}
    assert mounts == {"model", "tmp", "tap"}
    assert "envFrom" not in server


def test_a_proxy_stands_where_the_server_is_found_and_is_ready_when_that_is() -> None:
    proxy = containers(runtime=PROXIED)["proxy"]
    made = plan_target(
        observed(a_subject()), ModelSpec.model_validate(a_spec(runtime=PROXIED)), PINNED, IMAGES
    )
    assert (made.port, made.grpc_port) == (8086, None)
    assert "8086:9000" in proxy["args"]
    assert proxy["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": "proxy"}


def test_how_it_is_observed_is_part_of_a_revision_and_how_it_is_watched_is_not() -> None:
    def named(**spec: Any) -> str:
        return revision_name("iris", ModelSpec.model_validate(a_spec(**spec)), PINNED)

    assert named(runtime=FOREIGN) != named(runtime=PROXIED)
    assert named() == named(monitoring={"tolerance": 0.3, "exclude": ["age"]})
    tapped = {"container": {**FOREIGN["container"], "observe": "Tap"}}
    assert named(runtime=FOREIGN) == named(runtime=tapped), "a default changes no name"


def test_routers_find_all_pods_since_they_ask_each_server_themselves() -> None:
    record = plan_target(observed(a_subject()), ModelSpec.model_validate(a_spec()), PINNED, IMAGES)
    service = render_headless_service(a_subject(), record)
    assert service["spec"]["publishNotReadyAddresses"] is True


def a_pod(ready: bool, **containers: bool) -> Manifest:
    """Return a pod whose containers are ready or not."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{REVISION}-x",
            "namespace": NAMESPACE,
            "uid": "uid-of-pod",
            "resourceVersion": "1",
            "labels": {"driftline.dev/revision": REVISION, "driftline.dev/model": "iris"},
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [
                {"name": name, "ready": up, "restartCount": 5, "state": {"waiting": {}}}
                for name, up in containers.items()
            ],
        },
    }


def the_pod(ready: bool, **containers: bool) -> PodView:
    """Return how a pod is seen."""
    pod = parse_pod(a_pod(ready, **containers))
    assert pod
    return pod


@pytest.mark.parametrize(
    ("pod", "serves"),
    [
        (the_pod(True, server=True, monitor=True), True),
        (the_pod(False, server=True, monitor=False), True),
        (the_pod(False, server=True, proxy=False, monitor=False), False),
        (the_pod(False, server=False, monitor=True), False),
        (the_pod(False, server=False, monitor=False), False),
        (the_pod(False, server=True, monitor=True), False),
        (the_pod(False, server=False), False),
        (the_pod(False), False),
    ],
    ids=[
        "ready",
        "without its monitor",
        "without its proxy",
        "without its server",
        "without both",
        "on a node that is gone",
        "of an earlier operator",
        "not started",
    ],
)
def test_a_pod_serves(pod: PodView, serves: bool) -> None:
    assert pod.ready is serves


def test_a_monitor_that_crashes_is_no_reason_why_a_revision_does_not_start() -> None:
    pod = the_pod(False, server=False, monitor=False)
    assert [each.name for each in pod.containers] == ["server"]


class Snapshot:
    """A Store that holds what a test says."""

    def __init__(self, *manifests: Manifest) -> None:
        self.manifests = manifests

    def owned(self, namespace: str, model: str, kind: str = "") -> tuple[Manifest, ...]:  # noqa: ARG002 - the Store's
        return self.manifests


@pytest.mark.parametrize(("up", "ready"), [(True, 1), (False, 0)])
def test_a_revision_whose_monitors_are_dead_still_counts_as_ready(up: bool, ready: int) -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": REVISION,
            "namespace": NAMESPACE,
            "uid": "uid-of-deployment",
            "resourceVersion": "2",
            "labels": {"driftline.dev/revision": REVISION},
            "ownerReferences": [{"uid": "uid-of-iris", "kind": "Model", "name": "iris"}],
        },
        "spec": {"replicas": 1},
        "status": {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 0},
    }
    model = {
        "metadata": {
            "name": "iris",
            "namespace": NAMESPACE,
            "uid": "uid-of-iris",
            "resourceVersion": "3",
        },
        "spec": a_spec(),
    }
    store = Snapshot(deployment, a_pod(False, server=up, monitor=False))

    seen = gather(model, store, RouterView(), ())  # type: ignore[arg-type] # all that is asked of it

    assert seen.workloads[REVISION].ready == ready

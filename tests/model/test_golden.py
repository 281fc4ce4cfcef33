"""What the operator creates is what was reviewed, and the real API server takes it.

After a change on purpose, `python -m tests.model.test_golden` writes the files anew; read the diff.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline_api.model import ModelSpec, ModelStatus, Share, Traffic
from driftline_operator.core.kinds import KINDS
from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.model.containers import Images
from driftline_operator.model.plan import plan_model
from driftline_operator.router.traffic import RouterView, traffic_hash
from tests.conftest import ApiServer
from tests.model.builders import NOW, a_subject, a_workload, observed

GOLDEN = Path(__file__).parent / "golden"
GIVEN = sorted((GOLDEN / "given").glob("*.yaml"))
IMAGES = Images(
    serving="registry.example.com/driftline-serving:1.0",
    pull_policy="Always",
    pull_secrets=("mirror",),
    monitor={"requests": {"cpu": "1m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
    proxy={"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
)
_WITH_PODS = {"Deployment", "Job"}
PLURALS = {each.kind: each.plural for each in KINDS.values()}


def rendered(given: Path) -> list[Manifest]:
    """Return all that a Model owns once its first revision is about to become stable."""
    spec = yaml.safe_load(given.read_text())["spec"]
    model = replace(a_subject(), spec=ModelSpec.model_validate(spec))
    first = observed(model)
    plan = plan_model(first, IMAGES, NOW)
    assert plan.status
    target = plan.status.status.get("targetRevision")
    if target is None:
        return list(plan.apply)
    shares = [Share(arm="stable", revision=target, weight=100)]
    traffic = Traffic(epoch=1, shares=shares, clusters=[target])
    serving = observed(
        replace(model, status=ModelStatus(traffic=traffic)),
        workloads={target: a_workload(target, ready=2, replicas=2)},
        router=RouterView(
            port=10_007,
            acknowledged=traffic_hash(traffic, 10_007),
            reached=frozenset({target}),
            ready_replicas=2,
        ),
    )
    return list(plan_model(serving, IMAGES, NOW).apply)


class Plain(yaml.SafeDumper):
    """Writes what stands twice twice: for people."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's
        return True


def text(manifests: list[Manifest]) -> str:
    """Return manifests as YAML, in the order in which they are applied."""
    return yaml.dump_all(manifests, Dumper=Plain, sort_keys=True, width=100)


@pytest.mark.parametrize("given", GIVEN, ids=lambda path: path.stem)
def test_renders_the_golden_file(given: Path) -> None:
    assert text(rendered(given)) == (GOLDEN / "rendered" / given.name).read_text()


def test_every_kind_of_child_is_in_a_golden_file() -> None:
    kinds = {manifest["kind"] for given in GIVEN for manifest in rendered(given)}
    assert kinds == {
        "ControllerRevision",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "PodDisruptionBudget",
        "Service",
    }


@pytest.mark.parametrize("given", GIVEN, ids=lambda path: path.stem)
def test_the_real_api_server_takes_it_and_the_same_again_changes_nothing(
    given: Path, api_server: ApiServer
) -> None:
    namespace = f"golden-{given.stem}"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    assert api_server.request("POST", "/api/v1/namespaces", made).status == 201
    for manifest in rendered(given):
        ref = ObjectRef.of(manifest)
        root = "/api/v1" if ref.api_version == "v1" else f"/apis/{ref.api_version}"
        path = f"{root}/namespaces/{namespace}/{PLURALS[ref.kind]}/{ref.name}"
        # Without the owner, which is not there: garbage would be collected between two applies.
        meta = {key: at for key, at in manifest["metadata"].items() if key != "ownerReferences"}
        mine = {**manifest, "metadata": {**meta, "namespace": namespace}}
        first = api_server.apply(path, mine)
        assert first.status == 201, (ref, first.message)
        again = api_server.apply(path, mine)
        assert again.status == 200, (ref, again.message)
        version = again.body["metadata"]["resourceVersion"]
        assert version == first.body["metadata"]["resourceVersion"], ref


@pytest.mark.parametrize("name", ["plain", "resolving"])
def test_a_namespace_with_restricted_pod_security_admits_the_pods(
    name: str, api_server: ApiServer
) -> None:
    namespace = f"restricted-{name}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    meta = {"name": namespace, "labels": labels}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    root = f"/api/v1/namespaces/{namespace}"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    assert api_server.request("POST", "/api/v1/namespaces", made).status == 201
    assert api_server.request("POST", f"{root}/serviceaccounts", account).status == 201
    with_pods = [m for m in rendered(GOLDEN / "given" / f"{name}.yaml") if m["kind"] in _WITH_PODS]
    for manifest in with_pods:
        template = manifest["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
        pod["metadata"] = {**template["metadata"], "name": "pod"}
        answer = api_server.request("POST", f"{root}/pods?dryRun=All", pod)
        assert answer.status == 201, answer.message
    assert with_pods


if __name__ == "__main__":
    for each in GIVEN:
        (GOLDEN / "rendered" / each.name).write_text(text(rendered(each)))

"""Install, upgrade and uninstall with the real helm; pods are for the cluster suite."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.chart_check import CHART, HelmError, helm
from tests.conftest import ApiServer

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/models.driftline.dev"
NAMESPACE = "driftline-release"
OPERATOR = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/driftline-operator"


class Release:
    """A release of the chart on the API server."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    def helm(self, *arguments: str, values: str = "{}", namespace: str = NAMESPACE) -> str:
        flags = [f"--kubeconfig={self.server.plane.kubeconfig}", f"--namespace={namespace}"]
        given = [] if arguments[0] == "uninstall" else ["--values=-"]
        return helm(*arguments, *flags, *given, stdin=values)

    def install(self, *flags: str, values: str = "{}") -> str:
        # The CRD is there already, as other tests need it, and belongs to no release.
        more = ["--create-namespace", "--take-ownership", *flags]
        return self.helm("install", "driftline", str(CHART), *more, values=values)

    def crd(self) -> dict[str, Any]:
        return self.server.request("GET", CRD).body


@pytest.fixture
def release(api_server: ApiServer) -> Iterator[Release]:
    made = Release(api_server)
    yield made
    made.helm("uninstall", "driftline", "--ignore-not-found")


def chart_with_newer_crd(directory: Path) -> Path:
    copy = directory / "driftline"
    shutil.copytree(CHART, copy)
    file = copy / "files" / "crds" / "models.driftline.dev.yaml"
    file.write_text(file.read_text().replace("- dlm\n", "- dlm\n    - newer\n"))
    return copy


def test_upgrade_changes_the_crd_and_uninstall_leaves_it(release: Release, tmp_path: Path) -> None:
    release.install()
    release.helm("upgrade", "driftline", str(chart_with_newer_crd(tmp_path)))
    assert release.crd()["spec"]["names"]["shortNames"] == ["dlm", "newer"]

    release.helm("upgrade", "driftline", str(CHART))
    assert release.crd()["spec"]["names"]["shortNames"] == ["dlm"]

    uid = release.crd()["metadata"]["uid"]
    release.helm("uninstall", "driftline")

    assert release.server.request("GET", OPERATOR).status == 404
    assert release.crd()["metadata"]["uid"] == uid


def test_installed_again_after_an_uninstall(release: Release) -> None:
    release.install()
    release.helm("uninstall", "driftline")

    release.helm("install", "driftline", str(CHART))

    assert release.server.request("GET", OPERATOR).status == 200


def test_models_outlive_the_release(release: Release) -> None:
    path = "/apis/driftline.dev/v1alpha1/namespaces/default/models"
    model = {
        "apiVersion": "driftline.dev/v1alpha1",
        "kind": "Model",
        "metadata": {"name": "outlives"},
        "spec": {"artifact": {"uri": "s3://models/a.onnx"}},
    }
    release.install()
    release.server.request("POST", path, model)

    release.helm("uninstall", "driftline")

    assert release.server.request("DELETE", f"{path}/outlives").status == 200


def test_the_same_values_again_change_no_object(release: Release) -> None:
    release.install()
    before = release.server.request("GET", OPERATOR).body["metadata"]["resourceVersion"]

    release.helm("upgrade", "driftline", str(CHART))

    after = release.server.request("GET", OPERATOR).body["metadata"]["resourceVersion"]
    assert after == before


def test_a_second_operator_for_all_namespaces_is_refused(release: Release) -> None:
    release.install()
    values = "crds: {install: false}"

    with pytest.raises(HelmError, match="ClusterRole"):
        release.helm("install", "other", str(CHART), values=values, namespace="default")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{}", "kubectl apply -n default -f -"),
        ("watchNamespaces: [team-a, team-b]", "kubectl apply -n team-a -f -"),
        ("crds: {install: false}", "apply those of version 0.1.0 yourself"),
        ("metrics: {podMonitor: {enabled: true}}", "Install the Prometheus\noperator"),
    ],
)
def test_notes_say_the_next_command(release: Release, values: str, said: str) -> None:
    printed = release.install("--dry-run=server", values=values)

    assert said in printed.partition("NOTES:")[2]

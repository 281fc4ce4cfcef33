"""A wrong value is refused before anything is installed, with its name."""

import pytest
import yaml

from e2e.chart_check import CHART, HelmError, render
from tests.chart.rendering import rendered, the

REFUSED = [
    ("replica: 3", "replica"),
    ("operator: {replicas: 0}", "/operator/replicas"),
    ("operator: {replicas: two}", "/operator/replicas"),
    ("operator: {resource: {}}", "/operator"),
    ("operator: {resources: {limit: {memory: 1Gi}}}", "/operator/resources"),
    ("operator: {podDisruptionBudget: {maxUnavailable: 0}}", "/podDisruptionBudget/maxUnavailable"),
    ("operator: {env: [{value: x}]}", "/operator/env/0"),
    ("operator: {podLabels: {a: 1}}", "/operator/podLabels/a"),
    ("router: {replicas: 0}", "/router/replicas"),
    ("watchNamespaces: team-a", "/watchNamespaces"),
    ("watchNamespaces: [Team_A]", "/watchNamespaces/0"),
    ("watchNamespaces: [a, a]", "/watchNamespaces"),
    ("images: {pullPolicy: Sometimes}", "/images/pullPolicy"),
    ("images: {operator: {name: x}}", "/images/operator"),
    ("images: {operator: {tag: 'a b'}}", "/images/operator/tag"),
    ("images: {operator: {tag: 1}}", "/images/operator/tag"),
    ("images: {operator: {digest: latest}}", "/images/operator/digest"),
    ("images: {serving: {registry: 'https://registry.example'}}", "/images/serving/registry"),
    ("global: {imageRegistry: registry.example/}", "/global/imageRegistry"),
    ("imagePullSecrets: [mirror]", "/imagePullSecrets/0"),
    ("fullnameOverride: Driftline", "/fullnameOverride"),
    ("clusterDomain: .local", "/clusterDomain"),
    ("crds: {keep: 'yes'}", "/crds/keep"),
    ("networkPolicy: {apiServer: {ports: []}}", "/networkPolicy/apiServer/ports"),
    ("networkPolicy: {apiServer: {cidrs: [192.0.2.1]}}", "/networkPolicy/apiServer/cidrs/0"),
    ("metrics: {serviceMonitor: {interval: often}}", "/metrics/serviceMonitor/interval"),
    ("commonLabels: {a: null, b: 2}", "/commonLabels/b"),
    ("serviceAccount: {create: false}", "serviceAccount.name is needed"),
]


@pytest.mark.parametrize(("values", "named"), REFUSED, ids=[values for values, _ in REFUSED])
def test_refused_with_its_name(values: str, named: str) -> None:
    with pytest.raises(HelmError) as refusal:
        render(values)

    assert named in str(refusal.value).replace(".", "/") or named in str(refusal.value)


def environment(values: str) -> dict[str, str]:
    container = the(rendered(values), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_every_image_comes_from_the_registry_inside() -> None:
    inside = "registry.internal.example:5000/mirror"
    pod = the(rendered("airgapped"), "Deployment")["spec"]["template"]["spec"]
    env = environment("airgapped")

    assert pod["containers"][0]["image"] == f"{inside}/driftline-operator:0.1.0-a1"
    assert env["DRIFTLINE_SERVING_IMAGE"].startswith(f"{inside}/driftline-serving@sha256:")
    assert env["DRIFTLINE_ROUTER_IMAGE"] == f"{inside}/envoy:v1.40.0"
    assert env["DRIFTLINE_IMAGE_PULL_SECRETS"] == "mirror,mirror-2"
    assert pod["imagePullSecrets"] == [{"name": "mirror"}, {"name": "mirror-2"}]


def test_every_value_of_the_chart_is_in_its_schema() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert set(schema["properties"]) == set(values)

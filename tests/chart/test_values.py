"""A wrong value is refused before anything is installed, with its name."""

import pytest
import yaml

from driftline_operator.config import OperatorConfig
from driftline_operator.shell.wiring import LEASE_NAME
from e2e.chart_check import CHART, HelmError, render, value_sets
from tests.chart.rendering import of_kind, rendered, the

REFUSED = [
    ("replica: 3", "replica"),
    ("operator: {replicas: 0}", "/operator/replicas"),
    ("operator: {logLevel: info}", "/operator/logLevel"),
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
    ("metrics: {prometheusRule: {runbooks: docs}}", "/metrics/prometheusRule/runbooks"),
    ("metrics: {dashboard: {labels: {a: 1}}}", "/metrics/dashboard/labels/a"),
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


@pytest.mark.parametrize("values", [path.stem for path in value_sets()])
def test_operator_understands_its_environment(values: str) -> None:
    pod = {"POD_NAME": "operator-1", "POD_NAMESPACE": "driftline-system"}

    config = OperatorConfig.from_env(environment(values) | pod)

    assert config.xds_host.startswith("driftline-operator.driftline-system.svc.")
    assert "memory" in config.router_resources["limits"]


def test_operator_is_told_every_value() -> None:
    pod = {"POD_NAME": "operator-1", "POD_NAMESPACE": "driftline-system"}
    config = OperatorConfig.from_env(environment("airgapped") | pod)

    assert config.image_pull_secrets == ("mirror", "mirror-2")
    assert config.image_pull_policy == "Always"
    assert config.cluster_domain == "corp.internal"
    assert config.router_replicas == 3
    assert config.router_resources == {
        "limits": {"cpu": 2, "memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "64Mi"},
    }
    assert environment("airgapped")["DRIFTLINE_LOG_LEVEL"] == "DEBUG"
    scoped = OperatorConfig.from_env(environment("namespaced") | pod)
    assert scoped.watch_namespaces == ("team-a", "team-b")


def test_lease_is_the_one_that_the_operator_may_hold() -> None:
    (election,) = (
        role
        for role in of_kind(rendered("default"), "Role")
        if "election" in role["metadata"]["name"]
    )
    held = [rule["resourceNames"] for rule in election["rules"] if "resourceNames" in rule]

    assert held == [[LEASE_NAME]]


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

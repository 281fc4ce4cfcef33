"""The CRD as text: what it must be for the API server, for `kubectl apply` and for review."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from driftline_api import crd

ROOT = Path(__file__).parents[2]
PRESERVE = "x-kubernetes-preserve-unknown-fields"


def nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every schema in a schema, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(schema[keyword], f"{path}[]")


def all_nodes() -> list[tuple[str, Mapping[str, Any]]]:
    version = crd.model_crd()["spec"]["versions"][0]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    return [node for part in ("spec", "status") for node in nodes(properties[part], f".{part}")]


def unbounded(schema: Mapping[str, Any]) -> bool:
    """Tell whether a value of this schema may grow without end."""
    if schema.get("type") == "string":
        return "maxLength" not in schema and "enum" not in schema
    if schema.get("type") == "array":
        return "maxItems" not in schema
    return "additionalProperties" in schema and "maxProperties" not in schema


def test_every_string_list_and_map_is_bounded() -> None:
    assert [path for path, schema in all_nodes() if unbounded(schema)] == []


def test_every_list_says_how_it_is_merged() -> None:
    lists = [node for node in all_nodes() if node[1].get("type") == "array"]
    unsaid = [path for path, schema in lists if "x-kubernetes-list-type" not in schema]
    assert unsaid == []


def test_every_field_of_ours_is_described() -> None:
    version = crd.model_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    undescribed = [
        f"{part}.{name}"
        for part in ("spec", "status")
        for name, schema in version["properties"][part]["properties"].items()
        if not schema.get("description")
    ]
    assert undescribed == []


def test_nothing_that_a_structural_schema_forbids() -> None:
    text = crd.files()["models.driftline.dev.yaml"]
    assert not [word for word in ("$ref", "anyOf", "title:", "null") if word in text]


def test_fits_into_a_plain_apply() -> None:
    assert len(crd.files()["models.driftline.dev.yaml"].encode()) < 256 * 1024


def test_only_the_spec_has_defaults() -> None:
    defaulted = {path for path, schema in all_nodes() if "default" in schema}
    assert defaulted == {
        ".spec.replicas",
        ".spec.autoscaling.minReplicas",
        ".spec.autoscaling.targetCpuUtilization",
        ".spec.runtime.container.ports",
        ".spec.runtime.container.ports.http",
        ".spec.runtime.container.observe",
        ".spec.rollout",
        ".spec.rollout.progressDeadlineSeconds",
        ".spec.monitoring",
        ".spec.monitoring.baseline",
        ".spec.monitoring.baseline.rows",
        ".spec.monitoring.expectedFalseAlarmsPerYear",
        ".spec.monitoring.tolerance",
        ".spec.revisionHistoryLimit",
        ".spec.signature.features[].column",
        ".spec.signature.features[].kind",
        ".spec.signature.prediction.calibrated",
    }


@pytest.mark.parametrize("directory", ["crds", "charts/driftline/files/crds"])
def test_files_are_what_the_types_say(directory: str) -> None:
    assert crd.check([ROOT / directory]) == ""


def test_check_fails_with_a_diff_when_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crd.main([str(tmp_path)]) == 0
    assert crd.main(["--check", str(tmp_path)]) == 0

    file = tmp_path / "models.driftline.dev.yaml"
    file.write_text(file.read_text().replace("maximum: 1000", "maximum: 2000"))

    assert crd.main(["--check", str(tmp_path)]) == 1
    complaint = capsys.readouterr().err
    assert "-                maximum: 2000" in complaint
    assert "make crds" in complaint


def test_written_the_same_every_time() -> None:
    assert crd.files() == crd.files()

"""Every Model that the documentation shows is one that the API server takes."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from driftline_api.model import ModelSpec
from driftline_api.note import read_note
from tests.docs.pages import DOCS, ROOT, Block, blocks

CRD = yaml.safe_load((ROOT / "crds" / "models.driftline.dev.yaml").read_text())
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]

Fragment = Mapping[str, Any]


def shown() -> list[Fragment]:
    """Return every block that is a Model or a piece of its spec."""
    parsed = (yaml.safe_load(block.text) for block in blocks("yaml"))
    return [found for found in parsed if isinstance(found, dict) and "spec" in found]


def unknown_fields(value: object, schema: Fragment, path: str) -> Iterator[str]:
    """Yield what the API server would prune, or refuse under strict validation."""
    if isinstance(value, list):
        for item in value:
            yield from unknown_fields(item, schema.get("items", {}), f"{path}[]")
    elif isinstance(value, dict) and "additionalProperties" not in schema:
        known = schema.get("properties", {})
        for name, inner in value.items():
            if name in known:
                yield from unknown_fields(inner, known[name], f"{path}.{name}")
            elif not schema.get("x-kubernetes-preserve-unknown-fields"):
                yield f"{path}.{name}"


def readme_model() -> Block:
    return next(block for block in blocks("yaml") if block.page == ROOT / "README.md")


def test_the_readmes_model_has_12_lines() -> None:
    assert len(readme_model().text.strip().splitlines()) == 12


def test_the_readmes_model_is_what_it_says() -> None:
    model = yaml.safe_load(readme_model().text)
    spec = ModelSpec.model_validate(model["spec"])

    assert (model["apiVersion"], model["kind"]) == ("driftline.dev/v1alpha1", "Model")
    assert spec.artifact.uri == "s3://models/iris/v1/model.onnx"
    assert spec.artifact.secret_ref is not None
    assert spec.runtime.onnx is not None


@pytest.mark.parametrize("page", ["index.md", "guide/first-model.md"])
def test_it_is_the_same_model_everywhere(page: str) -> None:
    assert readme_model().text in (DOCS / page).read_text()


def test_many_models_are_shown() -> None:
    assert len(shown()) >= 10


@pytest.mark.parametrize("found", shown(), ids=lambda found: ",".join(found["spec"]))
def test_every_shown_field_is_in_the_crd(found: Fragment) -> None:
    assert list(unknown_fields(found["spec"], SCHEMA["spec"], "spec")) == []


@pytest.mark.parametrize("found", shown(), ids=lambda found: ",".join(found["spec"]))
def test_every_shown_spec_parses(found: Fragment) -> None:
    artifact = {"uri": "s3://bucket/model.onnx"}
    ModelSpec.model_validate({"artifact": artifact, **found["spec"]})


def test_a_field_that_is_not_there_would_be_noticed() -> None:
    wrong = {"artifact": {"url": "s3://bucket/model.onnx"}, "lineage": {}}
    found = list(unknown_fields(wrong, SCHEMA["spec"], "spec"))
    assert found == ["spec.artifact.url", "spec.lineage"]


def test_the_shown_driftline_json_is_the_shown_spec() -> None:
    page = DOCS / "reference" / "signature.md"
    (note,) = (block.text for block in blocks("json") if block.page == page)
    (model,) = (block.text for block in blocks("yaml") if block.page == page)

    spec = ModelSpec.model_validate(yaml.safe_load(model)["spec"])
    assert read_note(note) == spec.signature

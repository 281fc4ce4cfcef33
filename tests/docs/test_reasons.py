"""What programs and people may meet is documented: reasons, conditions, labels, fields."""

import importlib.util
import re
from types import ModuleType

import pytest

from driftline_api import names
from driftline_api.conditions import ConditionType, Reason
from driftline_api.model import ModelSpec, ModelStatus
from tests.docs.pages import DOCS

ROW = re.compile(r"^\| `([A-Z][A-Za-z]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def documented_reasons() -> dict[str, tuple[str, str]]:
    text = (DOCS / "guide" / "troubleshooting.md").read_text()
    return {reason: (meaning, remedy) for reason, meaning, remedy in ROW.findall(text)}


def reference_hook() -> ModuleType:
    path = DOCS / "hooks" / "model_reference.py"
    spec = importlib.util.spec_from_file_location("model_reference", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_reason_is_in_the_table_with_a_remedy() -> None:
    table = documented_reasons()
    assert {str(reason) for reason in Reason} - set(table) == set()
    assert [
        reason for reason, (meaning, remedy) in table.items() if not meaning or not remedy
    ] == []


def test_the_table_names_no_reason_that_is_gone() -> None:
    assert set(documented_reasons()) - {str(reason) for reason in Reason} == set()


@pytest.mark.parametrize("condition", list(ConditionType))
def test_every_condition_is_explained(condition: ConditionType) -> None:
    assert f"- **`{condition}`**" in (DOCS / "concepts" / "conditions.md").read_text()


def test_every_label_and_annotation_is_in_the_reference() -> None:
    prefixes = ("driftline.dev/", "app.kubernetes.io/")
    ours = {v for v in vars(names).values() if isinstance(v, str) and v.startswith(prefixes)}
    page = (DOCS / "reference" / "labels.md").read_text()
    assert [name for name in sorted(ours) if name not in page] == []


def test_every_header_is_in_the_reference() -> None:
    headers = [value for name, value in vars(names).items() if name.endswith("_HEADER")]
    page = (DOCS / "reference" / "labels.md").read_text()
    assert headers
    assert [header for header in headers if f"`{header}`" not in page] == []


@pytest.mark.parametrize("kind", [ModelSpec, ModelStatus])
def test_every_field_is_in_the_reference(kind: type[ModelSpec] | type[ModelStatus]) -> None:
    rendered = reference_hook().render()
    fields = [field.alias for field in kind.model_fields.values()]
    assert [field for field in fields if f"| `{field}` |" not in rendered] == []


def test_nothing_in_the_reference_lacks_a_description() -> None:
    rows = re.findall(r"^\| `([a-zA-Z]+)` \|.*\|(.*)\|$", reference_hook().render(), re.MULTILINE)
    assert rows
    assert [field for field, description in rows if not description.strip()] == []

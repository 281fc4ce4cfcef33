"""Every Helm value that the documentation shows is one that the chart has."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.docs.pages import DOCS, ROOT, blocks

VALUES = yaml.safe_load((ROOT / "charts" / "driftline" / "values.yaml").read_text())


def unknown(shown: Mapping[str, Any], values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths that the chart does not know; what is empty there may hold anything."""
    for name, inner in shown.items():
        if name not in values:
            yield f"{path}{name}"
        elif isinstance(inner, dict) and values[name]:
            yield from unknown(inner, values[name], f"{path}{name}.")


def test_shown_values_are_the_charts() -> None:
    parsed = [
        yaml.safe_load(block.text)
        for block in blocks("yaml")
        if block.page == DOCS / "guide" / "install.md"
    ]
    assert len(parsed) >= 4
    assert [list(unknown(shown, VALUES)) for shown in parsed] == [[] for _ in parsed]


def test_a_value_that_is_not_there_would_be_noticed() -> None:
    wrong = {"global": {"registry": "x"}, "image": {}}
    assert list(unknown(wrong, VALUES)) == ["global.registry", "image"]

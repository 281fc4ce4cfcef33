"""Rendered charts, as objects."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import yaml

from e2e.chart_check import VALUES, render

Object = dict[str, Any]


@cache
def _text(values: str, namespace: str) -> str:
    return render((VALUES / f"{values}.yaml").read_text(), namespace=namespace)


def rendered(values: str, namespace: str = "driftline-system") -> list[Object]:
    """Return the objects of an installation with a named set of values."""
    return [document for document in yaml.safe_load_all(_text(values, namespace)) if document]


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    """Return the objects of these kinds."""
    return [found for found in objects if found["kind"] in kinds]


def the(objects: Sequence[Object], kind: str) -> Object:
    """Return the only object of a kind."""
    (found,) = of_kind(objects, kind)
    return found

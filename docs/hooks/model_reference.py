"""Writes the reference of the Model from its CRD at each build, so that it is never old."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

CRD: Final = Path(__file__).parents[2] / "crds" / "models.driftline.dev.yaml"
MARKER: Final = "<!-- model-fields -->"

Schema = Mapping[str, Any]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the fields where a page has the marker; mkdocs calls this for every page."""
    return markdown.replace(MARKER, render()) if MARKER in markdown else markdown


def render() -> str:
    """Return the reference of all fields as Markdown."""
    version = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    fields = version["schema"]["openAPIV3Schema"]["properties"]
    parts = [_columns(version["additionalPrinterColumns"])]
    for name in ("spec", "status"):
        parts += [f"## `{name}`", fields[name]["description"], _table(fields[name])]
    parts += [
        "## What the API server refuses",
        "A Model that breaks one of these is refused with the message.",
        _rules(version["schema"]["openAPIV3Schema"]),
    ]
    return "\n\n".join(parts)


def _columns(columns: list[Schema]) -> str:
    rows = [
        f"| {column['name']} | `{column['jsonPath']}` | {'yes' if column.get('priority') else ''} |"
        for column in columns
    ]
    head = ["| column | shows | only with `-o wide` |", "|---|---|---|"]
    return "\n".join(["## Columns of `kubectl get dlm`", "", *head, *rows])


def _table(schema: Schema) -> str:
    rows = [
        f"| `{path}` | {_type(field)}{_default(field)} | {_description(field, required)} |"
        for path, field, required in walk(schema)
    ]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def walk(
    schema: Schema, prefix: str = "", *, everything: bool = False
) -> Iterator[tuple[str, Schema, bool]]:
    """Yield path, schema and whether it is required, for every field below `schema`.

    Unless `everything` is asked for, the inside of what Kubernetes defines (tolerations,
    affinity, …) is left out: its own reference tells more.
    """
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, field, name in required
        inner = field.get("items", field)
        if everything or _is_ours(path, inner):
            below = f"{path}[]." if "items" in field else f"{path}."
            yield from walk(inner, below, everything=everything)


def _is_ours(path: str, schema: Schema) -> bool:
    properties = schema.get("properties", {}).values()
    return path.startswith("podTemplate") or all("description" in each for each in properties)


def _type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map to {_type(field['additionalProperties'])}"
    return f"{field['type']}{_bounds(field)}"


def _bounds(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is None or high is None or high >= 2**31 - 1:
        return ""
    above = "more than " if field.get("exclusiveMinimum") else ""
    return f", {above}{low} to {high}"


def _default(field: Schema) -> str:
    default = field.get("default")
    if isinstance(default, bool):
        default = str(default).lower()
    return f", default `{default}`" if isinstance(default, str | int | float) else ""


def _description(field: Schema, required: bool) -> str:
    text = _escaped(field.get("description", ""))
    return f"**Required.** {text}" if required else text


def _rules(schema: Schema) -> str:
    fields = ((path, field) for path, field, _ in walk(schema, everything=True))
    found = {
        f"| `{_blamed(path, rule)}` | {_escaped(rule['message'])} |"
        for path, field in (("", schema), *fields)
        for part in _parts(field)
        for rule in part.get("x-kubernetes-validations", [])
    }
    return "\n".join(["| field | message |", "|---|---|", *sorted(found)])


def _blamed(path: str, rule: Schema) -> str:
    return f"{path}{rule.get('fieldPath', '')}".removeprefix(".")


def _parts(field: Schema) -> list[Schema]:
    """Return the schema with those of its items and values, which have no path of their own."""
    inner = (field.get("items"), field.get("additionalProperties"))
    return [field, *(part for part in inner if isinstance(part, dict))]


def _escaped(text: object) -> str:
    """Return text on one line that a table cell can hold."""
    return " ".join(str(text).split()).replace("|", "\\|")

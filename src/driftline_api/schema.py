"""What a Kubernetes schema says and JSON Schema cannot.

These are annotations for pydantic types. They change nothing about parsing: the API server is
the one that checks them, so that a mistake is refused where it is made, with a message that
says what to write instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, GetJsonSchemaHandler, JsonValue, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL expression that must hold for the annotated value, and what to tell whom it fails.

    Attributes:
        expression: in CEL, about `self`.
        message: names the remedy; the API server names the field.
        field: relative path to blame instead of the value as a whole, such as `.replicas`.
    """

    expression: str
    message: str
    field: str = ""

    def as_schema(self) -> dict[str, str]:
        """Return one entry of `x-kubernetes-validations`."""
        entry = {"rule": self.expression, "message": self.message}
        return entry | ({"fieldPath": self.field} if self.field else {})

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        return schema | {VALIDATIONS: [*schema.get(VALIDATIONS, ()), self.as_schema()]}


@dataclass(frozen=True, slots=True, eq=False)  # hashed by `typing`, which a dict forbids
class Extension:
    """Adds keywords to the schema of the annotated value."""

    keywords: Schema

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core) | dict(self.keywords)


def keyed_by(*keys: str) -> Extension:
    """Say that server-side apply merges a list's items by these keys, which are unique in it."""
    return Extension({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})


#: A list whose items are unique, each owned by whoever applied it.
AS_SET = Extension({"x-kubernetes-list-type": "set"})

#: A list that is replaced as a whole, because the order of its items means something.
ATOMIC = Extension({"x-kubernetes-list-type": "atomic"})


def rules(*given: Rule) -> ConfigDict:
    """Attach rules to a whole type; use as its `model_config`."""
    entries: list[JsonValue] = [dict(rule.as_schema()) for rule in given]
    return ConfigDict(json_schema_extra={VALIDATIONS: entries})


def object_of(
    properties: Schema,
    *given: Rule,
    required: tuple[str, ...] = (),
    open_ended: bool = False,
    **keywords: Any,
) -> dict[str, Any]:
    """Return the schema of an object whose fields Kubernetes defines and we hand on.

    Args:
        properties: schemas by field name.
        given: rules about the object.
        required: names of the fields that must be there.
        open_ended: further fields are kept as they are, and judged by whoever gets them.
        keywords: further keywords.
    """
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties), **keywords}
    if required:
        schema["required"] = list(required)
    if open_ended:
        schema[PRESERVE] = True
    if given:
        schema[VALIDATIONS] = [rule.as_schema() for rule in given]
    return schema


def list_of(items: Schema, limit: int, **keywords: Any) -> dict[str, Any]:
    """Return the schema of a list of at most `limit` items."""
    return {"type": "array", "items": dict(items), "maxItems": limit, **keywords}


def map_of(values: Schema, limit: int, *given: Rule) -> dict[str, Any]:
    """Return the schema of a map with at most `limit` entries."""
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": dict(values),
        "maxProperties": limit,
    }
    return schema | ({VALIDATIONS: [rule.as_schema() for rule in given]} if given else {})


def text(limit: int, **keywords: Any) -> dict[str, Any]:
    """Return the schema of a string of at most `limit` characters."""
    return {"type": "string", "maxLength": limit, **keywords}


def choice(*values: str, description: str = "") -> dict[str, Any]:
    """Return the schema of a string that is one of `values`."""
    schema: dict[str, Any] = {"type": "string", "enum": list(values)}
    return schema | ({"description": description} if description else {})


def handed_on(schema: Schema) -> WithJsonSchema:
    """Give a value that we pass to Kubernetes as it is the schema that users see."""
    return WithJsonSchema(dict(schema))

"""What every type of the API is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from driftline_api.schema import Rule


class ApiType(BaseModel):
    """Base of every type: camelCase on the wire, frozen in the process, unknown fields ignored.

    The text below a field is its description, which users read in `kubectl explain`.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )


_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

#: The name of an object of Kubernetes.
Name = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule(
        f"self.matches('{_SUBDOMAIN}')",
        "write the object's metadata.name: lowercase letters, digits, '-' and '.'",
    ),
]


class LocalObjectReference(ApiType):
    """Names an object in the Model's own namespace."""

    name: Name
    """Name of the object."""

"""What a reconcile decides, as data.

`plan` functions return a `Plan` and do nothing; `execute` carries one out and decides nothing.
Between the two lies everything that a test needs to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

#: A Kubernetes object as JSON. The one place where a dict of anything is allowed.
Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectRef:
    """Names one object of the API server."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return the reference of a manifest."""
        meta = manifest["metadata"]
        return cls(
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            namespace=meta.get("namespace", ""),
            name=meta["name"],
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Key:
    """What is reconciled as one: a Model, or the router of a namespace (`name` is then empty)."""

    controller: Literal["model", "router"]
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.controller, self.namespace, self.name) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Delete exactly the object that was seen: both preconditions go with the request."""

    ref: ObjectRef
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWrite:
    """The whole status that `ref` shall have; refused when the object has changed since."""

    ref: ObjectRef
    uid: str
    resource_version: str
    status: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """An Event for people, written once per transition."""

    about: ObjectRef
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A child that could not be applied, and that only a person can mend.

    `execute` finds these before it writes status and hands them back, so that the reconciler
    plans once more with them in `Observed` and the status says what stands in the way.
    """

    ref: ObjectRef
    reason: Literal["NameConflict", "ChildRefused"]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One reconcile's decisions, in the order in which they are carried out."""

    apply: tuple[Manifest, ...] = ()
    delete: tuple[Deletion, ...] = ()
    status: StatusWrite | None = None
    events: tuple[EventRecord, ...] = ()
    requeue_after: float | None = None

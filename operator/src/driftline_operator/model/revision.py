"""Revisions: what makes two the same, what each is called, and how long one is kept.

A revision is named by what the user asked for and what its artifact was found to be. What the
operator adds to that (its images, probes, defaults) stands in the stored template and not in
the name: so that a newer operator finds the revision that it would otherwise have to make, and
applies the template of the one who made it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from driftline_api.model import Artifact, ModelSpec
from driftline_operator.model.canonical import short_hash
from driftline_operator.model.containers import Identity, Images
from driftline_operator.model.observed import Observed, Pinned, Record
from driftline_operator.model.template import (
    grpc_port,
    http_port,
    render_server_template,
)

#: An annotation is long enough for these many hashes; the oldest is resolved anew if it returns.
MOST_REMEMBERED = 16

_CONTENT = {
    "signature",
    "runtime",
    "resources",
    "service_account_name",
    "image_pull_secrets",
    "node_selector",
    "tolerations",
    "affinity",
    "topology_spread_constraints",
    "priority_class_name",
    "pod_template",
}


def artifact_hash(artifact: Artifact) -> str:
    """Return the name of one content of `spec.artifact`, for which a digest is found once."""
    return short_hash(artifact.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def revision_inputs(spec: ModelSpec, pinned: Pinned) -> dict[str, Any]:
    """Return what makes a revision itself.

    Defaults and empty values are left out, so that a field which a later version adds changes
    no name. The Secret is part of it because it stands in the template: a Model whose Secret
    was misnamed gets a new template by naming another.
    """
    dumped = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=_CONTENT)
    dumped["runtime"] = spec.runtime.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    artifact = {"uri": pinned.uri, "digest": pinned.digest, "secret": pinned.secret}
    dumped["artifact"] = {name: value for name, value in artifact.items() if value}
    return {name: value for name, value in dumped.items() if value}


def revision_name(model: str, spec: ModelSpec, pinned: Pinned) -> str:
    """Return the name that a revision and all its objects bear."""
    return f"{model}-{short_hash(revision_inputs(spec, pinned))}"


def plan_target(observed: Observed, spec: ModelSpec, pinned: Pinned, images: Images) -> Record:
    """Return the revision that the spec asks for: the stored one, else a new one.

    Either way its number becomes the highest, as when a Deployment is rolled back. A revision
    that was made for another `spec.artifact` with the same digest remembers this one as well.
    """
    name = revision_name(observed.model.name, spec, pinned)
    highest = max((each.number for each in observed.records), default=0)
    record = observed.record(name)
    if record is None:
        record = _new_record(name, observed.model.name, spec, pinned, images)
    if record.number < highest or record.number == 0:
        record = replace(record, number=highest + 1)
    return replace(record, resolved_from=_remember(record, spec.artifact))


def _remember(record: Record, artifact: Artifact) -> tuple[str, ...]:
    if artifact.digest:
        return record.resolved_from
    known = artifact_hash(artifact)
    if known in record.resolved_from:
        return record.resolved_from
    return (*record.resolved_from, known)[-MOST_REMEMBERED:]


def _new_record(name: str, model: str, spec: ModelSpec, pinned: Pinned, images: Images) -> Record:
    identity = Identity(model=model, revision=name)
    return Record(
        name=name,
        number=0,
        pinned=pinned,
        template=render_server_template(spec, pinned, identity, images),
        port=http_port(spec),
        grpc_port=grpc_port(spec),
    )


def kept_records(
    records: Sequence[Record], needed: Collection[str], limit: int
) -> tuple[Record, ...]:
    """Return the revisions that stay: those that are needed, and the newest `limit` others."""
    others = [each for each in by_number(records) if each.name not in needed]
    spare = {each.name for each in others[-limit:]} if limit else set()
    return tuple(each for each in records if each.name in needed or each.name in spare)


def by_number(records: Iterable[Record]) -> list[Record]:
    """Return revisions, oldest first."""
    return sorted(records, key=lambda each: (each.number, each.name))

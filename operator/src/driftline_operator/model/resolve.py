"""Finds out what an artifact contains, once for each content of `spec.artifact`.

Not once per generation: `kubectl scale` raises that, and a moving URI must not be looked at
again for it. What was found stands in the ControllerRevision; until there is one, in the
termination message of a Job's pod.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from driftline_api.conditions import Reason
from driftline_api.model import ModelSpec
from driftline_operator.core.plan import Manifest
from driftline_operator.model.canonical import short_hash
from driftline_operator.model.children import render_resolver, resolver_name
from driftline_operator.model.containers import Images
from driftline_operator.model.health import AT_ONCE, Problem, Suspect, diagnose
from driftline_operator.model.observed import Observed, Pinned, PodView, Run
from driftline_operator.model.pods import left_behind
from driftline_operator.model.revision import artifact_hash
from driftline_operator.model.template import placement, render_resolver_template

#: A Job that failed is tried anew after this: what was missing may be there by then.
RETRY: Final = timedelta(minutes=5)
#: A Job that succeeded without a readable result: its pod's last state may still be on its way.
RESULT_PATIENCE: Final = timedelta(minutes=1)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What is known of the artifact.

    Attributes:
        pinned: the artifact with its digest, None until it is known.
        job: the Job to apply.
        kept: name of the Job that must not be deleted yet.
        problem: why no digest is found.
        due: when to look again if nothing happens.
    """

    pinned: Pinned | None = None
    job: Manifest | None = None
    kept: str | None = None
    problem: Problem | None = None
    due: datetime | None = None


def plan_resolution(
    observed: Observed, spec: ModelSpec, images: Images, now: datetime
) -> Resolution:
    """Return the pinned artifact, or what is to be done to find it."""
    if known := _known_digest(observed, spec):
        return Resolution(pinned=_pin(spec, known))
    template = render_resolver_template(spec, observed.model.name, images)
    inputs = short_hash(placement(spec, images))
    name = resolver_name(observed.model.name, artifact_hash(spec.artifact))
    run = next((each for each in observed.runs if each.child.ref.name == name), None)
    if run is None:
        job = render_resolver(observed.model, artifact_hash(spec.artifact), inputs, template)
        return Resolution(job=job, kept=name)
    pods = tuple(pod for pod in observed.pods if pod.owner == run.child.uid)
    if found := _result(pods):
        return Resolution(pinned=_pin(spec, found), kept=name)
    return _waiting(run, pods, now, stale=run.inputs != inputs)


def _known_digest(observed: Observed, spec: ModelSpec) -> str | None:
    """Return the digest that is given, or was found before for this very `spec.artifact`."""
    if spec.artifact.digest:
        return spec.artifact.digest
    wanted = artifact_hash(spec.artifact)
    found = (each for each in reversed(observed.records) if wanted in each.resolved_from)
    return next((each.pinned.digest for each in found), None)


def _pin(spec: ModelSpec, digest: str) -> Pinned:
    secret = spec.artifact.secret_ref.name if spec.artifact.secret_ref else None
    return Pinned(uri=spec.artifact.uri, digest=digest, secret=secret)


def _result(pods: tuple[PodView, ...]) -> str | None:
    ended = (container.ended for pod in pods for container in pod.containers)
    for each in ended:
        digest = left_behind(each).get("digest")
        if each and not each.exit_code and isinstance(digest, str) and _DIGEST.fullmatch(digest):
            return digest
    return None


def _waiting(run: Run, pods: tuple[PodView, ...], now: datetime, *, stale: bool) -> Resolution:
    """Return what to make of a Job without a result.

    One that ended for nothing is deleted in time, by not being kept, and so made anew. So is one
    that was made for another service account or other nodes: it may wait for them for ever.
    """
    name = run.child.ref.name
    problem = diagnose(Suspect(pods=pods))
    if run.ended is None:
        return Resolution(kept=None if stale else name, problem=problem, due=_certain(problem))
    due = run.ended + (RETRY if run.outcome == "Failed" else RESULT_PATIENCE)
    kept = None if stale or now >= due else name
    if run.outcome == "Complete":
        return Resolution(kept=kept, due=due)
    return Resolution(kept=kept, problem=_failed(run, problem), due=due)


def _certain(problem: Problem | None) -> datetime | None:
    return problem.certain if problem and problem.certain != AT_ONCE else None


def _failed(run: Run, problem: Problem | None) -> Problem:
    message = problem.message if problem else f"Job {run.child.ref.name}: {run.message}"
    return Problem(
        reason=problem.reason if problem else Reason.ARTIFACT_UNREACHABLE,
        message=message,
        remedy=problem.remedy if problem else "check the Job's Events and spec.artifact",
    )

"""One Model's whole decision, before it is written down as manifests and status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftline_api.model import ModelSpec, Traffic
from driftline_operator.model.clock import parsed
from driftline_operator.model.containers import SERVER, Images
from driftline_operator.model.health import Problem, Suspect, diagnose
from driftline_operator.model.observed import Observed, Record
from driftline_operator.model.refused_specs import spec_problem
from driftline_operator.model.resolve import Resolution, plan_resolution
from driftline_operator.model.revision import plan_target
from driftline_operator.model.rollout import Rollout, Scene, plan_rollout
from driftline_operator.model.size import Roles, wanted_pods
from driftline_operator.router.traffic import traffic_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from what was observed.

    Attributes:
        target: the revision that the spec asks for, None while it is not known.
        since: when the target began.
        wanted: how many pods each running revision should have ready.
        invalid: why the spec cannot be realised at all.
        hindered: why the target is not ready.
        outage: why stable is not ready.
    """

    resolution: Resolution
    target: Record | None
    since: datetime | None
    rollout: Rollout
    wanted: Mapping[str, int]
    invalid: Problem | None = None
    hindered: Problem | None = None
    outage: Problem | None = None


def decide(observed: Observed, spec: ModelSpec, images: Images, now: datetime) -> Decision:
    """Return the decision."""
    invalid = spec_problem(spec)
    resolution = Resolution() if invalid else plan_resolution(observed, spec, images, now)
    pinned = resolution.pinned
    target = plan_target(observed, spec, pinned, images) if pinned else None
    wanted = _wanted(observed, spec, target)
    rollout = plan_rollout(scene_of(observed, target.name if target else None, wanted), now)
    return Decision(
        resolution=resolution,
        target=target,
        since=_since(observed, target, now),
        rollout=rollout,
        wanted=wanted,
        invalid=invalid,
        hindered=_why(observed, target, wanted),
        outage=_why(observed, observed.record(rollout.stable), wanted),
    )


def _wanted(observed: Observed, spec: ModelSpec, target: Record | None) -> dict[str, int]:
    name = target.name if target else None
    roles = Roles(stable=observed.model.status.stable_revision, target=name)
    names = {*observed.workloads, *([name] if name else [])}
    return {each: wanted_pods(observed, spec, each, roles) for each in sorted(names)}


def scene_of(observed: Observed, target: str | None, wanted: Mapping[str, int]) -> Scene:
    """Return what the rollout is decided upon."""
    status, workloads = observed.model.status, observed.workloads
    idle = {each.name: parsed(each.idle_since) for each in status.revisions}
    barred = target is not None and observed.is_refused("Deployment", target)
    return Scene(
        stable=status.stable_revision,
        target=target,
        traffic=status.traffic,
        acknowledged=_is_acknowledged(observed, status.traffic),
        running=frozenset(workloads),
        alive=frozenset(name for name, each in workloads.items() if each.ready),
        ready=frozenset(n for n, w in workloads.items() if w.is_ready(wanted.get(n, 1)))
        & observed.router.reached,
        idle={name: at for name, at in idle.items() if at},
        barred=barred and target not in workloads,
    )


def _is_acknowledged(observed: Observed, traffic: Traffic) -> bool:
    """Tell whether all routers serve what status says; once they did, status remembers it."""
    router = observed.router
    if traffic.acknowledged:
        return True
    return router.port is not None and router.acknowledged == traffic_hash(traffic, router.port)


def _since(observed: Observed, target: Record | None, now: datetime) -> datetime | None:
    status = observed.model.status
    if target is None:
        return None
    same = target.name == status.target_revision
    return (parsed(status.target_since) if same else None) or now


def _why(observed: Observed, record: Record | None, wanted: Mapping[str, int]) -> Problem | None:
    """Return why a revision is not ready; None also where it is, or nothing is known."""
    if record is None:
        return None
    workload = observed.workloads.get(record.name)
    if workload is None or workload.is_ready(wanted.get(record.name, 1)):
        return None
    pods = tuple(pod for pod in observed.pods_of(record.name) if not pod.finished)
    suspect = Suspect(pods=pods, refused=workload.refused, memory=_memory_limit(record))
    return diagnose(suspect)


def _memory_limit(record: Record) -> str:
    containers = record.template.get("spec", {}).get("containers", [])
    servers = (each for each in containers if each.get("name") == SERVER)
    limits = ((each.get("resources") or {}).get("limits") or {} for each in servers)
    return next((str(each["memory"]) for each in limits if "memory" in each), "")


def hold(observed: Observed) -> Decision:
    """Return the decision to leave everything as it is: nobody can read what is wanted."""
    status = observed.model.status
    wanted = {name: each.replicas for name, each in observed.workloads.items()}
    scene = scene_of(observed, None, wanted)
    traffic = status.traffic.model_copy(update={"acknowledged": scene.acknowledged})
    rollout = Rollout(
        stable=status.stable_revision,
        target=None,
        traffic=traffic,
        running=tuple(sorted(observed.workloads)),
        idle=scene.idle,
        settled=True,
        waits=False,
        due=None,
    )
    outage = _why(observed, observed.record(status.stable_revision), wanted)
    return Decision(
        resolution=Resolution(),
        target=None,
        since=None,
        rollout=rollout,
        wanted=wanted,
        outage=outage,
    )


def deadline_of(decision: Decision, spec: ModelSpec | None) -> datetime | None:
    """Return until when the target must be ready; None for one that serves, or is not known."""
    if spec is None or decision.since is None:
        return None
    if decision.target is None or decision.target.name == decision.rollout.stable:
        return None
    return decision.since + timedelta(seconds=spec.rollout.progress_deadline_seconds)

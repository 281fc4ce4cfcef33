"""Reads pods: the only witnesses of why a revision does not get ready.

What a monitor does is left out: a pod whose server is ready serves, and to call it out of
service because nobody watches it would make of a small trouble a large one.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from driftline_api.names import MONITOR, REVISION
from driftline_operator.core.plan import Manifest
from driftline_operator.model.clock import BEGINNING, parsed
from driftline_operator.model.observed import ContainerView, Ended, PodView


def parse_pod(manifest: Manifest) -> PodView | None:
    """Return a pod, None for one that is being deleted."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    if "deletionTimestamp" in meta:
        return None
    owners = meta.get("ownerReferences") or ()
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    containers = _containers(status)
    return PodView(
        name=meta["name"],
        revision=(meta.get("labels") or {}).get(REVISION, ""),
        owner=next((each["uid"] for each in owners if each.get("controller")), ""),
        created=parsed(meta.get("creationTimestamp")) or BEGINNING,
        ready=conditions.get("Ready", {}).get("status") == "True" or _lacks_monitor(containers),
        finished=status.get("phase") in {"Succeeded", "Failed"},
        unschedulable=_unschedulable(conditions.get("PodScheduled", {})),
        containers=tuple(each for each in containers if each.name != MONITOR),
    )


def _lacks_monitor(containers: Sequence[ContainerView]) -> bool:
    """Tell whether its monitor is all that a pod wants to be ready.

    Kubernetes calls a pod ready only where every container is. Where the monitor is ready, what
    else is against it counts: a node that is gone leaves its containers as they were.
    """
    others = [each for each in containers if each.name != MONITOR]
    missed = len(others) < len(containers) and not any(
        each.ready for each in containers if each.name == MONITOR
    )
    return missed and bool(others) and all(each.ready for each in others)


def _unschedulable(scheduled: Mapping[str, Any]) -> str:
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return str(scheduled.get("message") or "no node fits")
    return ""


def _containers(status: Manifest) -> tuple[ContainerView, ...]:
    kinds = ("initContainerStatuses", "containerStatuses")
    return tuple(_container(each) for kind in kinds for each in status.get(kind) or ())


def _container(status: Mapping[str, Any]) -> ContainerView:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    return ContainerView(
        name=status["name"],
        image=status.get("image", ""),
        ready=status.get("ready", False),
        restarts=status.get("restartCount", 0),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", ""),
        ended=_ended(state),
        last=_ended(status.get("lastState") or {}),
    )


def _ended(state: Mapping[str, Any]) -> Ended | None:
    terminated = state.get("terminated")
    if not terminated:
        return None
    return Ended(
        exit_code=terminated.get("exitCode", 0),
        reason=terminated.get("reason") or "",
        message=terminated.get("message") or "",
    )


def left_behind(ended: Ended | None) -> Mapping[str, Any]:
    """Return what a container of ours left as its last message; empty for anything else."""
    try:
        value = json.loads(ended.message) if ended else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

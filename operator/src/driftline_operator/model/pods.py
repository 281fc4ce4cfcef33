"""Reads pods: the only witnesses of why a revision does not get ready."""

import json
from collections.abc import Mapping
from typing import Any

from driftline_api.names import REVISION
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
    return PodView(
        name=meta["name"],
        revision=(meta.get("labels") or {}).get(REVISION, ""),
        owner=next((each["uid"] for each in owners if each.get("controller")), ""),
        created=parsed(meta.get("creationTimestamp")) or BEGINNING,
        ready=conditions.get("Ready", {}).get("status") == "True",
        finished=status.get("phase") in {"Succeeded", "Failed"},
        unschedulable=_unschedulable(conditions.get("PodScheduled", {})),
        containers=_containers(status),
    )


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

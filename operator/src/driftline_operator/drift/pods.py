"""Where monitors answer: read from pods, and read again only when a pod changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from driftline_api.names import MODEL, MONITOR, REVISION
from driftline_operator.core.controller import Snapshot, Stamp
from driftline_operator.core.plan import Manifest


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class MonitorPod:
    """A pod with a monitor that runs.

    Attributes:
        uid: of the pod.
        model, revision: that it serves.
        address: of the pod.
        restarts: of the container: another process answers after each.
        leaving: it is being deleted, and holds its last counts for a few seconds.
    """

    uid: str
    model: str
    revision: str
    address: str
    restarts: int = 0
    leaving: bool = False


_Known = tuple[Stamp, MonitorPod | None]


class MonitorPods:
    """What pods say, kept under the stamp of each."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, _Known]] = {}

    def of(self, snapshot: Snapshot, namespace: str) -> Mapping[str, tuple[MonitorPod, ...]]:
        """Return the monitors of each Model of a namespace, by uid."""
        before = self._known.get(namespace, {})
        after: dict[str, _Known] = {}
        for name, stamp in snapshot.stamps("Pod", namespace).items():
            known = before.get(name)
            if known is None or known[0] != stamp:
                manifest = snapshot.find("Pod", namespace, name)
                known = (stamp, monitor_pod(manifest) if manifest else None)
            after[name] = known
        self._known[namespace] = after
        found: dict[str, list[MonitorPod]] = {}
        for _, pod in after.values():
            if pod:
                found.setdefault(pod.model, []).append(pod)
        return {model: tuple(sorted(pods)) for model, pods in found.items()}

    def forget(self, namespace: str) -> None:
        """Forget a namespace that is gone."""
        self._known.pop(namespace, None)


def monitor_pod(pod: Manifest) -> MonitorPod | None:
    """Return where a pod's monitor answers; None where none runs."""
    labels = pod["metadata"].get("labels") or {}
    status = pod.get("status") or {}
    model, revision, address = labels.get(MODEL), labels.get(REVISION), status.get("podIP")
    if not (model and revision and address):
        return None
    containers = (
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    )
    running = [
        each
        for each in containers
        if each.get("name") == MONITOR and "running" in (each.get("state") or {})
    ]
    if not running:
        return None
    return MonitorPod(
        uid=pod["metadata"]["uid"],
        model=model,
        revision=revision,
        address=address,
        restarts=running[0].get("restartCount", 0),
        leaving="deletionTimestamp" in pod["metadata"],
    )

"""What the operator's metrics say of a Model's inferences, as new as its last look."""

import re
from dataclasses import dataclass
from typing import Final

from e2e.install import NAMESPACE
from e2e.kubectl import Kubectl

_PODS: Final = {"app.kubernetes.io/name": "driftline", "app.kubernetes.io/component": "operator"}
_SERIES: Final = re.compile(r"^driftline_drift_inferences\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Inferences since the revision began, over all its revisions.

    Attributes:
        seen: that monitors were told of.
        dropped: that were lost on the way to one.
        unobserved: that the routers counted, and no monitor knows of.
    """

    seen: int = 0
    dropped: int = 0
    unobserved: int = 0

    @property
    def total(self) -> int:
        """Return what the routers counted."""
        return self.seen + self.dropped + self.unobserved


def observed(kubectl: Kubectl, namespace: str, model: str) -> Observed:
    """Return what the leader tells; nothing where nobody leads."""
    found = dict.fromkeys(("seen", "dropped", "unobserved"), 0)
    for pod in kubectl.list(NAMESPACE, "pods", _PODS):
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
        for labels, value in _SERIES.findall(kubectl.run("get", "--raw", path)):
            said = dict(_LABEL.findall(labels))
            if (said["namespace"], said["model"]) == (namespace, model):
                found[said["state"]] += round(float(value))
    return Observed(**found)

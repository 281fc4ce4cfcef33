"""The kinds of object that Driftline watches, and where the API server keeps them."""

from dataclasses import dataclass
from typing import Final

from driftline_api import API_VERSION
from driftline_api.names import MANAGED_BY, MANAGER

OURS: Final = f"{MANAGED_BY}={MANAGER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A resource of the API server.

    `labels` narrows what is listed and watched, on the server's side: thousands of foreign
    Services must not travel to us, nor stand in our memory.
    """

    api_version: str
    kind: str
    plural: str
    labels: str = OURS

    @property
    def group(self) -> str:
        """The API group, empty for the core one."""
        group, _, version = self.api_version.rpartition("/")
        return group if version else ""

    @property
    def version(self) -> str:
        """The version without its group."""
        return self.api_version.rpartition("/")[2]


MODEL_KIND: Final = Kind(api_version=API_VERSION, kind="Model", plural="models", labels="")

#: In the order in which a resync lists them: what owns comes before what is owned.
WATCHED: Final[tuple[Kind, ...]] = (
    MODEL_KIND,
    Kind(api_version="apps/v1", kind="ControllerRevision", plural="controllerrevisions"),
    Kind(api_version="apps/v1", kind="Deployment", plural="deployments"),
    Kind(api_version="v1", kind="Service", plural="services"),
    Kind(api_version="v1", kind="ConfigMap", plural="configmaps"),
    Kind(api_version="v1", kind="Pod", plural="pods"),
    Kind(api_version="batch/v1", kind="Job", plural="jobs"),
    Kind(api_version="policy/v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets"),
    Kind(
        api_version="autoscaling/v2",
        kind="HorizontalPodAutoscaler",
        plural="horizontalpodautoscalers",
    ),
)

#: Written or read by name only.
UNWATCHED: Final[tuple[Kind, ...]] = (
    Kind(api_version="v1", kind="Event", plural="events"),
    Kind(api_version="v1", kind="Secret", plural="secrets"),
    Kind(api_version="coordination.k8s.io/v1", kind="Lease", plural="leases"),
)

#: Everything the API client can address.
KINDS: Final = {(kind.api_version, kind.kind): kind for kind in (*WATCHED, *UNWATCHED)}

"""The Model resource: what a team wants served, and what the operator says of it.

These types are the source of `crds/`. A field is here only if code honours it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from driftline_api.conditions import ConditionStatus, ConditionType

Name = Annotated[str, Field(min_length=1, max_length=253)]


class ApiType(BaseModel):
    """Base of every type: camelCase on the wire, frozen in the process, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class LocalObjectReference(ApiType):
    """Names an object in the Model's own namespace."""

    name: Name


class Artifact(ApiType):
    """Where the model's file or directory lies, and what it must contain."""

    uri: str
    digest: str | None = None
    secret_ref: LocalObjectReference | None = None
    refresh_token: str | None = None


class OnnxRuntime(ApiType):
    """The model server of Driftline: ONNX Runtime."""

    threads: int | None = None


class ContainerPort(ApiType):
    """The port on which a container speaks the Open Inference Protocol over HTTP."""

    http: int = 8080


class ContainerRuntime(ApiType):
    """Any container that speaks the Open Inference Protocol v2. The artifact is at /mnt/model."""

    image: str
    command: list[str] = []
    args: list[str] = []
    env: list[dict[str, Any]] = []
    ports: ContainerPort = ContainerPort()


class Runtime(ApiType):
    """What serves the artifact: exactly one of `onnx` and `container`."""

    onnx: OnnxRuntime | None = None
    container: ContainerRuntime | None = None
    refresh_token: str | None = None


class Autoscaling(ApiType):
    """An autoscaler on the stable Deployment, by CPU."""

    min_replicas: int = 1
    max_replicas: int
    target_cpu_utilization: int = 70


class Rollout(ApiType):
    """How a new revision takes over."""

    progress_deadline_seconds: int = 600


class ModelSpec(ApiType):
    """What a team wants served."""

    artifact: Artifact
    runtime: Runtime = Runtime(onnx=OnnxRuntime())
    replicas: int = 1
    autoscaling: Autoscaling | None = None
    resources: dict[str, Any] = {}
    service_account_name: str | None = None
    image_pull_secrets: list[LocalObjectReference] = []
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: list[dict[str, Any]] = []
    priority_class_name: str | None = None
    pod_template: dict[str, Any] | None = None
    rollout: Rollout = Rollout()
    revision_history_limit: int = 5


class Condition(ApiType):
    """One condition, as `metav1.Condition`."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str


class Share(ApiType):
    """One arm of a Model's traffic."""

    arm: Literal["stable", "canary"]
    revision: str
    #: Percent of the requests.
    weight: int


class Traffic(ApiType):
    """What the routers of the namespace are to do with this Model's requests.

    The router's configuration is a pure function of these, so this is the contract between the
    Model's plan, which alone writes it, and the router's.
    """

    #: Number of the last change of weights; grows by one with each.
    epoch: int = 0
    shares: list[Share] = []
    #: Revisions with a Deployment, each of which has a cluster, whether or not a share names it.
    clusters: list[str] = []
    #: Every router has acknowledged exactly this.
    acknowledged: bool = False


class RevisionStatus(ApiType):
    """One revision that still has a ControllerRevision."""

    name: str
    number: int
    uri: str
    digest: str
    role: Literal["Stable", "Candidate", "Previous"]
    ready_replicas: int = 0


class ModelStatus(ApiType):
    """What the operator last saw and decided."""

    observed_generation: int = 0
    phase: str = ""
    message: str = ""
    url: str | None = None
    conditions: list[Condition] = []
    stable_revision: str | None = None
    target_revision: str | None = None
    #: When the target revision began (RFC 3339), for its progress deadline.
    target_since: str | None = None
    digest: str | None = None
    replicas: int = 0
    ready_replicas: int = 0
    selector: str = ""
    traffic: Traffic = Traffic()
    revisions: list[RevisionStatus] = []

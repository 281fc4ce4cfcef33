"""What the operator last saw of a Model and decided: a projection, at most 32 KiB."""

from typing import Annotated, Literal

from pydantic import Field

from driftline_api.base import ApiType
from driftline_api.conditions import ConditionStatus, ConditionType
from driftline_api.drift import DriftStatus
from driftline_api.schema import AS_SET, Extension, keyed_by
from driftline_api.text import Count, Message, RevisionName, Time

Digest = Annotated[str, Field(max_length=71)]
Uri = Annotated[str, Field(max_length=1024)]
Generation = Annotated[int, Field(ge=0), Extension({"format": "int64"})]


class Condition(ApiType):
    """One condition, as `metav1.Condition`."""

    type: ConditionType
    """What is said."""

    status: ConditionStatus
    """Whether it holds."""

    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """Why, as one stable word that programs may match on."""

    message: Message
    """Why, for people: with the numbers, and who must act next."""

    observed_generation: Generation
    """The metadata.generation that this was said of."""

    last_transition_time: Time
    """When `status` of this condition last changed."""


class Share(ApiType):
    """One arm of a Model's traffic."""

    arm: Literal["stable", "canary"]
    """Which arm."""

    revision: RevisionName
    """The revision that answers this arm's requests."""

    weight: Annotated[int, Field(ge=0, le=100), Extension({"format": "int32"})]
    """Percent of the requests."""


class Traffic(ApiType):
    """What the routers of the namespace are to do with this Model's requests.

    The router's configuration is a pure function of these.
    """

    epoch: Generation = 0
    """Number of the last change of weights; grows by one with each."""

    shares: Annotated[list[Share], Field(max_length=2), keyed_by("arm")] = []
    """How requests are split."""

    clusters: Annotated[list[RevisionName], Field(max_length=32), AS_SET] = []
    """Revisions with a Deployment, which routers know whether or not a share names them."""

    acknowledged: bool = False
    """Every router has confirmed exactly this."""


class RevisionStatus(ApiType):
    """One revision that is still kept."""

    name: RevisionName
    """Name of its ControllerRevision, and of its Deployment and Service where it has them."""

    number: Generation
    """The first revision is 1."""

    uri: Uri
    """Where its artifact was fetched from."""

    digest: Digest
    """What its artifact contained."""

    role: Literal["Stable", "Candidate", "Previous"]
    """What it is now."""

    port: Annotated[int, Field(ge=1, le=65535), Extension({"format": "int32"})] = 8080
    """Where its pods serve HTTP."""

    grpc_port: Annotated[int, Field(ge=1, le=65535), Extension({"format": "int32"})] | None = None
    """Where its pods serve gRPC; absent where they do not."""

    ready_replicas: Count = 0
    """Pods of it that are ready."""

    idle_since: Time | None = None
    """Since when no router sends it requests; absent where one may, or it has no pods."""


class ModelStatus(ApiType):
    """What the operator last saw and decided. Written by the operator only."""

    observed_generation: Generation = 0
    """The metadata.generation that this status speaks of."""

    phase: Annotated[str, Field(max_length=32)] = ""
    """Where the Model stands, in one word."""

    message: Message = ""
    """What is going on, who must act next, and what to do."""

    url: Annotated[str, Field(max_length=512)] | None = None
    """Where predictions are answered inside the cluster."""

    conditions: Annotated[list[Condition], Field(max_length=16), keyed_by("type")] = []
    """Ready, Reconciling and Stalled as kstatus has them, RolloutSucceeded and DriftFree."""

    stable_revision: RevisionName | None = None
    """The revision that serves."""

    target_revision: RevisionName | None = None
    """The revision that the spec asks for."""

    target_since: Time | None = None
    """When the target revision began, for its progress deadline."""

    digest: Digest | None = None
    """Digest of the artifact that serves."""

    replicas: Count = 0
    """Pods of the revision that serves."""

    ready_replicas: Count = 0
    """Those of them that are ready."""

    selector: Annotated[str, Field(max_length=512)] = ""
    """Selects the pods of the revision that serves, as a string."""

    traffic: Traffic = Traffic()
    """What the routers do with this Model's requests."""

    revisions: Annotated[list[RevisionStatus], Field(max_length=32), keyed_by("name")] = []
    """The revisions that are kept, newest first."""

    drift: DriftStatus | None = None
    """What is known of the data that the revision which serves is asked about."""

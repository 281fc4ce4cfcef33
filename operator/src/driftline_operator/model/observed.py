"""What is known of a Model and of everything that it owns, at one moment.

All of it is frozen, and parsed: what decides reads attributes, never manifests. Only objects
whose ownerReference bears the Model's uid are here; what merely has a label of ours is a
stranger's, or belongs to an earlier Model of the same name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from driftline_api.model import ModelSpec, ModelStatus
from driftline_operator.core.plan import Deletion, Manifest, ObjectRef, Refusal
from driftline_operator.drift.findings import DriftFindings
from driftline_operator.router.traffic import RouterView


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """An object that the Model owns, and exactly which state of it was seen."""

    ref: ObjectRef
    uid: str
    resource_version: str

    def deletion(self) -> Deletion:
        """Return the deletion of exactly this."""
        return Deletion(ref=self.ref, uid=self.uid, resource_version=self.resource_version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The Model itself.

    Attributes:
        spec: None when it cannot be read at all; `unreadable` then says why.
        deleting: garbage collection is at work, and nothing is left for us to do.
    """

    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    spec: ModelSpec | None
    status: ModelStatus
    unreadable: str = ""
    deleting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """An artifact of which the digest is known, and the Secret that opens it."""

    uri: str
    digest: str
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A revision, as its ControllerRevision holds it.

    Attributes:
        number: grows with each revision that becomes the target, also of one gone back to.
        template: the pod template, fully rendered by the operator that made the revision.
        resolved_from: hashes of each `spec.artifact` that was resolved to this digest.
        port: where its pods serve HTTP.
        grpc_port: where they serve gRPC, None where they do not: also for one that was made
            before the routers carried gRPC.
    """

    name: str
    number: int
    pinned: Pinned
    template: Manifest
    resolved_from: tuple[str, ...] = ()
    port: int = 8080
    grpc_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A revision's Deployment.

    Attributes:
        replicas: what it asks for now, whoever asked.
        ours: the number that we asked for, None once an autoscaler asks.
        current: the counts speak of what it asks for now.
        updated: pods of the present template.
        total: pods of any template.
        ready: those of them that are ready.
        refused: why no more pods could be created, in the API server's words.
    """

    revision: str
    replicas: int
    ours: int | None = None
    current: bool = True
    updated: int = 0
    total: int = 0
    ready: int = 0
    refused: str = ""

    def is_ready(self, wanted: int) -> bool:
        """Tell whether `wanted` pods of the present template, and no others, are ready."""
        enough = self.current and self.updated >= wanted and self.ready >= wanted
        return enough and self.total == self.updated


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A Job that finds out a digest.

    Attributes:
        child: which state of the Job was seen.
        inputs: hash of what the Job was rendered from beside the artifact.
        outcome: None while it runs.
        ended: when the outcome was known.
        message: the Job controller's.
    """

    child: Child
    inputs: str = ""
    outcome: Literal["Complete", "Failed"] | None = None
    ended: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a container ended, and the message that it left."""

    exit_code: int
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """A container of a pod.

    Attributes:
        waiting: why it does not run, a word of the kubelet's; empty when it is not waiting.
        ended: how it ended, when it is not running now.
        last: how it ended the time before.
    """

    name: str
    image: str = ""
    ready: bool = False
    restarts: int = 0
    waiting: str = ""
    message: str = ""
    ended: Ended | None = None
    last: Ended | None = None

    @property
    def failure(self) -> Ended | None:
        """How it last went wrong, unless it has done its work since."""
        if self.ended:
            return self.ended if self.ended.exit_code else None
        return self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A pod of a revision or of a Job. Pods that are being deleted are left out.

    Attributes:
        revision: empty for a Job's.
        owner: uid of what controls it.
        finished: its containers will not be started again.
        unschedulable: the scheduler's words.
        containers: the init containers first.
    """

    name: str
    revision: str
    owner: str
    created: datetime
    ready: bool = False
    finished: bool = False
    unschedulable: str = ""
    containers: tuple[ContainerView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that is decided upon.

    Attributes:
        children: everything owned, of any kind, sorted by reference.
        leftovers: what an earlier Model of this name owned, and the garbage collector has not
            come to yet. It is in the way of names, but not for long.
        refusals: what could not be applied a moment ago, in this same reconcile.
        drift: what was found of its data; None where nobody has looked since we began.
    """

    model: Subject
    records: tuple[Record, ...] = ()
    workloads: Mapping[str, Workload]
    runs: tuple[Run, ...] = ()
    pods: tuple[PodView, ...] = ()
    children: tuple[Child, ...] = ()
    router: RouterView = field(default_factory=RouterView)
    leftovers: frozenset[ObjectRef] = frozenset()
    refusals: Sequence[Refusal] = ()
    drift: DriftFindings | None = None

    def record(self, name: str | None) -> Record | None:
        """Return the revision of this name."""
        return next((each for each in self.records if each.name == name), None)

    def pods_of(self, revision: str) -> tuple[PodView, ...]:
        """Return the pods of a revision."""
        return tuple(pod for pod in self.pods if pod.revision == revision)

    def lasting_refusals(self) -> tuple[Refusal, ...]:
        """Return the refusals that will not pass by themselves."""
        return tuple(each for each in self.refusals if each.ref not in self.leftovers)

    def is_refused(self, kind: str, name: str) -> bool:
        """Tell whether a child could not be applied."""
        return any((each.ref.kind, each.ref.name) == (kind, name) for each in self.refusals)

"""The Model resource: what a team wants served, and what the operator says of it.

These types are the source of `crds/`. A field is here only if code honours it. What can be
known wrong from the Model alone is refused by the API server, with a message that says what to
write instead; the rest becomes a condition.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from driftline_api.base import ApiType, LocalObjectReference, Name
from driftline_api.monitoring import Monitoring
from driftline_api.pods import (
    Affinity,
    Arguments,
    Environment,
    NodeSelector,
    PodTemplate,
    Resources,
    Tolerations,
    TopologySpreadConstraints,
)
from driftline_api.schema import Extension, Rule, keyed_by, rules
from driftline_api.signature import ModelSignature
from driftline_api.status import (
    Condition,
    ModelStatus,
    RevisionStatus,
    Share,
    Traffic,
)

__all__ = [
    "ApiType",
    "Artifact",
    "Autoscaling",
    "Condition",
    "ContainerPort",
    "ContainerRuntime",
    "LocalObjectReference",
    "ModelSignature",
    "ModelSpec",
    "ModelStatus",
    "Monitoring",
    "Name",
    "OnnxRuntime",
    "RevisionStatus",
    "Rollout",
    "Runtime",
    "Share",
    "Traffic",
]

_INT32 = Extension({"format": "int32"})

#: Rules about where an artifact lies, from the coarsest mistake to the finest.
ArtifactUri = Annotated[
    str,
    Field(min_length=1, max_length=1024),
    Rule(
        "self.matches('^(s3|https|pvc)://')",
        "begin with s3://, https:// or pvc://, as in s3://bucket/path/model.onnx, "
        "https://host/path/model.onnx or pvc://claim/path/model.onnx",
    ),
    Rule(
        r"!self.matches('^[a-z0-9]+://') || self.matches('^[a-z0-9]+://[^/?#]+/.')",
        "name the bucket, host or claim and then the path in it, as in "
        "s3://bucket/path/model.onnx; a directory ends in /",
    ),
    Rule(
        r"!self.matches('^[a-z0-9]+://[^/]*@')",
        "take the user and the password out of the URI and put them into a Secret "
        "that secretRef names",
    ),
    Rule(
        r"!self.matches('[\\s\\x00-\\x1f#]')",
        "write the URI without white space, control characters and '#'; "
        "percent-encode them where they are part of the path",
    ),
    Rule(
        r"!self.matches('/[.][.]?(/|$)')",
        "write the path without . and .. between its slashes",
    ),
    Rule(
        "!self.startsWith('https://') || !self.endsWith('/')",
        "name one file: a directory cannot be listed over https://, use s3:// or pvc:// for it",
    ),
    Rule(
        "self.startsWith('https://') || !self.contains('?')",
        "remove the query: only https:// has one",
    ),
    Rule(
        "!self.startsWith('pvc://') || self.matches('^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/')",
        "after pvc:// write the name of a PersistentVolumeClaim in this namespace, "
        "then the path in it",
    ),
]

ArtifactDigest = Annotated[
    str,
    Field(max_length=71),
    Rule(
        "self.matches('^sha256:[0-9a-f]{64}$')",
        "write sha256: and 64 lowercase hexadecimal digits, as sha256sum prints for the file",
    ),
]

RefreshToken = Annotated[str, Field(min_length=1, max_length=128)]


class Artifact(ApiType):
    """Where the model's file or directory lies, and what it must contain."""

    model_config = rules(
        Rule(
            "!has(self.secretRef) || !self.uri.startsWith('pvc://')",
            "remove secretRef: a PersistentVolumeClaim is mounted and needs no credentials",
            field=".secretRef",
        )
    )

    uri: ArtifactUri
    """Where the artifact lies: one file, or a directory that ends in `/` and holds `model.onnx`.
    One of `s3://bucket/path`, `https://host/path` and `pvc://claim/path`."""

    digest: ArtifactDigest | None = None
    """What the artifact must contain: `sha256:` and the SHA-256 of the file. Without it the
    operator resolves `uri` once for each content of `artifact` and pins what it found."""

    secret_ref: LocalObjectReference | None = None
    """A Secret with the credentials, as environment variables of the fetcher: for `s3://`
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL and AWS_REGION; for `https://`
    HTTPS_TOKEN, or HTTPS_USERNAME and HTTPS_PASSWORD."""

    refresh_token: RefreshToken | None = None
    """Change this text to have the same `uri` resolved anew."""


class OnnxRuntime(ApiType):
    """Driftline's own model server: ONNX Runtime behind the Open Inference Protocol v2."""

    threads: Annotated[int, Field(ge=1, le=256), _INT32] | None = None
    """Threads that one run of the model uses; 1 by default. The CPU limit bounds how many run."""


class ContainerPort(ApiType):
    """The ports of a container that serves."""

    model_config = rules(
        Rule(
            "!has(self.grpc) || self.grpc != self.http",
            "give grpc a port of its own: http has this one",
            field=".grpc",
        ),
        Rule(
            "(self.http < 8085 || self.http > 8088) && "
            "(!has(self.grpc) || self.grpc < 8085 || self.grpc > 8088)",
            "choose other ports: 8085 to 8088 are the monitor's, which is in the same pod",
        ),
    )

    http: Annotated[int, Field(ge=1, le=65535), _INT32] = 8080
    """Port of the Open Inference Protocol v2 over HTTP."""

    grpc: Annotated[int, Field(ge=1, le=65535), _INT32] | None = None
    """Port of the Open Inference Protocol v2 over gRPC. Left out, there is none, and clients
    that call over gRPC are told so."""


class ContainerRuntime(ApiType):
    """Any container that speaks the Open Inference Protocol v2. The artifact is at /mnt/model."""

    image: Annotated[
        str,
        Field(min_length=1, max_length=512),
        Rule(
            r"self.matches('^[a-z0-9][-a-zA-Z0-9._/:@]*$')",
            "write an image reference such as registry.example.com/team/server:1.2",
        ),
    ]
    """The image to run."""

    command: Arguments = []
    """Entrypoint, instead of the image's own."""

    args: Arguments = []
    """Arguments of the entrypoint, instead of the image's own."""

    env: Environment = []
    """Environment variables of the container."""

    ports: ContainerPort = ContainerPort()
    """Where the container listens."""

    observe: Literal["Tap", "Proxy"] = "Tap"
    """How the monitor gets to see inferences. `Tap`: the container tells of them over the Unix
    socket /run/driftline/tap, and what it does not tell is not watched. `Proxy`: all requests
    pass through a proxy in the pod, which tells of them."""


class Runtime(ApiType):
    """What serves the artifact: `onnx`, which is the default, or `container`."""

    model_config = rules(
        Rule(
            "!(has(self.onnx) && has(self.container))",
            "keep one of onnx and container: a Model is served by exactly one",
        )
    )

    onnx: OnnxRuntime | None = None
    """Serve with Driftline's own model server."""

    container: ContainerRuntime | None = None
    """Serve with a container of yours."""

    refresh_token: RefreshToken | None = None
    """Change this text to have a new revision of the same content, made with the images of the
    operator that runs now."""

    @model_validator(mode="after")
    def _onnx_unless_container(self) -> Self:
        """Fill in the default here, not in the CRD.

        A default that the API server stored would stand beside `container` as soon as someone
        applies that to an existing Model, and be refused as a second runtime.
        """
        if self.onnx is None and self.container is None:
            object.__setattr__(self, "onnx", OnnxRuntime())
        return self


class Autoscaling(ApiType):
    """An autoscaler on the revision that serves, by CPU."""

    model_config = rules(
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "lower minReplicas or raise maxReplicas: the minimum is above the maximum",
            field=".minReplicas",
        )
    )

    min_replicas: Annotated[int, Field(ge=1, le=1000), _INT32] = 1
    """Fewest pods."""

    max_replicas: Annotated[int, Field(ge=1, le=1000), _INT32]
    """Most pods."""

    target_cpu_utilization: Annotated[int, Field(ge=1, le=1000), _INT32] = 70
    """CPU use that is aimed at, in percent of `resources.requests.cpu`."""


class Rollout(ApiType):
    """How a new revision takes over."""

    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86_400), _INT32] = 600
    """How long a new revision may take to get ready. Then the Model is Stalled: the
    revision before it keeps serving, and the new one takes over if it gets ready after all."""


class ModelSpec(ApiType):
    """What a team wants served."""

    model_config = rules(
        Rule(
            "!has(self.autoscaling) || self.replicas == 1",
            "remove replicas, or set it to 1: with autoscaling the number of pods is set by "
            "autoscaling.minReplicas and maxReplicas",
            field=".replicas",
        ),
        Rule(
            "!has(self.autoscaling) || (has(self.resources) && ((has(self.resources.requests) "
            "&& 'cpu' in self.resources.requests) || (has(self.resources.limits) && "
            "'cpu' in self.resources.limits)))",
            "set resources.requests.cpu: the autoscaler measures CPU use against it",
            field=".autoscaling",
        ),
    )

    artifact: Artifact
    """Where the model's file or directory lies, and what it must contain."""

    runtime: Runtime = Field(default_factory=Runtime)
    """What serves the artifact. By default Driftline's own server for ONNX."""

    signature: ModelSignature | None = None
    """What the model's numbers mean. Takes the place of the one in the artifact's
    `driftline.json`, as a whole."""

    replicas: Annotated[
        int,
        Field(ge=1, le=1000),
        _INT32,
        Rule("self >= 1", "ask for at least 1: to stop serving, delete the Model"),
    ] = 1
    """How many pods serve. Left out with `autoscaling`."""

    autoscaling: Autoscaling | None = None
    """Let the number of pods follow their CPU use."""

    resources: Resources = {}
    """Resources of the container that serves, as in a pod."""

    service_account_name: Name | None = None
    """ServiceAccount of the pods, for instance one that a cloud gives access to a bucket."""

    image_pull_secrets: Annotated[
        list[LocalObjectReference], Field(max_length=16), keyed_by("name")
    ] = []
    """Secrets with which the pods' images are pulled."""

    node_selector: NodeSelector = {}
    """Labels of the nodes that pods may run on."""

    tolerations: Tolerations = []
    """Taints that pods tolerate, as in a pod."""

    affinity: Affinity | None = None
    """Affinity of the pods, as in a pod."""

    topology_spread_constraints: TopologySpreadConstraints = []
    """How pods are spread over zones and nodes, as in a pod."""

    priority_class_name: Name | None = None
    """PriorityClass of the pods."""

    pod_template: PodTemplate | None = None
    """Anything else of a pod: merged over what the operator renders, lists by name."""

    rollout: Rollout = Rollout()
    """How a new revision takes over."""

    monitoring: Monitoring = Monitoring()
    """How the data are watched. A change of it restarts no pod."""

    revision_history_limit: Annotated[int, Field(ge=0, le=20), _INT32] = 5
    """How many earlier revisions are kept to go back to."""

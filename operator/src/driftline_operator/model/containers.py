"""What the containers of a pod are made of, whatever they do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from driftline_api.model import ModelSignature, ModelSpec
from driftline_api.names import SIGNATURE_VARIABLE
from driftline_operator.model.canonical import canonical
from driftline_operator.model.observed import Pinned

SERVER: Final = "server"
#: Of our own server, over HTTP.
PORT: Final = 8080
MODEL_DIR: Final = "/mnt/model"
PVC_DIR: Final = "/mnt/pvc"
KEYS_DIR: Final = "/etc/driftline/keys"
PVC_SCHEME: Final = "pvc://"
TMP: Final = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the pod's own
#: A pod that ends keeps answering until routers have heard: DNS keeps an answer for up to 5 s
#: (30 s in some clusters, where the routers' health checks and retries bridge the rest), and
#: they ask every second.
LEAVING_SECONDS: Final = 15
#: A model that loads for longer is taken to hang, and started again.
START_SECONDS: Final = 1_800
LEAVING: Final = {"preStop": {"sleep": {"seconds": LEAVING_SECONDS}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """What a pod is made with by this operator. Never part of a revision's hash.

    Attributes:
        monitor: resources of the container that watches.
        proxy: resources of the container through which requests go to a foreign server.
    """

    serving: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    monitor: Mapping[str, Any] = field(default_factory=dict)
    proxy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose pod it is."""

    model: str
    revision: str


def claim_of(uri: str) -> str:
    """Return the PersistentVolumeClaim that a URI names, empty for one that names none.

    >>> claim_of("pvc://shared/models/iris.onnx")
    'shared'
    """
    return uri.removeprefix(PVC_SCHEME).partition("/")[0] if uri.startswith(PVC_SCHEME) else ""


def confined() -> dict[str, Any]:
    """Return the rights of a container: none."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def access_to(uri: str, secret: str | None) -> dict[str, Any]:
    """Return what a container needs to read an artifact: credentials, or a mounted claim."""
    mounts: list[dict[str, Any]] = [TMP]
    if claim_of(uri):
        mounts.append({"name": "pvc", "mountPath": PVC_DIR, "readOnly": True})
    credentials = {"envFrom": [{"secretRef": {"name": secret}}]} if secret else {}
    return {"volumeMounts": mounts, **credentials}


def about(spec: ModelSpec, pinned: Pinned, identity: Identity) -> list[dict[str, Any]]:
    """Return the environment variables that tell a container what is served."""
    told = {"DRIFTLINE_REVISION": identity.revision, "DRIFTLINE_DIGEST": pinned.digest}
    if spec.signature:
        told[SIGNATURE_VARIABLE] = signature_text(spec.signature)
    return [{"name": name, "value": value} for name, value in told.items()]


def of_pod(**fields: str) -> list[dict[str, Any]]:
    """Return the environment variables that tell a container of its pod, by field."""
    return [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in fields.items()
    ]


def signature_text(signature: ModelSignature) -> str:
    """Return a signature as the server is given it: with no `$`, which Kubernetes would expand."""
    said = signature.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return canonical(said).replace("$", "\\u0024")

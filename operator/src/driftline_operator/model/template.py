"""Renders pods: the fetcher, what serves, and how tightly both are held."""

from dataclasses import dataclass
from typing import Any, Final

from driftline_api.keys import KEYS_SECRET
from driftline_api.model import ContainerRuntime, ModelSignature, ModelSpec, OnnxRuntime
from driftline_api.names import (
    COMPONENT,
    COMPONENT_MODEL_SERVER,
    COMPONENT_RESOLVER,
    MANAGED_BY,
    MANAGER,
    MODEL,
    REVISION,
    SIGNATURE_VARIABLE,
)
from driftline_operator.model.canonical import canonical
from driftline_operator.model.merge import merged
from driftline_operator.model.observed import Pinned

MODEL_DIR: Final = "/mnt/model"
PVC_DIR: Final = "/mnt/pvc"
KEYS_DIR: Final = "/etc/driftline/keys"
PVC_SCHEME: Final = "pvc://"
SERVER: Final = "server"
FETCHER: Final = "fetcher"
RESOLVER: Final = "resolver"
PORT: Final = 8080
GRPC_PORT: Final = 9000
#: Of our own server: health of all its workers, and their metrics.
ADMIN_PORT: Final = 8081
#: Distroless images know it as "nonroot"; any uid that is not root would do.
USER: Final = 65_532
#: A pod that ends keeps answering until routers have heard: DNS keeps an answer for up to 5 s
#: (30 s in some clusters, where the routers' health checks and retries bridge the rest), and
#: they ask every second.
LEAVING_SECONDS: Final = 15
#: Leaving, then the server's own drain (3 s) and the requests in flight (20 s), and some air.
GRACE_SECONDS: Final = 60
#: A model that loads for longer is taken to hang, and started again.
START_SECONDS: Final = 1_800
FETCH_SECONDS: Final = 3_300


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """What a pod is made with by this operator. Never part of a revision's hash."""

    serving: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose pod it is."""

    model: str
    revision: str


def common_labels(model: str, component: str, revision: str = "") -> dict[str, str]:
    """Return the labels of everything that is a Model's."""
    labels = {MANAGED_BY: MANAGER, COMPONENT: component, MODEL: model}
    return labels | ({REVISION: revision} if revision else {})


def pod_labels(identity: Identity) -> dict[str, str]:
    """Return the labels of a revision's pods."""
    return common_labels(identity.model, COMPONENT_MODEL_SERVER, identity.revision)


def render_server_template(
    spec: ModelSpec, pinned: Pinned, identity: Identity, images: Images
) -> dict[str, Any]:
    """Return the pod template of a revision.

    What the user merges in `podTemplate` comes last, except for our labels: Services, budgets
    and the operator itself find the pods by them.
    """
    labels = pod_labels(identity)
    pod = {
        **_pod_fields(spec, images, pinned.uri),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "initContainers": [_fetcher(pinned, images)],
        "volumes": [*_volumes(pinned.uri), *_keys_volume(spec)],
        "containers": [_server(spec, pinned, identity, images)],
    }
    template = merged({"metadata": {"labels": labels}, "spec": pod}, spec.pod_template or {})
    meta = template.get("metadata", {})
    return {**template, "metadata": {**meta, "labels": {**meta.get("labels", {}), **labels}}}


def render_resolver_template(spec: ModelSpec, model: str, images: Images) -> dict[str, Any]:
    """Return the pod template of the Job that finds out the digest of `spec.artifact`."""
    artifact = spec.artifact
    secret = artifact.secret_ref.name if artifact.secret_ref else None
    command = ["resolve", "--uri", artifact.uri, "--timeout", str(FETCH_SECONDS)]
    return {
        "metadata": {"labels": common_labels(model, COMPONENT_RESOLVER)},
        "spec": {
            **_pod_fields(spec, images, artifact.uri),
            "restartPolicy": "Never",
            "containers": [_reader(RESOLVER, command, images, _source(artifact.uri, secret))],
        },
    }


def placement(spec: ModelSpec, images: Images) -> dict[str, Any]:
    """Return what decides where a pod may run and as whom, beside the artifact."""
    fields = {
        "serviceAccountName": spec.service_account_name,
        "priorityClassName": spec.priority_class_name,
        "imagePullSecrets": _pull_secrets(spec, images),
        "nodeSelector": spec.node_selector,
        "tolerations": spec.tolerations,
        "affinity": spec.affinity,
        "topologySpreadConstraints": spec.topology_spread_constraints,
    }
    return {name: value for name, value in fields.items() if value}


def _pull_secrets(spec: ModelSpec, images: Images) -> list[dict[str, str]]:
    given = [each.name for each in spec.image_pull_secrets]
    return [{"name": name} for name in dict.fromkeys((*given, *images.pull_secrets))]


def _pod_fields(spec: ModelSpec, images: Images, uri: str) -> dict[str, Any]:
    """Return what all our pods have in common: nothing that a restricted namespace refuses."""
    return {
        **placement(spec, images),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": _volumes(uri),
    }


def _volumes(uri: str) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": "model", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if claim := claim_of(uri):
        source = {"claimName": claim, "readOnly": True}
        volumes.append({"name": "pvc", "persistentVolumeClaim": source})
    return volumes


def _keys_volume(spec: ModelSpec) -> list[dict[str, Any]]:
    """Return what our own server signs receipts with; a foreign one is not given it.

    Optional: a pod must start also where the Secret is not there yet.
    """
    if spec.runtime.container:
        return []
    return [{"name": KEYS_SECRET, "secret": {"secretName": KEYS_SECRET, "optional": True}}]


def claim_of(uri: str) -> str:
    """Return the PersistentVolumeClaim that a URI names, empty for one that names none.

    >>> claim_of("pvc://shared/models/iris.onnx")
    'shared'
    """
    return uri.removeprefix(PVC_SCHEME).partition("/")[0] if uri.startswith(PVC_SCHEME) else ""


def _confined() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _source(uri: str, secret: str | None) -> dict[str, Any]:
    """Return what a container needs to read an artifact: credentials, or a mounted claim."""
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - the pod's own
    if claim_of(uri):
        mounts.append({"name": "pvc", "mountPath": PVC_DIR, "readOnly": True})
    credentials = {"envFrom": [{"secretRef": {"name": secret}}]} if secret else {}
    return {"volumeMounts": mounts, **credentials}


def _reader(
    name: str, command: list[str], images: Images, source: dict[str, Any]
) -> dict[str, Any]:
    """Return a container of ours that reads an artifact and leaves a message when it ends."""
    return {
        "name": name,
        "image": images.serving,
        "imagePullPolicy": images.pull_policy,
        "args": command,
        **source,
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi"},
            "limits": {"cpu": "2", "memory": "512Mi"},
        },
        "securityContext": _confined(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _fetcher(pinned: Pinned, images: Images) -> dict[str, Any]:
    where = ["fetch", "--uri", pinned.uri, "--target", MODEL_DIR]
    command = [*where, "--digest", pinned.digest, "--timeout", str(FETCH_SECONDS)]
    source = _source(pinned.uri, pinned.secret)
    source["volumeMounts"].append({"name": "model", "mountPath": MODEL_DIR})
    return _reader(FETCHER, command, images, source)


def _server(spec: ModelSpec, pinned: Pinned, identity: Identity, images: Images) -> dict[str, Any]:
    runtime = spec.runtime
    if runtime.container:
        program = _foreign(runtime.container)
    else:
        program = _own(runtime.onnx or OnnxRuntime(), identity, images)
    admin = None if runtime.container else ADMIN_PORT
    ports = {"http": http_port(spec), "grpc": grpc_port(spec), "admin": admin}
    env = {"DRIFTLINE_REVISION": identity.revision, "DRIFTLINE_DIGEST": pinned.digest}
    if spec.signature:
        env[SIGNATURE_VARIABLE] = signature_text(spec.signature)
    return {
        **program,
        "name": SERVER,
        "env": [*program["env"], *({"name": k, "value": v} for k, v in env.items())],
        "ports": [{"name": k, "containerPort": v} for k, v in ports.items() if v],
        "resources": spec.resources,
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_DIR, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            *program.get("volumeMounts", ()),
        ],
        **_probes("admin" if admin else "http"),
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVING_SECONDS}}},
        "securityContext": _confined(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def signature_text(signature: ModelSignature) -> str:
    """Return a signature as the server is given it: with no `$`, which Kubernetes would expand."""
    said = signature.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return canonical(said).replace("$", "\\u0024")


def http_port(spec: ModelSpec) -> int:
    """Return where the pods serve HTTP."""
    container = spec.runtime.container
    return container.ports.http if container else PORT


def grpc_port(spec: ModelSpec) -> int | None:
    """Return where the pods serve gRPC, None for a container that does not say so."""
    container = spec.runtime.container
    return container.ports.grpc if container else GRPC_PORT


def _own(onnx: OnnxRuntime, identity: Identity, images: Images) -> dict[str, Any]:
    threads = ["--threads", str(onnx.threads)] if onnx.threads else []
    what = ["--model-name", identity.model, "--model-dir", MODEL_DIR]
    where = ["--port", str(PORT), "--grpc-port", str(GRPC_PORT), "--admin-port", str(ADMIN_PORT)]
    return {
        "image": images.serving,
        "imagePullPolicy": images.pull_policy,
        "args": ["serve", *what, *where, "--keys", KEYS_DIR, *threads],
        "env": [],
        "volumeMounts": [{"name": KEYS_SECRET, "mountPath": KEYS_DIR, "readOnly": True}],
    }


def _foreign(container: ContainerRuntime) -> dict[str, Any]:
    program = {"command": container.command, "args": container.args}
    return {
        "image": container.image,
        **{name: list(value) for name, value in program.items() if value},
        "env": list(container.env),
    }


def _probes(port: str) -> dict[str, Any]:
    """Return when a container is started, ready and alive, as it says on a port.

    Until it has been ready once nobody asks whether it is alive: a large model may load for
    minutes, and a foreign server may answer nothing meanwhile.
    """
    ready = {"httpGet": {"path": "/v2/health/ready", "port": port}, "timeoutSeconds": 2}
    live = {"httpGet": {"path": "/v2/health/live", "port": port}, "timeoutSeconds": 5}
    return {
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": START_SECONDS},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 6},
    }

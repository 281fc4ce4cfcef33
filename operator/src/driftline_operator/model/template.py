"""Renders pods: the fetcher, what serves, and how tightly both are held."""

from typing import Any, Final

from driftline_api.keys import KEYS_SECRET
from driftline_api.model import ContainerRuntime, ModelSpec, OnnxRuntime
from driftline_api.names import (
    COMPONENT,
    COMPONENT_MODEL_SERVER,
    COMPONENT_RESOLVER,
    MANAGED_BY,
    MANAGER,
    MODEL,
    PROXY_GRPC_PORT,
    PROXY_PORT,
    REVISION,
    TAP_DIR,
    TAP_SOCKET,
)
from driftline_operator.model.containers import (
    KEYS_DIR,
    LEAVING,
    MODEL_DIR,
    PORT,
    SERVER,
    START_SECONDS,
    TMP,
    Identity,
    Images,
    about,
    access_to,
    claim_of,
    confined,
)
from driftline_operator.model.merge import merged
from driftline_operator.model.observed import Pinned
from driftline_operator.model.sidecars import is_proxied, sidecars

FETCHER: Final = "fetcher"
RESOLVER: Final = "resolver"
GRPC_PORT: Final = 9000
#: Of our own server: health of all its workers, and their metrics.
ADMIN_PORT: Final = 8081
#: Distroless images know it as "nonroot"; any uid that is not root would do.
USER: Final = 65_532
#: Leaving, then the server's own drain (3 s) and the requests in flight (20 s), and some air.
GRACE_SECONDS: Final = 60
FETCH_SECONDS: Final = 3_300
#: Volumes of what serves and of what watches it. The keys are optional: a pod must start also where
#: the Secret is not there yet. The tap holds nothing but a socket, which a full disk must not
#: keep from being made.
_SHARED: Final[tuple[dict[str, Any], ...]] = (
    {"name": KEYS_SECRET, "secret": {"secretName": KEYS_SECRET, "optional": True}},
    {"name": "tap", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
)


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
        "volumes": [*_volumes(pinned.uri), *_SHARED],
        "containers": [
            _server(spec, pinned, identity, images),
            *sidecars(spec, pinned, identity, images),
        ],
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
            "containers": [_reader(RESOLVER, command, images, access_to(artifact.uri, secret))],
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
        "securityContext": confined(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _fetcher(pinned: Pinned, images: Images) -> dict[str, Any]:
    where = ["fetch", "--uri", pinned.uri, "--target", MODEL_DIR]
    command = [*where, "--digest", pinned.digest, "--timeout", str(FETCH_SECONDS)]
    source = access_to(pinned.uri, pinned.secret)
    source["volumeMounts"].append({"name": "model", "mountPath": MODEL_DIR})
    return _reader(FETCHER, command, images, source)


def _server(spec: ModelSpec, pinned: Pinned, identity: Identity, images: Images) -> dict[str, Any]:
    runtime = spec.runtime
    if runtime.container:
        program = _foreign(runtime.container)
    else:
        program = _own(runtime.onnx or OnnxRuntime(), identity, images)
    admin = None if runtime.container else ADMIN_PORT
    container = runtime.container
    ports = {
        "http": container.ports.http if container else PORT,
        "grpc": container.ports.grpc if container else GRPC_PORT,
        "admin": admin,
    }
    return {
        **program,
        "name": SERVER,
        "env": [*program["env"], *about(spec, pinned, identity)],
        "ports": [{"name": k, "containerPort": v} for k, v in ports.items() if v],
        "resources": spec.resources,
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_DIR, "readOnly": True},
            TMP,
            {"name": "tap", "mountPath": TAP_DIR},
            *program.get("volumeMounts", ()),
        ],
        **_probes("admin" if admin else "http"),
        "lifecycle": LEAVING,
        "securityContext": confined(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def http_port(spec: ModelSpec) -> int:
    """Return where the pods serve HTTP."""
    container = spec.runtime.container
    if container is None:
        return PORT
    return PROXY_PORT if is_proxied(spec) else container.ports.http


def grpc_port(spec: ModelSpec) -> int | None:
    """Return where the pods serve gRPC, None for a container that does not say so."""
    container = spec.runtime.container
    if container is None:
        return GRPC_PORT
    return PROXY_GRPC_PORT if is_proxied(spec) and container.ports.grpc else container.ports.grpc


def _own(onnx: OnnxRuntime, identity: Identity, images: Images) -> dict[str, Any]:
    threads = ["--threads", str(onnx.threads)] if onnx.threads else []
    what = ["--model-name", identity.model, "--model-dir", MODEL_DIR]
    where = ["--port", str(PORT), "--grpc-port", str(GRPC_PORT), "--admin-port", str(ADMIN_PORT)]
    return {
        "image": images.serving,
        "imagePullPolicy": images.pull_policy,
        "args": ["serve", *what, *where, "--keys", KEYS_DIR, "--tap", TAP_SOCKET, *threads],
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

"""Labels, annotations and the fixed names that every part of Driftline agrees on."""

from typing import Final

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "driftline"
FIELD_MANAGER: Final = "driftline-operator"

COMPONENT: Final = "app.kubernetes.io/component"
COMPONENT_MODEL_SERVER: Final = "model-server"
COMPONENT_ROUTER: Final = "router"
COMPONENT_RESOLVER: Final = "resolver"

MODEL: Final = "driftline.dev/model"
REVISION: Final = "driftline.dev/revision"

#: Hash of the manifest as rendered, on every child: tells a removed field from an absent one.
MANIFEST_HASH: Final = "driftline.dev/manifest-hash"
#: Hash of `spec.artifact` on a resolver Job and on a ControllerRevision.
ARTIFACT_HASH: Final = "driftline.dev/artifact-hash"
#: Set by a person on a foreign object to hand it to the Model that the value names.
ADOPT: Final = "driftline.dev/adopt"

#: One Deployment, Service, PodDisruptionBudget and ConfigMap of this name per namespace.
ROUTER: Final = "driftline-router"
FIRST_PORT: Final = 10_000
LAST_PORT: Final = 19_999

#: Request headers that the router stamps, overwriting what a client sent.
ARM_HEADER: Final = "driftline-arm"
EPOCH_HEADER: Final = "driftline-epoch"
SLOT_HEADER: Final = "driftline-slot"
#: On a request that repeats one that was answered before: it is told nowhere, and counts nowhere.
REPLAY_HEADER: Final = "driftline-replay"
#: A client's own name for its request; comes back with the answer.
REQUEST_ID_HEADER: Final = "x-request-id"
#: Response headers that the model server sets.
PREDICTION_ID_HEADER: Final = "driftline-prediction-id"
REVISION_HEADER: Final = "driftline-revision"
DIGEST_HEADER: Final = "driftline-digest"
RECEIPT_HEADER: Final = "driftline-receipt"

#: Beside `model.onnx`: what the model's numbers mean.
SIGNATURE_FILE: Final = "driftline.json"
#: The same from the Model's spec, as JSON: an environment variable of what serves.
SIGNATURE_VARIABLE: Final = "DRIFTLINE_SIGNATURE"
#: Bytes of that JSON. Linux takes 128 KiB in one variable, and the pod template is stored thrice.
MOST_SIGNATURE_BYTES: Final = 64 * 1024

#: Container, and the port of its pods, at which a monitor answers. The well-known servers of the
#: protocol listen below it: MLServer has its metrics at 8082.
MONITOR: Final = "monitor"
MONITOR_PORT: Final = 8085
#: Container, and ports, through which requests go to a server that cannot tell of inferences.
PROXY: Final = "proxy"
PROXY_PORT: Final = 8086
PROXY_GRPC_PORT: Final = 8087
PROXY_ADMIN_PORT: Final = 8088
#: Directory and Unix socket in a pod, by which a server tells its monitor of inferences.
TAP_DIR: Final = "/run/driftline"
TAP_SOCKET: Final = f"{TAP_DIR}/tap"
#: Beside `model.onnx`: what the training data looked like.
PROFILE_FILE: Final = "driftline-profile.json"


def monitors_service(model: str) -> str:
    """Return the headless Service whose addresses are all pods of a Model, ready or not."""
    return f"{model}-monitors"

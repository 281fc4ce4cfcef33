"""What is left out of the Store, to hold a thousand Models in little memory.

`managedFields` are a third of most objects and no decision reads them. Of a pod, decisions read
who it is, where it runs and how its containers fare.
"""

from typing import Any, Final

from driftline_operator.core.plan import Manifest

_FAT_ANNOTATIONS: Final = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"}
)
_POD_META: Final = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "labels",
        "ownerReferences",
        "creationTimestamp",
        "deletionTimestamp",
    }
)
_POD_STATUS: Final = frozenset(
    {
        "phase",
        "reason",
        "message",
        "conditions",
        "podIP",
        "startTime",
        "containerStatuses",
        "initContainerStatuses",
    }
)


def slimmed(manifest: Manifest) -> dict[str, Any]:
    """Return the part of an object that decisions may read, as a new dict."""
    if manifest["kind"] == "Pod":
        return _slim_pod(manifest)
    return {**manifest, "metadata": _slim_meta(manifest["metadata"])}


def _slim_meta(meta: Manifest) -> dict[str, Any]:
    kept = {key: value for key, value in meta.items() if key != "managedFields"}
    if "annotations" in kept:
        annotations = kept["annotations"].items()
        kept["annotations"] = {k: v for k, v in annotations if k not in _FAT_ANNOTATIONS}
    return kept


def _slim_pod(pod: Manifest) -> dict[str, Any]:
    spec = pod.get("spec", {})
    meta = pod["metadata"]
    annotations = meta.get("annotations", {}).items()
    return {
        "apiVersion": pod["apiVersion"],
        "kind": "Pod",
        "metadata": {
            **{key: value for key, value in meta.items() if key in _POD_META},
            "annotations": {k: v for k, v in annotations if k.startswith("driftline.dev/")},
        },
        "spec": {
            "nodeName": spec.get("nodeName"),
            "initContainers": [_name_and_image(item) for item in spec.get("initContainers", [])],
            "containers": [_name_and_image(item) for item in spec.get("containers", [])],
        },
        "status": {k: v for k, v in pod.get("status", {}).items() if k in _POD_STATUS},
    }


def _name_and_image(container: Manifest) -> dict[str, Any]:
    return {"name": container["name"], "image": container.get("image")}

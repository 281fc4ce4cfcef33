"""Small objects for the contract."""

from typing import Any

from driftline_api import API_VERSION
from driftline_operator.core.plan import Manifest

OURS = {"app.kubernetes.io/managed-by": "driftline"}


def owner(manifest: Manifest) -> dict[str, Any]:
    """Return the reference by which `manifest` owns another object."""
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": manifest["metadata"]["name"],
        "uid": manifest["metadata"]["uid"],
        "controller": True,
    }


def a_config_map(namespace: str, name: str = "a", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(OURS)},
        "data": data,
    }


def a_service(namespace: str, name: str = "a", port: int = 80) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(OURS)},
        "spec": {
            "selector": {"app": name},
            "ports": [{"name": "http", "port": port, "targetPort": 8080, "protocol": "TCP"}],
        },
    }


def a_deployment(namespace: str, name: str = "a", **container: Any) -> dict[str, Any]:
    server = {"name": "server", "image": "server:1", **container}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(OURS)},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [server]},
            },
        },
    }


def a_revision(namespace: str, name: str = "a", number: int = 1, **data: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(OURS)},
        "revision": number,
        "data": data,
    }


def a_model(namespace: str, name: str = "a", replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "artifact": {"uri": "s3://bucket/model.onnx", "digest": "sha256:" + "0" * 64},
            "replicas": replicas,
        },
    }

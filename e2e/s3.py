"""A real S3 server in the cluster: SeaweedFS, with credentials, and what is stored in it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import obstore
from obstore.store import S3Store

from e2e.cluster.access import service_url
from e2e.kubectl import Kubectl, Object, eventually

NAMESPACE = "driftline-e2e-s3"
NAME = "s3"
PORT = 8333
BUCKET = "models"
#: Name of the Secret with the credentials, in every namespace with Models.
CREDENTIALS = "s3-credentials"
ACCESS_KEY = "driftline-e2e"
SECRET_KEY = "only-for-a-cluster-that-is-thrown-away"  # noqa: S105 - a cluster for tests


def credentials(namespace: str) -> Object:
    """Return the Secret that fetchers in `namespace` read the server with."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CREDENTIALS, "namespace": namespace},
        "stringData": {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": f"http://{NAME}.{NAMESPACE}.svc:{PORT}",
            "AWS_REGION": "us-east-1",
        },
    }


def identities() -> str:
    """Return SeaweedFS's list of who may do what."""
    keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return json.dumps({"identities": [{"name": "e2e", "credentials": [keys], "actions": actions}]})


def container(image: str) -> Object:
    """Return the server's container."""
    command = ["weed", "server", "-dir=/data", "-ip=127.0.0.1", "-ip.bind=0.0.0.0", "-s3"]
    command += [f"-s3.port={PORT}", "-s3.config=/etc/s3/identities.json"]
    command += ["-master.volumeSizeLimitMB=256", "-volume.max=20"]
    return {
        "name": "seaweedfs",
        "image": image,
        "command": command,
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the container's own
            {"name": "identities", "mountPath": "/etc/s3"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def manifests(image: str) -> list[Object]:
    """Return the server: namespace, identities, Deployment and Service."""
    meta: dict[str, Any] = {"name": NAME, "namespace": NAMESPACE}
    labels = {"app": NAME}
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container(image)],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "identities", "secret": {"secretName": NAME}},
        ],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "stringData": {"identities.json": identities()},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": labels},
                "strategy": {"type": "Recreate"},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": PORT}]},
        },
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server, from outside the cluster."""

    store: S3Store

    def upload(self, key: str, content: bytes) -> str:
        """Store `content` under `key` and return its URI; a server that starts gets a minute."""

        def stored() -> bool:
            try:
                obstore.put(self.store, key, content)
            except obstore.exceptions.BaseError as error:
                raise AssertionError(str(error)) from error
            return True

        eventually(f"upload of {key}", stored, within=60, every=0.5)
        return f"s3://{BUCKET}/{key}"


@contextmanager
def connected(kubectl: Kubectl) -> Iterator[Server]:
    """Reach the server from this machine until the block ends."""
    with service_url(kubectl, NAMESPACE, NAME, PORT) as url:
        store = S3Store(
            BUCKET,
            endpoint=url,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        yield Server(store=store)


def deploy(kubectl: Kubectl, image: str) -> None:
    """Bring the server up, and wait until it answers connections."""
    kubectl.apply(*manifests(image))
    kubectl.run("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, timeout=120)

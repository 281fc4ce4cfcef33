"""A constant load from inside the cluster, so that it meets the Service as any client would.

The client is a pod of the serving image, which has Python and aiohttp. It prints one line of
JSON a second; the last line is the account of all that was sent.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.kubectl import Kubectl, eventually

SCRIPT = Path(__file__).with_name("load_client.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of the requests.

    Attributes:
        sent: requests that have ended.
        failed: those that did not end in 200.
        errors: a sample of what went wrong, each with its second.
        revisions: answers by the revision that gave them.
    """

    sent: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()
    revisions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A running client pod."""

    kubectl: Kubectl
    namespace: str
    pod: str

    def account(self) -> Account:
        """Return what the client last reported: at most a second old."""
        lines = self.kubectl.run("logs", self.pod, "-n", self.namespace, "--tail=1").splitlines()
        if not lines:
            return Account()
        told: dict[str, Any] = json.loads(lines[-1])
        return Account(**{**told, "errors": tuple(told["errors"])})

    def settled(self) -> Account:
        """Return an account that holds everything that was sent until now."""
        time.sleep(2.5)
        return self.account()


def client_pod(namespace: str, image: str, command: list[str], name: str) -> dict[str, Any]:
    """Return a pod that runs `command` with the restrictions that namespaces may demand."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a load sends.

    Attributes:
        url: of the inference call; grpc://host:port for one over gRPC.
        body: of every request, as JSON; over gRPC the message, in base64.
        rate: requests a second.
        seconds: after which it ends by itself.
    """

    url: str
    body: Mapping[str, Any] | str
    rate: float = 50
    seconds: float = 300


@contextmanager
def running(
    kubectl: Kubectl, namespace: str, image: str, traffic: Traffic, name: str = "load"
) -> Iterator[Load]:
    """Send `traffic` from a pod until the block ends; it has begun when the block is entered."""
    told = {
        "url": traffic.url,
        "body": traffic.body,
        "rate": traffic.rate,
        "seconds": traffic.seconds,
    }
    command = ["python3", "-u", "-c", SCRIPT.read_text(), json.dumps(told)]
    kubectl.apply(client_pod(namespace, image, command, name))
    load = Load(kubectl=kubectl, namespace=namespace, pod=name)
    try:
        eventually("the load has begun", lambda: load.account().sent > 0, within=60)
        yield load
    finally:
        kubectl.delete(namespace, "pod", name)

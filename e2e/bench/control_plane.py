"""An API server with its etcd and nothing else, on free ports of loopback.

No controller manager, scheduler or kubelet: the stand-in plays what of them the operator sees.
So what is measured is the operator and the API server, on whatever machine this is.
"""

import contextlib
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from e2e.bench.process import Running, running

#: Writes only, without their contents. What a LIST or a watch costs is not what is counted.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """A running API server.

    Attributes:
        token: of an administrator.
        ca: file with the certificate to trust.
        kubeconfig: file for clients that want one.
        audit_log: JSON lines, one a write.
    """

    url: str
    token: str
    ca: Path
    kubeconfig: Path
    audit_log: Path

    @classmethod
    def read(cls, kubeconfig: Path) -> Self:
        """Return the API server that a kubeconfig written here stands for."""
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        return cls(
            url=cluster["server"],
            token=config["users"][0]["user"]["token"],
            ca=Path(cluster["certificate-authority"]),
            kubeconfig=kubeconfig,
            audit_log=kubeconfig.with_name("audit.log"),
        )

    @property
    def etcd(self) -> str:
        """Where its etcd listens."""
        return self.kubeconfig.with_name("etcd.url").read_text()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that are free now, each another.

    Chosen together: a port that was given up at once may be the next one that is found free.
    """
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def free_port() -> int:
    """Return one that is free now."""
    return free_ports(1)[0]


@contextlib.contextmanager
def control_plane(kube: Path, directory: Path) -> Iterator[ControlPlane]:
    """Run etcd and the API server in `directory`, which is to be empty.

    Args:
        kube: the binary that holds all programs of a cluster.
        directory: for data, keys and logs.

    Raises:
        DiedError: a program ended instead of becoming ready.
        TimeoutError: the API server was not ready within a minute.
    """
    server_port, etcd_port, peer_port = free_ports(3)
    plane = _prepare(directory, server_port)
    etcd_url = f"http://127.0.0.1:{etcd_port}"
    (directory / "etcd.url").write_text(etcd_url)
    etcd_command = _etcd_command(kube, directory, etcd_url, f"http://127.0.0.1:{peer_port}")
    server_command = _server_command(kube, directory, etcd_url, plane)
    with (
        running("etcd", etcd_command, directory / "etcd.log") as etcd,
        running("apiserver", server_command, directory / "apiserver.log") as apiserver,
    ):
        _wait_ready(plane, etcd, apiserver)
        yield plane


def _prepare(directory: Path, port: int) -> ControlPlane:
    """Write keys, policy, token and kubeconfig."""
    token = secrets.token_hex(16)
    (directory / "tokens.csv").write_text(f"{token},bench,bench,system:masters\n")
    (directory / "audit.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
    key = str(directory / "service-accounts.key")
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    plane = ControlPlane(
        url=f"https://127.0.0.1:{port}",
        token=token,
        ca=directory / "certs" / "apiserver.crt",
        kubeconfig=directory / "kubeconfig",
        audit_log=directory / "audit.log",
    )
    plane.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(plane)))
    return plane


def _kubeconfig(plane: ControlPlane) -> dict[str, Any]:
    cluster = {"server": plane.url, "certificate-authority": str(plane.ca)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": {"token": plane.token}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    }


def _etcd_command(kube: Path, directory: Path, url: str, peer: str) -> list[str]:
    return [
        *(str(kube), "etcd", "--data-dir", str(directory / "etcd"), "--log-level=warn"),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"default={peer}"),
        # The disk of this machine is not what is measured, and its fsync varies most of all.
        "--unsafe-no-fsync",
    ]


def _server_command(kube: Path, directory: Path, etcd: str, plane: ControlPlane) -> list[str]:
    key = directory / "service-accounts.key"
    return [
        *(str(kube), "kube-apiserver", f"--etcd-servers={etcd}"),
        *("--bind-address=127.0.0.1", f"--secure-port={plane.url.rpartition(':')[2]}"),
        # Nobody looks for it, and in a network that is loopback alone it finds no address itself.
        *("--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"),
        # Signs a certificate for itself into this directory, which clients then trust.
        f"--cert-dir={plane.ca.parent}",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/12",
        # Without a controller manager nobody makes the service accounts that pods would need.
        "--disable-admission-plugins=ServiceAccount",
        *(f"--audit-policy-file={directory / 'audit.yaml'}", f"--audit-log-path={plane.audit_log}"),
        # One file: at the default size it would be rotated away under the reader.
        *("--audit-log-maxsize=4000", "--profiling=false"),
    ]


def _wait_ready(plane: ControlPlane, etcd: Running, apiserver: Running, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        etcd.check()
        apiserver.check()
        if plane.ca.exists() and _is_ready(plane):
            return
        time.sleep(0.2)
    raise TimeoutError(f"the API server is not ready after {within:g} s; see {apiserver.log}")


def _is_ready(plane: ControlPlane) -> bool:
    request = urllib.request.Request(  # noqa: S310 - the URL is our own
        f"{plane.url}/readyz", headers={"Authorization": f"Bearer {plane.token}"}
    )
    try:
        trust = ssl.create_default_context(cafile=str(plane.ca))
        with urllib.request.urlopen(request, timeout=5, context=trust) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False

"""Keys and certificates of a cluster that lives for an hour and listens to this machine only."""

import base64
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.cluster.errors import ClusterError
from e2e.cluster.network import API_SERVICE, GATEWAY

DAYS = "3650"
API_SERVER = "https://127.0.0.1:6443"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a certificate names.

    Attributes:
        name: the file's name.
        subject: in OpenSSL's form; groups are `O`, the user is `CN`.
        hosts: subject alternative names, for those that serve.
    """

    name: str
    subject: str
    hosts: tuple[str, ...] = ()


def identities(node: str) -> tuple[Identity, ...]:
    """Return who takes part: one server and six clients, the kubelet being both."""
    service = [f"DNS:kubernetes{suffix}" for suffix in ("", ".default", ".default.svc")]
    return (
        Identity(
            name="apiserver",
            subject="/CN=kube-apiserver",
            hosts=(
                "IP:127.0.0.1",
                f"IP:{API_SERVICE}",
                f"IP:{GATEWAY}",
                "DNS:localhost",
                *service,
                "DNS:kubernetes.default.svc.cluster.local",
            ),
        ),
        Identity(name="admin", subject="/O=system:masters/CN=admin"),
        Identity(name="apiserver-kubelet", subject="/O=system:masters/CN=apiserver-kubelet"),
        Identity(name="controller-manager", subject="/CN=system:kube-controller-manager"),
        Identity(name="scheduler", subject="/CN=system:kube-scheduler"),
        Identity(name="proxy", subject="/CN=system:kube-proxy"),
        Identity(
            name="kubelet",
            subject=f"/O=system:nodes/CN=system:node:{node}",
            hosts=(f"IP:{GATEWAY}", "IP:127.0.0.1", f"DNS:{node}"),
        ),
    )


def make_pki(home: Path, node: str) -> None:
    """Write the authority, all certificates, and the key that signs service-account tokens."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_authority(home)
    for identity in identities(node):
        _issue(home, identity)
    key, public = str(home / "service-account.key"), str(home / "service-account.pub")
    _openssl("genrsa", "-out", key, "2048")
    _openssl("rsa", "-in", key, "-pubout", "-out", public)


def _make_authority(home: Path) -> None:
    _openssl(
        *("req", "-x509", "-days", DAYS, "-subj", "/CN=driftline-e2e"),
        *_new_key(home / "ca.key"),
        *("-out", str(home / "ca.crt")),
    )


def _issue(home: Path, identity: Identity) -> None:
    request, extensions = home / f"{identity.name}.csr", home / f"{identity.name}.ext"
    lines = ["extendedKeyUsage=serverAuth,clientAuth"]
    if identity.hosts:
        lines.append("subjectAltName=" + ",".join(identity.hosts))
    extensions.write_text("\n".join(lines) + "\n")
    _openssl(
        *("req", "-subj", identity.subject, "-out", str(request)),
        *_new_key(home / f"{identity.name}.key"),
    )
    _openssl(
        *("x509", "-req", "-days", DAYS, "-in", str(request), "-extfile", str(extensions)),
        *("-CA", str(home / "ca.crt"), "-CAkey", str(home / "ca.key"), "-CAcreateserial"),
        *("-out", str(home / f"{identity.name}.crt")),
    )
    request.unlink()
    extensions.unlink()


def _new_key(path: Path) -> Sequence[str]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    return (*curve, "-nodes", "-keyout", str(path))


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"openssl {arguments[0]}: {done.stderr.strip()}", remedy="make")


def write_kubeconfig(home: Path, name: str, target: Path) -> None:
    """Write a kubeconfig that needs no other file, so that it can be copied about."""

    def inline(file: str) -> str:
        return base64.b64encode((home / file).read_bytes()).decode()

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "driftline-e2e",
        "contexts": [
            {"name": "driftline-e2e", "context": {"cluster": "driftline-e2e", "user": name}}
        ],
        "clusters": [
            {
                "name": "driftline-e2e",
                "cluster": {"server": API_SERVER, "certificate-authority-data": inline("ca.crt")},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": inline(f"{name}.crt"),
                    "client-key-data": inline(f"{name}.key"),
                },
            }
        ],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(content, sort_keys=False))

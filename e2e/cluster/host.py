"""What this machine can and cannot do, found by looking and never by its name."""

import socket
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import RefusedError

CAP_SYS_RESOURCE = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What decides how the node's programs are configured.

    Attributes:
        cgroup_v1: the controllers are on the old hierarchy, which the kubelet accepts only if told.
        may_raise_limits: CAP_SYS_RESOURCE is held. Without it no process may lower an OOM score,
            so the kubelet runs as in a user namespace and containerd restricts the scores.
        resolv_conf: a file that names DNS servers which a pod can reach, if there is one.
    """

    cgroup_v1: bool
    may_raise_limits: bool
    resolv_conf: Path | None


def inspect_host(root: Path = Path("/")) -> Host:
    """Look at the machine."""
    status = (root / "proc/self/status").read_text()
    return Host(
        cgroup_v1=not (root / "sys/fs/cgroup/cgroup.controllers").exists(),
        may_raise_limits=_has_capability(status, CAP_SYS_RESOURCE),
        resolv_conf=_upstream_dns(root),
    )


def _has_capability(status: str, capability: int) -> bool:
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def _upstream_dns(root: Path) -> Path | None:
    """Return the first file with a DNS server that is not on the host's loopback."""
    for name in ("etc/resolv.conf", "run/systemd/resolve/resolv.conf"):
        file = root / name
        if file.exists() and _reachable_from_a_pod(file.read_text()):
            return file
    return None


def _reachable_from_a_pod(resolv_conf: str) -> bool:
    servers = [
        line.split()[1]
        for line in resolv_conf.splitlines()
        if line.startswith("nameserver") and len(line.split()) > 1
    ]
    return bool(servers) and not any(server.startswith(("127.", "::1")) for server in servers)


def check_port_free(port: int, owner: str) -> None:
    """Refuse early and clearly, instead of a program failing in its log.

    Raises:
        RefusedError: something listens there already.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise RefusedError(
                f"port {port} is taken, and {owner} needs it",
                remedy=f"`ss -ltnp sport = :{port}` names the program; stop it and try again",
            ) from error

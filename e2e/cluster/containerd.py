"""A containerd of the cluster's own, which leaves the host's alone."""

import json
import subprocess
from pathlib import Path

from e2e.cluster.errors import ClusterError
from e2e.cluster.host import Host
from e2e.cluster.layout import Layout
from e2e.cluster.registry import REGISTRY

CRI = 'plugins."io.containerd.grpc.v1.cri"'


def write_config(layout: Layout, host: Host, *, sandbox_image: str, cni: Path) -> Path:
    """Write containerd's configuration and return its path."""
    hosts = layout.config / "registries"
    _trust_loopback(hosts)
    tables: dict[str, dict[str, object]] = {
        "": {
            "version": 2,
            "root": str(layout.state / "containerd"),
            "state": str(layout.run / "containerd"),
        },
        "grpc": {"address": str(layout.containerd_socket)},
        CRI: {
            "sandbox_image": sandbox_image,
            # Keeps every mount under `run`, where the teardown looks for mounts.
            "netns_mounts_under_state_dir": True,
            "max_concurrent_downloads": 6,
            **_for_a_restricted_host(host),
        },
        f"{CRI}.cni": {"bin_dir": "/usr/lib/cni", "conf_dir": str(cni)},
        f"{CRI}.containerd.runtimes.runc": {"runtime_type": "io.containerd.runc.v2"},
        f"{CRI}.registry": {"config_path": str(hosts)},
    }
    target = layout.config / "containerd.toml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(_toml(name, values) for name, values in tables.items()))
    return target


def _for_a_restricted_host(host: Host) -> dict[str, object]:
    if host.may_raise_limits:
        return {}
    return {"restrict_oom_score_adj": True, "disable_hugetlb_controller": True}


def _trust_loopback(hosts: Path) -> None:
    home = hosts / REGISTRY
    home.mkdir(parents=True, exist_ok=True)
    (home / "hosts.toml").write_text(
        f'server = "http://{REGISTRY}"\n[host."http://{REGISTRY}"]\n'
        'capabilities = ["pull", "resolve"]\n'
    )


def _toml(name: str, values: dict[str, object]) -> str:
    # JSON's strings, numbers and booleans are TOML's too.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([*([f"[{name}]"] if name else []), *lines, ""])


def answers(layout: Layout) -> bool:
    """Tell whether containerd takes requests."""
    return _ctr(layout, "version").returncode == 0


def pull(layout: Layout, image: str) -> None:
    """Bring an image from the loopback registry to the node, unless it is there.

    Raises:
        ClusterError: the registry does not have it.
    """
    hosts = str(layout.config / "registries")
    done = _ctr(layout, "images", "pull", "--hosts-dir", hosts, image)
    if done.returncode:
        raise ClusterError(
            f"image {image} does not load: {done.stderr.strip()}",
            log=layout.logs / "containerd.log",
            remedy="`make images`, then `make cluster-up`",
        )
    # The kubelet's interface lists only what bears its label; its own pulls set it.
    _ctr(layout, "images", "label", image, "io.cri-containerd.image=managed")


def images(layout: Layout) -> set[str]:
    """Return the names of the images on the node."""
    return set(_ctr(layout, "images", "ls", "-q").stdout.split())


def _ctr(layout: Layout, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["ctr", "--address", str(layout.containerd_socket), "--namespace", "k8s.io", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )

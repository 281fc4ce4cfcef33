"""CoreDNS in the cluster, from the manifest beside this file."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.errors import ClusterError
from e2e.cluster.host import Host

MANIFEST = Path(__file__).parent / "manifests" / "coredns.yaml"
FORWARD = "    forward . /etc/resolv.conf\n"


def render_dns(image: str, host: Host) -> list[dict[str, Any]]:
    """Return CoreDNS's objects.

    Args:
        image: what the image is called in the registry.
        host: without DNS servers of its own there is nothing to forward other names to.
    """
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFEST.read_text()))
    for item in objects:
        if item["kind"] == "Deployment":
            item["spec"]["template"]["spec"]["containers"][0]["image"] = image
        if item["kind"] == "ConfigMap" and host.resolv_conf is None:
            item["data"]["Corefile"] = item["data"]["Corefile"].replace(FORWARD, "")
    return objects


def apply_dns(kubectl: Path, kubeconfig: Path, objects: list[dict[str, Any]]) -> None:
    """Apply the objects.

    Raises:
        ClusterError: the API server refused one.
    """
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    done = subprocess.run(
        [
            *(str(kubectl), "--kubeconfig", str(kubeconfig)),
            *("apply", "--server-side", "--force-conflicts", "-f", "-"),
        ],
        input=json.dumps(listed),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"CoreDNS could not be applied: {done.stderr.strip()}")

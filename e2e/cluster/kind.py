"""A cluster in Docker, where Docker can run one: kind's node, with our images loaded into it."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from e2e.cluster import binaries
from e2e.cluster.assembly import assemble, docker_only
from e2e.cluster.layout import Layout
from e2e.cluster.processes import boot_id
from e2e.cluster.progress import run, step
from e2e.cluster.state import KIND_NAME, Kind, Record, save


def docker_answers() -> bool:
    """Tell whether a Docker daemon takes our requests."""
    if shutil.which("docker") is None:
        return False
    done = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return done.returncode == 0


def bring_up(layout: Layout, checkout: Path) -> Record:
    """Start the cluster and load all images.

    Raises:
        ClusterError: Docker cannot run the node, or an image does not build.
    """
    record = Record(
        checkout=str(checkout),
        kind=Kind.KIND,
        kubeconfig=str(layout.kubeconfig),
        boot=boot_id(),
    )
    save(layout, record)
    log = layout.logs / "kind.log"
    with step("start a node in Docker", log=log):
        _kind(layout, "create", "cluster", "--kubeconfig", str(layout.kubeconfig), "--wait=180s")
    return refresh(layout, replace(record, ready=True))


def refresh(layout: Layout, record: Record) -> Record:
    """Build what changed and load it."""
    images = assemble(layout, docker_only())
    load_images(layout, set(images.values()) - set(record.images.values()))
    fresh = replace(record, images=images)
    save(layout, fresh)
    return fresh


def load_images(layout: Layout, images: Iterable[str]) -> None:
    """Copy images from Docker to the node."""
    for image in sorted(images):
        with step(f"load {image}"):
            _kind(layout, "load", "docker-image", image)


def delete(layout: Layout) -> None:
    """Remove the node."""
    _kind(layout, "delete", "cluster", "--kubeconfig", str(layout.kubeconfig))


def environment(layout: Layout) -> Mapping[str, str]:
    """Return kind's environment: its temporary files may be as large as our images."""
    return {**os.environ, "TMPDIR": str(layout.cache)}


def _kind(layout: Layout, *arguments: str) -> None:
    program = str(binaries.build(layout, binaries.KIND_CLI))
    run(
        [program, *arguments, "--name", KIND_NAME],
        log=layout.logs / "kind.log",
        environ=environment(layout),
        remedy="read the log; `docker info` tells what Docker can do here",
    )

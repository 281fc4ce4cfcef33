"""One node of Kubernetes from packages, on this machine, with nothing virtual around it.

The host is part of the pods' network and runs kube-proxy: a program on it reaches pod addresses
and Service addresses directly, which is how the tests send their requests.
"""

import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from e2e.cluster import binaries, components, containerd, registry
from e2e.cluster.assembly import assemble, loopback
from e2e.cluster.components import Component
from e2e.cluster.dns import apply_dns, render_dns
from e2e.cluster.errors import ClusterError, RefusedError
from e2e.cluster.host import Host, check_port_free, inspect_host
from e2e.cluster.layout import Layout
from e2e.cluster.network import raise_network, write_cni
from e2e.cluster.pki import API_SERVER, make_pki, write_kubeconfig
from e2e.cluster.processes import Running, boot_id, is_alive, spawn, stop
from e2e.cluster.progress import say, step, wait_for
from e2e.cluster.state import Kind, Record, load, save

NEEDED = ("containerd", "ctr", "runc", "iptables", "conntrack", "buildah", "mmdebstrap")


@dataclass(slots=True, kw_only=True)
class Start:
    """A start under way. The record is written after each program, for whoever cleans up."""

    layout: Layout
    record: Record
    host: Host

    def program(self, component: Component) -> Running:
        """Start a program and record it."""
        log = self.layout.logs / f"{component.name}.log"
        environ = components.node_environment()
        return self.started(spawn(component.name, component.argv, log, environ))

    def started(self, process: Running) -> Running:
        """Record a program that was started."""
        self.note(processes=(*self.record.processes, process))
        return process

    def note(self, **changes: object) -> None:
        """Change the record, in memory and on disk."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]  # by field name
        save(self.layout, self.record)


def bring_up(layout: Layout, checkout: Path) -> Record:
    """Start the cluster and return when CoreDNS answers and all images are on the node.

    Raises:
        ClusterError: a step failed.
    """
    _check_prerequisites()
    start = Start(
        layout=layout,
        host=inspect_host(),
        record=Record(
            checkout=str(checkout),
            kind=Kind.NATIVE,
            kubeconfig=str(layout.kubeconfig),
            boot=boot_id(),
        ),
    )
    start.note()
    start.started(registry.start(layout))
    kube, images = prepare(layout)
    start.note(images=images)
    _start_node(start, kube)
    load_images(layout, images)
    _start_dns(start)
    start.note(ready=True)
    return start.record


def prepare(layout: Layout) -> tuple[Path, dict[str, str]]:
    """Build what is not in the cache: the programs first, then the images.

    The network is idle while Go compiles and the processors while packages are fetched, so images
    are prepared beside the largest program.
    """
    with ThreadPoolExecutor(max_workers=1) as beside:
        kube = beside.submit(binaries.build, layout, binaries.KUBE)
        try:
            images = assemble(layout, loopback(layout))
            helm = binaries.build(layout, binaries.HELM_CLI)
        except ClusterError:
            say("  … that failed; the reason is shown when the build beside it has ended")
            raise
        _link(layout, kube=kube.result(), kubectl=kube.result(), helm=helm)
        return kube.result(), images


def refresh(layout: Layout) -> Record:
    """Bring a running cluster up to date: build, push and load the images that changed."""
    _, images = prepare(layout)
    load_images(layout, images)
    # Read after the builds, which take long enough for another command to write it.
    fresh = replace(_recorded(layout), images=images)
    save(layout, fresh)
    return fresh


def stop_program(layout: Layout, name: str) -> None:
    """Stop one program of the running cluster, and leave it out of the record."""
    record = _recorded(layout)
    stop(process for process in record.processes if process.name == name)
    rest = tuple(process for process in record.processes if process.name != name)
    save(layout, replace(record, processes=rest))


def restart_apiserver(layout: Layout) -> None:
    """Start the API server again and wait until it is ready."""
    start = Start(layout=layout, record=_recorded(layout), host=inspect_host())
    program = start.program(components.apiserver(layout, layout.bin / "kube"))
    _wait_for_api(layout, program)


def _recorded(layout: Layout) -> Record:
    record = load(layout)
    if record is None:
        raise ClusterError("no cluster runs", remedy="make cluster-up")
    return record


def _wait_for_api(layout: Layout, program: Running) -> None:
    wait_for(
        "the API server is ready",
        lambda: _still(program, layout) and api_is_ready(layout),
        seconds=120,
        log=layout.logs / "apiserver.log",
    )


def load_images(layout: Layout, images: Mapping[str, str]) -> None:
    """Bring the images to the node, those excepted that it has."""
    missing = sorted(set(images.values()) - containerd.images(layout))
    if not missing:
        return
    with step(f"load {len(missing)} images onto the node"), ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda image: containerd.pull(layout, image), missing))


def _check_prerequisites() -> None:
    if os.geteuid() != 0:
        raise RefusedError(
            "a cluster without Docker needs root: it makes a bridge and mounts",
            remedy="run as root, start Docker, or name a cluster with KUBECONFIG",
        )
    search = components.node_environment()["PATH"].split(":")
    missing = [name for name in NEEDED if not any(Path(d, name).exists() for d in search if d)]
    if missing:
        raise RefusedError(f"not installed: {', '.join(missing)}", remedy="make cluster-up")
    for port, owner in components.PORTS.items():
        check_port_free(port, owner)


def _start_node(start: Start, kube: Path) -> None:
    layout = start.layout
    with step("raise the pods' network and issue certificates"):
        layout.run.mkdir(parents=True, exist_ok=True)
        start.note(sysctls=raise_network())
        make_pki(layout.pki, components.NODE)
        write_kubeconfig(layout.pki, "admin", layout.kubeconfig)
    with step("start containerd, etcd and the API server"):
        _start_containerd(start)
        for component in components.control_plane(layout, kube):
            program = start.program(component)
        _wait_for_api(layout, program)
    with step("start controllers, kube-proxy and kubelet"):
        for component in components.controllers(layout, kube):
            start.program(component)
        start.program(components.kubelet(layout, kube, start.host))


def _start_containerd(start: Start) -> None:
    layout = start.layout
    config = containerd.write_config(
        layout,
        start.host,
        sandbox_image=start.record.images["pause"],
        cni=write_cni(layout),
    )
    argv = ("containerd", "--config", str(config))
    program = start.program(Component(name="containerd", argv=argv))
    wait_for(
        "containerd answers",
        lambda: _still(program, layout) and containerd.answers(layout),
        seconds=30,
        log=layout.logs / "containerd.log",
    )


def _start_dns(start: Start) -> None:
    layout = start.layout
    with step("start CoreDNS and wait for the node"):
        objects = render_dns(start.record.images["coredns"], start.host)
        apply_dns(layout.bin / "kubectl", layout.kubeconfig, objects)
        wait_for(
            "CoreDNS is available on a ready node",
            lambda: _dns_available(layout),
            seconds=120,
            log=layout.logs / "kubelet.log",
        )


def _dns_available(layout: Layout) -> bool:
    argv = [str(layout.bin / "kubectl"), "--kubeconfig", str(layout.kubeconfig), "wait"]
    argv += ["--for=condition=Available", "--timeout=1s", "--namespace=kube-system"]
    argv += ["deployment/coredns"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _still(process: Running, layout: Layout) -> bool:
    """Return True, so that it can stand before a condition that is waited for.

    Raises:
        ClusterError: the program ended, so waiting would be in vain.
    """
    if not is_alive(process):
        raise ClusterError(
            f"{process.name} ended by itself",
            log=layout.logs / f"{process.name}.log",
            remedy="read the log, then `make cluster-down` and try again",
        )
    return True


def api_is_ready(layout: Layout) -> bool:
    """Tell whether the API server says that it is ready."""
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    try:
        with urllib.request.urlopen(  # noqa: S310 - a constant https address
            f"{API_SERVER}/readyz", timeout=5, context=context
        ) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _link(layout: Layout, **programs: Path) -> None:
    layout.bin.mkdir(parents=True, exist_ok=True)
    for name, file in programs.items():
        link = layout.bin / name
        link.unlink(missing_ok=True)
        link.symlink_to(file)

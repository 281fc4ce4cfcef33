"""Building an image from an ordinary Dockerfile: buildah here, Docker where it is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from e2e.cluster.layout import Layout
from e2e.cluster.progress import run

REMEDY = "read the log: it holds the build's own output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build.

    Attributes:
        ref: what the result is called.
        context: the directory that the Dockerfile copies from; it holds the Dockerfile too.
        args: build arguments.
        wheelhouses: packages to install from, so that the build needs no network.
    """

    ref: str
    context: Path
    args: Mapping[str, str] = field(default_factory=dict)
    wheelhouses: tuple[Path, ...] = ()


class Builder(Protocol):
    """A program that builds and pushes."""

    def build(self, build: Build, log: Path) -> None:
        """Build an image."""
        ...

    def push(self, ref: str, log: Path) -> None:
        """Push an image to the registry that its name begins with."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildah:
    """Debian's buildah, with a store in our cache and no daemon."""

    store: Path
    run_root: Path

    def build(self, build: Build, log: Path) -> None:
        """Build with the layers of earlier builds."""
        argv = [
            *self._buildah("bud", "--layers", "--isolation=chroot", "--format=oci"),
            # The same inputs give the same layers, so that only what changed is pushed.
            *("--timestamp=0", "--tls-verify=false", "--tag", build.ref),
            *_arguments(build.args),
        ]
        if build.wheelhouses:
            mounted = {each: f"/wheels/{each.parent.name}" for each in build.wheelhouses}
            argv += [f"--volume={each}:{place}:ro" for each, place in mounted.items()]
            offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": " ".join(mounted.values())}
            argv += _arguments(offline)
        run([*argv, str(build.context)], log=log, remedy=REMEDY, environ=_temporary(self.store))

    def push(self, ref: str, log: Path) -> None:
        """Push with light compression: the registry is on this machine."""
        argv = self._buildah("push", "--tls-verify=false", "--compression-format=zstd")
        argv += ["--compression-level=1", ref, f"docker://{ref}"]
        run(argv, log=log, remedy=REMEDY, environ=_temporary(self.store))

    def _buildah(self, *arguments: str) -> list[str]:
        where = ["--root", str(self.store), "--runroot", str(self.run_root)]
        return ["buildah", *where, *arguments]


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """Docker, which reaches the package index itself."""

    def build(self, build: Build, log: Path) -> None:
        """Build with Docker's own cache."""
        argv = ["docker", "build", "--tag", build.ref, *_arguments(build.args), str(build.context)]
        run(argv, log=log, remedy=REMEDY)

    def push(self, ref: str, log: Path) -> None:
        """Push with the credentials that Docker has."""
        run(["docker", "push", ref], log=log, remedy="docker login, then try again")


def buildah(layout: Layout) -> Buildah:
    """Return a buildah whose store outlives the cluster."""
    return Buildah(store=layout.cache / "buildah", run_root=Path("/run/driftline-buildah"))


def _arguments(args: Mapping[str, str]) -> list[str]:
    return [f"--build-arg={name}={value}" for name, value in args.items()]


def _temporary(store: Path) -> dict[str, str]:
    """Return an environment whose temporary files lie beside the store: /tmp may be small."""
    home = store.parent / "tmp"
    home.mkdir(parents=True, exist_ok=True)
    return {**os.environ, "TMPDIR": str(home)}

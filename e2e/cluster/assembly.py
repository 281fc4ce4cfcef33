"""Images are built where their inputs are new, and named by what they were made of."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import registry
from e2e.cluster.builder import Build, Builder, Docker, buildah
from e2e.cluster.cache import alone
from e2e.cluster.layout import Layout
from e2e.cluster.progress import step
from e2e.cluster.recipes import (
    Recipe,
    arguments,
    base_recipes,
    cluster_recipes,
    lay_context,
    project_recipes,
    tag,
)
from e2e.cluster.wheels import wheelhouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where images are built and go to.

    Attributes:
        prefix: begins every name, without a slash at its end; empty for none.
        loopback: the registry is ours, so it can be asked what it holds already, and takes what
            the node itself needs.
        from_packages: bases come from Debian's packages, and Python's from wheels, instead of from
            public registries while building.
    """

    builder: Builder
    prefix: str
    loopback: bool
    from_packages: bool
    push: bool = True


def loopback(layout: Layout) -> Target:
    """Return the registry on this machine, which a native node pulls from."""
    return Target(
        builder=buildah(layout), prefix=registry.REGISTRY, loopback=True, from_packages=True
    )


def docker_only() -> Target:
    """Return Docker's own store, from which kind loads its nodes.

    The host in the names is one that nothing is ever pulled from.
    """
    return Target(
        builder=Docker(), prefix="localhost", loopback=False, from_packages=False, push=False
    )


def registry_of(prefix: str, layout: Layout, *, docker: bool) -> Target:
    """Return a registry that the nodes of a given cluster pull from.

    Without Docker no public registry is asked for anything: there may be none.
    """
    builder = Docker() if docker else buildah(layout)
    where = prefix.rstrip("/")
    return Target(builder=builder, prefix=where, loopback=False, from_packages=not docker)


def assemble(layout: Layout, target: Target) -> dict[str, str]:
    """Build and push what is new.

    Returns:
        What each image is called, by its part: `operator`, `serving`, `router`, `seaweedfs`, and
        on the loopback registry also what the node itself needs, `pause` and `coredns`.

    Raises:
        ClusterError: a build failed; it names the log.
    """
    with alone(layout.cache / "images.lock"):
        return _assemble(layout, target)


def _assemble(layout: Layout, target: Target) -> dict[str, str]:
    refs: dict[str, str] = {}
    ours: dict[str, str] = {}
    if target.from_packages:
        for name, recipe in base_recipes(layout).items():
            ours[name] = _ensure(layout, target, recipe, {})
    if target.loopback:
        refs |= _build_each(layout, target, cluster_recipes(layout), ours)
    return refs | _build_each(layout, target, project_recipes(), ours)


def _build_each(
    layout: Layout, target: Target, recipes: Iterable[Recipe], ours: Mapping[str, str]
) -> dict[str, str]:
    return {recipe.part: _ensure(layout, target, recipe, ours) for recipe in recipes}


def _ensure(layout: Layout, target: Target, recipe: Recipe, ours: Mapping[str, str]) -> str:
    version = tag(recipe, ours)
    ref = "/".join(part for part in (target.prefix, f"{recipe.name}:{version}") if part)
    if target.loopback and registry.holds(recipe.name, version):
        return ref
    log = layout.cache / "log" / f"image-{recipe.name}.log"
    log.unlink(missing_ok=True)
    locks = recipe.locks if target.from_packages else ()
    wheels = tuple(wheelhouse(layout, lock) for lock in locks)
    with step(f"build the image {recipe.name}", log=log):
        context = layout.cache / "context" / recipe.name
        _lay_afresh(recipe, context)
        args = arguments(recipe, ours)
        target.builder.build(Build(ref=ref, context=context, args=args, wheelhouses=wheels), log)
        shutil.rmtree(context)
        if target.push:
            target.builder.push(ref, log)
    return ref


def _lay_afresh(recipe: Recipe, context: Path) -> None:
    shutil.rmtree(context, ignore_errors=True)
    lay_context(recipe, context)

"""What the current cluster's images are called, built and brought to it where they are new."""

from collections.abc import Mapping

import yaml

from e2e.cluster import kind, native, state
from e2e.cluster.assembly import assemble, registry_of
from e2e.cluster.current import Cluster, Wish, current, wish_from
from e2e.cluster.layout import Layout, default_layout
from e2e.cluster.recipes import CHECKOUT

S3_SERVER = "docker.io/chrislusf/seaweedfs:4.48"
"""Upstream's image of the S3 server, for given clusters without a registry of ours."""


def build_all(layout: Layout | None = None, wish: Wish | None = None) -> Mapping[str, str]:
    """Return the image of each part: `operator`, `serving`, `router`, `seaweedfs`.

    On a cluster of ours, all are on its nodes when this returns. On a given one they are in the
    registry that was named; without one they are the published images, which the chart names.

    Raises:
        ClusterError: no cluster runs, or a build failed.
    """
    layout = layout or default_layout()
    cluster = current(layout, wish or wish_from())
    if cluster.kind is None:
        return _for_given(layout, cluster)
    record = state.load(layout)
    assert record is not None
    if cluster.kind is state.Kind.KIND:
        return kind.refresh(layout, record).images
    return native.refresh(layout).images


def _for_given(layout: Layout, cluster: Cluster) -> Mapping[str, str]:
    if cluster.registry is None:
        return {**published(), "seaweedfs": S3_SERVER}
    return assemble(layout, registry_of(cluster.registry, layout, docker=kind.docker_answers()))


def published() -> dict[str, str]:
    """Return the images that the chart names by itself."""
    chart = CHECKOUT / "charts" / "driftline"
    values = yaml.safe_load((chart / "values.yaml").read_text())["images"]
    version = yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"]
    return {
        part: "/".join(filter(None, (image["registry"], image["repository"])))
        + f":{image['tag'] or version}"
        for part, image in values.items()
        if part in {"operator", "serving", "router"}
    }

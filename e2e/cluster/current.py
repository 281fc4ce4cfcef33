"""Which cluster the commands, the demo and the tests are about."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import Layout
from e2e.cluster.recipes import CHECKOUT
from e2e.cluster.state import Kind, Standing, gather_facts, judge, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for.

    Attributes:
        kubeconfig: a cluster that exists; it is neither started nor stopped by us.
        registry: where its nodes pull from, and we may push to.
    """

    kubeconfig: Path | None = None
    registry: str | None = None


def wish_from(environ: Mapping[str, str] = os.environ) -> Wish:
    """Read the wish from `KUBECONFIG` and `DRIFTLINE_REGISTRY`."""
    named = environ.get("KUBECONFIG")
    return Wish(
        kubeconfig=Path(named).absolute() if named else None,
        registry=environ.get("DRIFTLINE_REGISTRY") or None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that one can use.

    Attributes:
        kind: how we brought it up; None for one that was given.
        registry: where images for a given cluster go.
    """

    kubeconfig: Path
    kind: Kind | None
    registry: str | None = None

    @property
    def is_direct(self) -> bool:
        """Whether this machine reaches pod and Service addresses itself."""
        return self.kind is Kind.NATIVE


def given(layout: Layout, wish: Wish) -> Cluster | None:
    """Return the cluster that the user named.

    Our own kubeconfig names the cluster that is ours to start and stop, however it is named.
    """
    if wish.kubeconfig is None or wish.kubeconfig == layout.kubeconfig:
        return None
    return Cluster(kubeconfig=wish.kubeconfig, kind=None, registry=wish.registry)


def ours(layout: Layout) -> Cluster | None:
    """Return this checkout's own cluster, if it runs.

    Raises:
        RefusedError: another checkout's does.
    """
    record = load(layout)
    if judge(record, gather_facts(layout, record), CHECKOUT) is not Standing.OURS:
        return None
    assert record is not None
    return Cluster(kubeconfig=Path(record.kubeconfig), kind=record.kind)


def current(layout: Layout, wish: Wish) -> Cluster:
    """Return the cluster to use.

    Raises:
        ClusterError: none is there.
    """
    found = given(layout, wish) or ours(layout)
    if found is None:
        raise ClusterError("no cluster runs", remedy="make cluster-up")
    return found

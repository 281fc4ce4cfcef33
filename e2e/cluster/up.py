"""From whatever is there to a cluster that can be used, and back."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import kind, native
from e2e.cluster.current import Cluster, Wish, given, ours, wish_from
from e2e.cluster.errors import ClusterError
from e2e.cluster.layout import Layout, default_layout
from e2e.cluster.progress import run, say
from e2e.cluster.recipes import CHECKOUT
from e2e.cluster.state import Kind, Record, Standing, gather_facts, judge, load, locked
from e2e.cluster.teardown import remove_files, tear_down


def ensure_up(layout: Layout | None = None, wish: Wish | None = None) -> Path:
    """Return the kubeconfig of a cluster that runs and has today's images.

    Raises:
        RefusedError: another checkout's cluster runs on this machine.
        ClusterError: a step failed.
    """
    layout = layout or default_layout()
    named = given(layout, wish or wish_from())
    if named is not None:
        _check_reachable(layout, named)
        return named.kubeconfig
    with locked(layout):
        return Path(_bring_up_ours(layout).kubeconfig)


@contextmanager
def borrowed() -> Iterator[Path]:
    """Yield the kubeconfig of a cluster, which is removed after use if it was not there before."""
    layout = default_layout()
    found = given(layout, wish_from()) is not None or ours(layout) is not None
    try:
        yield ensure_up()
    finally:
        if not found:
            take_down()
            say("The cluster that was started for this is gone.")


def take_down(layout: Layout | None = None) -> bool:
    """Stop and remove our own cluster, or what is left of one.

    Returns:
        Whether there was anything.

    Raises:
        RefusedError: it is another checkout's.
    """
    layout = layout or default_layout()
    with locked(layout):
        record = load(layout)
        if judge(record, gather_facts(layout, record), CHECKOUT) is Standing.FREE:
            return False
        remove(layout, record)
        return True


def remove(layout: Layout, record: Record | None) -> None:
    """Remove a cluster of ours, whole or in pieces."""
    if record is not None and record.kind is Kind.KIND:
        kind.delete(layout)
        remove_files(layout)
    else:
        tear_down(layout, record)


def prospect() -> Kind:
    """Return what would be started: kind where a Docker daemon answers, else the native node."""
    return Kind.KIND if kind.docker_answers() else Kind.NATIVE


def _bring_up_ours(layout: Layout) -> Record:
    record = load(layout)
    standing = judge(record, gather_facts(layout, record), CHECKOUT)
    if standing is Standing.LEFTOVER or not _answers(layout, record):
        say("  · what is left of an earlier cluster is removed first")
        remove(layout, record)
    elif record is not None:
        return _refresh(layout, record)
    return _start(layout)


def _answers(layout: Layout, record: Record | None) -> bool:
    """Tell whether a cluster that runs is of use: a test may have died with its API server down."""
    if record is None or record.kind is Kind.KIND:
        return True
    return native.api_is_ready(layout)


def _refresh(layout: Layout, record: Record) -> Record:
    if record.kind is Kind.KIND:
        return kind.refresh(layout, record)
    return native.refresh(layout)


def _start(layout: Layout) -> Record:
    if prospect() is Kind.KIND:
        try:
            return kind.bring_up(layout, CHECKOUT)
        except ClusterError as error:
            if os.geteuid() != 0:
                raise
            say(f"  · Docker cannot run a node here ({error}): a native one instead")
            remove(layout, load(layout))
    return native.bring_up(layout, CHECKOUT)


def _check_reachable(layout: Layout, cluster: Cluster) -> None:
    """Ask the given cluster for its version, so that a wrong kubeconfig fails here and clearly."""
    kubectl = Path(sys.executable).with_name("kubectl")
    run(
        [str(kubectl), "--kubeconfig", str(cluster.kubeconfig), "version", "--request-timeout=10s"],
        log=layout.cache / "log" / "given.log",
        remedy=f"check {cluster.kubeconfig}, or unset KUBECONFIG to have a cluster brought up",
    )

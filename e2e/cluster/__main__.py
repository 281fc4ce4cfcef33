"""`python -m e2e.cluster up|down|status|kubeconfig|images`."""

import argparse
import sys
import time

from e2e.cluster import native, registry
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import build_all
from e2e.cluster.layout import Layout, default_layout
from e2e.cluster.progress import fail, say
from e2e.cluster.recipes import CHECKOUT
from e2e.cluster.state import Record, Standing, gather_facts, judge, load, locked
from e2e.cluster.teardown import tear_down


def up(layout: Layout) -> None:
    began = time.monotonic()
    with locked(layout):
        record = load(layout)
        standing = _standing(record)
        if standing is Standing.LEFTOVER:
            say("  · what is left of an earlier cluster is removed first")
            tear_down(layout, record)
        if record is not None and standing is Standing.OURS:
            record = native.refresh(layout, record)
        else:
            record = native.bring_up(layout, CHECKOUT)
    say(f"The cluster is up after {time.monotonic() - began:.0f} s: node ready, images loaded.")
    say(f"  export KUBECONFIG={record.kubeconfig}")
    say("  make cluster-down  stops it")


def down(layout: Layout) -> None:
    with locked(layout):
        record = load(layout)
        if _standing(record) is Standing.FREE and not layout.state.exists():
            say("No cluster is up.")
            return
        tear_down(layout, record)
    say("The cluster is down.")


def images(layout: Layout) -> None:
    with registry.running(layout):
        for name, ref in build_all(layout, native.target(layout)).items():
            say(f"{name:20} {ref}")


def _standing(record: Record | None) -> Standing:
    if record is None:
        return Standing.FREE
    return judge(record, gather_facts(record), CHECKOUT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster")
    parser.add_argument("command", choices=["up", "down", "status", "kubeconfig", "images"])
    command = parser.parse_args().command
    layout = default_layout()
    try:
        if command == "up":
            up(layout)
        elif command == "down":
            down(layout)
        elif command == "images":
            images(layout)
    except ClusterError as error:
        fail(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

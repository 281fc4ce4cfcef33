"""`python -m e2e.cluster up|down|status|kubeconfig|images`."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from e2e.cluster import registry, state
from e2e.cluster.assembly import assemble, docker_only, loopback
from e2e.cluster.current import Wish, current, given, wish_from
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import build_all
from e2e.cluster.layout import Layout, default_layout
from e2e.cluster.processes import boot_id, is_alive
from e2e.cluster.progress import fail, say
from e2e.cluster.up import ensure_up, prospect, take_down


def up(layout: Layout, wish: Wish) -> None:
    began = time.monotonic()
    kubeconfig = ensure_up(layout, wish)
    say(f"The cluster is up after {time.monotonic() - began:.0f} s.")
    say(f"  export KUBECONFIG={kubeconfig}")
    if given(layout, wish) is None:
        say(f"  {layout.bin}/kubectl and helm fit its version")
        say("  make cluster-down stops it")


def down(layout: Layout, wish: Wish) -> None:
    if given(layout, wish) is not None:
        say("KUBECONFIG names a cluster that is not ours to stop.")
    elif take_down(layout):
        say("The cluster is down, and nothing of it is left.")
    else:
        say("No cluster is up.")


def status(layout: Layout, wish: Wish) -> None:
    cluster = given(layout, wish)
    if cluster is not None:
        say(f"given: {cluster.kubeconfig}")
        return
    record = state.load(layout)
    if record is None:
        say("No cluster is up.")
        return
    say(f"{record.kind}, started by {record.checkout}, {'ready' if record.ready else 'unfinished'}")
    say(f"  kubeconfig {record.kubeconfig}")
    say(f"  logs       {layout.logs}")
    for process in record.processes:
        alive = record.boot == boot_id() and is_alive(process)
        say(f"  {process.name:20} {process.pid:>8}  {'runs' if alive else 'gone'}")
    for part, image in record.images.items():
        say(f"  {part:20} {image}")


def kubeconfig(layout: Layout, wish: Wish) -> None:
    say(str(current(layout, wish).kubeconfig))


def images(layout: Layout, wish: Wish) -> None:
    for part, image in _images(layout, wish).items():
        say(f"{part:12} {image}")


def _images(layout: Layout, wish: Wish) -> dict[str, str]:
    """Build for the cluster that runs, or else for the one that would be started."""
    if given(layout, wish) is not None or state.load(layout) is not None:
        return dict(build_all(layout, wish))
    if prospect() is state.Kind.KIND:
        return assemble(layout, docker_only())
    with registry.running(layout):
        return assemble(layout, loopback(layout))


COMMANDS: dict[str, Callable[[Layout, Wish], None]] = {
    "up": up,
    "down": down,
    "status": status,
    "kubeconfig": kubeconfig,
    "images": images,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--kubeconfig", type=Path, help="a cluster that exists")
    parser.add_argument("--registry", help="where its nodes pull from, and images are pushed to")
    arguments = parser.parse_args()
    environment = wish_from()
    wish = Wish(
        kubeconfig=arguments.kubeconfig or environment.kubeconfig,
        registry=arguments.registry or environment.registry,
    )
    try:
        COMMANDS[arguments.command](default_layout(), wish)
    except ClusterError as error:
        fail(error)
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. `make cluster-down` removes what was started; what was built is kept.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Leaving the machine as it was, whether the cluster ended well or crashed.

Nothing here asks a program of the cluster: any of them may be gone. Processes come from the record,
container processes from the shims that name our containerd, mounts from the kernel's table.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from e2e.cluster.layout import Layout
from e2e.cluster.network import lower_network
from e2e.cluster.processes import boot_id, children_of, command_line, kill, pids, stat_of, stop
from e2e.cluster.progress import step
from e2e.cluster.state import Record

CGROUPS = Path("/sys/fs/cgroup")
POD_CGROUPS = ("kubepods", "kubepods.slice")
CONTAINER_LOGS = Path("/var/log/containers")
DEVICE_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
FIXED_DIRECTORIES = (CONTAINER_LOGS, Path("/var/lib/kubelet"), Path("/var/lib/cni"))
"""Made by kubelet and plugins wherever their own directories are."""


def tear_down(layout: Layout, record: Record | None) -> None:
    """Remove everything that `up` made, as far as it is there. Safe to repeat."""
    with step("stop the cluster's programs and containers"):
        if record is not None and record.boot == boot_id():
            # Last started, first stopped: the kubelet must not restart what is being killed.
            stop(reversed(record.processes))
        kill_containers(layout)
    with step("remove its mounts, network and files"):
        unmount_below(layout.run, layout.state)
        lower_network(record.sysctls if record else {})
        remove_cgroups()
        _remove_container_logs(layout)
        DEVICE_SOCKET.unlink(missing_ok=True)
        for home in FIXED_DIRECTORIES:
            _remove_if_empty(home)
        remove_files(layout)


def remove_files(layout: Layout) -> None:
    """Remove the cluster's own directories. The cache stays."""
    for home in (layout.run, layout.state):
        shutil.rmtree(home, ignore_errors=True)


def kill_containers(layout: Layout) -> None:
    """Kill the processes of our containers, then the shims that hold them."""
    shims = shims_of(layout.containerd_socket)
    tasks = children_of(shims)
    kill(tasks)
    _wait_gone(tasks)
    kill(shims)
    _wait_gone(shims)


def shims_of(socket: Path) -> list[int]:
    """Return the container shims that report to the containerd of that socket."""
    return [
        pid
        for pid in pids()
        if (argv := command_line(pid))
        and Path(argv[0]).name.startswith("containerd-shim")
        and any(part.startswith(str(socket)) for part in argv)
    ]


def unmount_below(*homes: Path) -> None:
    """Unmount all that is mounted below the directories, the deepest first."""
    table = Path("/proc/self/mountinfo").read_text()
    for mount in mounts_below(table, homes):
        if subprocess.run(["umount", mount], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)


def mounts_below(mountinfo: str, homes: Iterable[Path]) -> list[str]:
    r"""Return the mount points below the directories, the last mounted first.

    >>> table = "1 0 8:1 / /a rw\n2 1 8:1 / /a/b rw\n3 1 8:1 / /a/b/c rw\n4 0 8:1 / /ab rw"
    >>> mounts_below(table, [Path("/a")])
    ['/a/b/c', '/a/b']
    """
    prefixes = tuple(f"{home}/" for home in homes)
    points = [_unescaped(line.split()[4]) for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if point.startswith(prefixes)]


def remove_cgroups() -> None:
    """Remove the pods' control groups, in every hierarchy."""
    roots = [CGROUPS, *(entry for entry in CGROUPS.iterdir() if entry.is_dir())]
    for root in roots:
        for name in POD_CGROUPS:
            if (root / name).is_dir():
                _remove_if_empty(root / name)


def _remove_if_empty(tree: Path) -> None:
    """Remove directories from the leaves up. A control group's files do not count as such."""
    for home, _, _ in os.walk(tree, topdown=False):
        with contextlib.suppress(OSError):
            Path(home).rmdir()


def _remove_container_logs(layout: Layout) -> None:
    """Remove the kubelet's links to logs of ours, which it makes where it always makes them."""
    if not CONTAINER_LOGS.is_dir():
        return
    for link in CONTAINER_LOGS.iterdir():
        if link.is_symlink() and str(link.readlink()).startswith(str(layout.state)):
            link.unlink()


def _wait_gone(targets: Iterable[int], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    waiting = list(targets)
    while waiting and time.monotonic() < deadline:
        waiting = [pid for pid in waiting if (seen := stat_of(pid)) and seen[0] not in "ZX"]
        time.sleep(0.02)


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)

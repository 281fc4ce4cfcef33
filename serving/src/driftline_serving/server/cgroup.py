"""The control groups that this process is in, of both versions: hybrid hosts mount both.

A limit binds all groups below it, so the smallest one on the way up counts. Inside a container the
path in `/proc/self/cgroup` is often the host's and does not exist in the container's mount, whose
root is then our own group: paths that are not there are passed over, and the root is always asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Directories in which limits of one controller stand, of version 1 and of version 2."""

    v1: tuple[Path, ...]
    v2: tuple[Path, ...]


def groups_of(root: Path, controller: str, mounts: tuple[str, ...]) -> Groups:
    """Return our groups and all above them.

    Args:
        root: What stands for `/`; holds `proc/self/cgroup` and `sys/fs/cgroup`.
        controller: Of version 1, such as `cpu`.
        mounts: Names under which version 1 may have mounted it.
    """
    mount = root / "sys/fs/cgroup"
    v1, v2 = _own(root / "proc/self/cgroup", controller)
    return Groups(
        v1=tuple(path for name in mounts for path in _upwards(mount / name, v1)),
        v2=tuple(path for base in (mount, mount / "unified") for path in _upwards(base, v2)),
    )


def read(path: Path) -> str:
    """Return what stands in a file, empty where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _own(proc_self_cgroup: Path, controller: str) -> tuple[str, str]:
    """Our paths in the hierarchy of v1's controller and in that of v2."""
    v1 = v2 = "/"
    for line in read(proc_self_cgroup).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            v1 = path
        elif number == "0" and not controllers:
            v2 = path
    return v1, v2


def _upwards(base: Path, group: str) -> Iterator[Path]:
    """The group's directory and all above it, down to `base`; a path with `..` is not ours."""
    parts = [part for part in group.split("/") if part]
    if ".." in parts:
        parts = []
    return (base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))

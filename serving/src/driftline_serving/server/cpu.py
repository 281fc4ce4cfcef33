"""How many CPUs the container may keep busy."""

import os
from pathlib import Path


def usable_cpus(root: Path = Path("/")) -> int:
    """The CPU limit rounded down, at least one; without a limit, the CPUs that we may run on."""
    usable = len(os.sched_getaffinity(0))
    limit = cpu_limit(root)
    return usable if limit is None else max(1, min(usable, int(limit)))


def cpu_limit(root: Path) -> float | None:
    """The CPU limit of the control group that we are in, in CPUs, or None.

    A limit binds all groups below it, so the smallest one on the way up counts. Inside a container
    the path in `/proc/self/cgroup` is often the host's and does not exist in the container's mount,
    whose root is then our own group: paths that are not there are passed over, and the root is
    always asked. Both versions are read, since hybrid hosts mount both.

    Args:
        root: What stands for `/`; holds `proc/self/cgroup` and `sys/fs/cgroup`.
    """
    mount = root / "sys/fs/cgroup"
    own_v1, own_v2 = _own_groups(root / "proc/self/cgroup")
    limits = [
        limit
        for base in (mount, mount / "unified")
        for group in _upwards(base, own_v2)
        if (limit := _limit_v2(group)) is not None
    ]
    limits += [
        limit
        for base in (mount / "cpu", mount / "cpu,cpuacct", mount / "cpuacct,cpu")
        for group in _upwards(base, own_v1)
        if (limit := _limit_v1(group)) is not None
    ]
    return min(limits, default=None)


def _own_groups(proc_self_cgroup: Path) -> tuple[str, str]:
    """Our paths in the hierarchy of v1's cpu controller and in that of v2."""
    v1 = v2 = "/"
    for line in _read(proc_self_cgroup).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "cpu" in controllers.split(","):
            v1 = path
        elif number == "0" and not controllers:
            v2 = path
    return v1, v2


def _upwards(base: Path, group: str) -> list[Path]:
    """The group's directory and all above it, down to `base`; a path with `..` is not ours."""
    parts = [part for part in group.split("/") if part]
    if ".." in parts:
        parts = []
    return [base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _limit_v2(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    return _ratio(quota, period)


def _limit_v1(group: Path) -> float | None:
    quota = _read(group / "cpu.cfs_quota_us").strip()
    return _ratio(quota, _read(group / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    """Quota by period; None for `max`, -1, and anything that is not a number."""
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

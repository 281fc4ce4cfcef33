"""How many CPUs the container may keep busy."""

import os
from pathlib import Path

from driftline_serving.server.cgroup import groups_of, read


def usable_cpus(root: Path = Path("/")) -> int:
    """The CPU limit rounded down, at least one; without a limit, the CPUs that we may run on."""
    usable = len(os.sched_getaffinity(0))
    limit = cpu_limit(root)
    return usable if limit is None else max(1, min(usable, int(limit)))


def cpu_limit(root: Path) -> float | None:
    """The CPU limit of the control group that we are in, in CPUs, or None.

    Args:
        root: What stands for `/`.
    """
    groups = groups_of(root, "cpu", ("cpu", "cpu,cpuacct", "cpuacct,cpu"))
    found = (*map(_limit_v2, groups.v2), *map(_limit_v1, groups.v1))
    return min((limit for limit in found if limit is not None), default=None)


def _limit_v2(group: Path) -> float | None:
    quota, _, period = read(group / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _limit_v1(group: Path) -> float | None:
    return _ratio(read(group / "cpu.cfs_quota_us"), read(group / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Quota by period; None for `max`, -1, and anything that is not a number."""
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)

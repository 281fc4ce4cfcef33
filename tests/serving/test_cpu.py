from pathlib import Path

import pytest

from driftline_serving.server.cpu import cpu_limit, usable_cpus

V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/cpu"

TREES = {
    "v2, in the container's own namespace": (
        {"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "v2, no limit": ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "max 100000\n"}, None),
    "v2, the root group has no such file": ({"proc/self/cgroup": "0::/\n"}, None),
    "v2, the smallest on the way up": (
        {
            "proc/self/cgroup": "0::/kubepods/pod1/server\n",
            f"{V2}/kubepods/cpu.max": "max 100000\n",
            f"{V2}/kubepods/pod1/cpu.max": "200000 100000\n",
            f"{V2}/kubepods/pod1/server/cpu.max": "400000 100000\n",
        },
        2.0,
    ),
    "v2, the host's path, which the container does not see": (
        {"proc/self/cgroup": "0::/kubepods/pod1/server\n", f"{V2}/cpu.max": "300000 100000\n"},
        3.0,
    ),
    "v2, a path outside of our namespace": (
        {"proc/self/cgroup": "0::/../other\n", f"{V2}/cpu.max": "100000 100000\n"},
        1.0,
    ),
    "v1": (
        {
            "proc/self/cgroup": "4:memory:/a\n3:cpu:/docker/abc\n",
            f"{V1}/docker/abc/cpu.cfs_quota_us": "50000\n",
            f"{V1}/docker/abc/cpu.cfs_period_us": "100000\n",
            f"{V1}/cpu.cfs_quota_us": "-1\n",
            f"{V1}/cpu.cfs_period_us": "100000\n",
        },
        0.5,
    ),
    "v1, controllers mounted together": (
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/\n",
            f"{V1},cpuacct/cpu.cfs_quota_us": "250000\n",
            f"{V1},cpuacct/cpu.cfs_period_us": "100000\n",
        },
        2.5,
    ),
    "v1, no limit": (
        {
            "proc/self/cgroup": "3:cpu:/\n",
            f"{V1}/cpu.cfs_quota_us": "-1\n",
            f"{V1}/cpu.cfs_period_us": "100000\n",
        },
        None,
    ),
    "v1 with v2 beside it, where v1 has the cpu": (
        {
            "proc/self/cgroup": "3:cpu:/pod\n0::/system\n",
            f"{V1}/pod/cpu.cfs_quota_us": "700000\n",
            f"{V1}/pod/cpu.cfs_period_us": "100000\n",
            f"{V2}/unified/system/cgroup.procs": "1\n",
        },
        7.0,
    ),
    "no control groups at all": ({}, None),
    "nonsense": ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "lots 0\n"}, None),
    "a period of zero": ({"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": "100 0\n"}, None),
}


def a_tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(("files", "limit"), TREES.values(), ids=TREES)
def test_reads_the_cpu_limit(tmp_path: Path, files: dict[str, str], limit: float | None) -> None:
    assert cpu_limit(a_tree(tmp_path, files)) == limit


@pytest.mark.parametrize(
    ("quota", "usable", "threads"),
    [("50000", 8, 1), ("150000", 8, 1), ("390000", 8, 3), ("400000", 2, 2), ("max", 6, 6)],
)
def test_threads_are_the_limit_rounded_down_but_at_least_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, usable: int, threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(usable)))
    tree = a_tree(tmp_path, {"proc/self/cgroup": "0::/\n", f"{V2}/cpu.max": f"{quota} 100000\n"})
    assert usable_cpus(tree) == threads

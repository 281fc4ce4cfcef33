from pathlib import Path

import pytest

from driftline_serving.server.memory import usable_memory
from tests.serving.test_cpu import a_tree

V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/memory"
GIGABYTE = 1024**3
MACHINE = {"proc/meminfo": f"MemTotal:       {8 * 1024**2} kB\nMemFree:  17 kB\n"}

TREES = {
    "v2, in the container's own namespace": (
        {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": f"{GIGABYTE}\n"},
        GIGABYTE,
    ),
    "v2, no limit": ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n"}, 8 * GIGABYTE),
    "v2, the smallest on the way up": (
        {
            "proc/self/cgroup": "0::/pod/server\n",
            f"{V2}/pod/memory.max": f"{2 * GIGABYTE}\n",
            f"{V2}/pod/server/memory.max": f"{3 * GIGABYTE}\n",
        },
        2 * GIGABYTE,
    ),
    "v1": (
        {
            "proc/self/cgroup": "9:cpu:/other\n4:memory:/pod\n",
            f"{V1}/pod/memory.limit_in_bytes": f"{GIGABYTE // 2}\n",
            f"{V1}/memory.limit_in_bytes": "9223372036854771712\n",
        },
        GIGABYTE // 2,
    ),
    "v1, no limit": (
        {"proc/self/cgroup": "4:memory:/\n", f"{V1}/memory.limit_in_bytes": f"{2**63 - 4096}\n"},
        8 * GIGABYTE,
    ),
    "more than the machine has": (
        {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": f"{80 * GIGABYTE}\n"},
        8 * GIGABYTE,
    ),
}


@pytest.mark.parametrize(("files", "usable"), TREES.values(), ids=TREES)
def test_reads_the_memory_limit(tmp_path: Path, files: dict[str, str], usable: int) -> None:
    assert usable_memory(a_tree(tmp_path, MACHINE | files)) == usable


def test_this_machine_has_some(tmp_path: Path) -> None:
    assert usable_memory() > GIGABYTE // 8
    assert usable_memory(tmp_path) == 4 * GIGABYTE, "nothing is known"

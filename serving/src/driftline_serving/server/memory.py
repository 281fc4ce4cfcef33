"""How many bytes of memory the container may use, and how many we do."""

import resource
from pathlib import Path

from driftline_serving.server.cgroup import groups_of, read

#: Where there is no /proc/meminfo.
_UNKNOWN = 4 * 1024**3


def usable_memory(root: Path = Path("/")) -> int:
    """The smallest memory limit of the control groups that we are in, or the machine's memory.

    Version 1 says that there is no limit by one that no machine reaches.

    Args:
        root: What stands for `/`.
    """
    groups = groups_of(root, "memory", ("memory",))
    files = [group / "memory.max" for group in groups.v2]
    files += [group / "memory.limit_in_bytes" for group in groups.v1]
    limits = [int(text) for text in map(read, files) if text.isdecimal()]
    return min([*limits, _machine(root)])


def resident_bytes(root: Path = Path("/")) -> int:
    """The memory that this process takes; 0 where that is not known.

    Args:
        root: What stands for `/`.
    """
    _, _, pages = read(root / "proc/self/statm").partition(" ")
    resident = pages.partition(" ")[0]
    return int(resident) * resource.getpagesize() if resident.isdecimal() else 0


def _machine(root: Path) -> int:
    for line in read(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        kilobytes = value.removesuffix("kB").strip()
        if name == "MemTotal" and kilobytes.isdecimal():
            return int(kilobytes) * 1024
    return _UNKNOWN

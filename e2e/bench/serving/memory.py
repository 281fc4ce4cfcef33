"""What a server and its processes keep in memory."""

from pathlib import Path


def memory_mb(pid: int) -> list[float]:
    """Return the memory of a process and of all that come from it (10^6 bytes), most first.

    It is the proportional set size: pages that several processes share count in parts.
    """
    return sorted((_pss_mb(each) for each in _family(pid)), reverse=True)


def _family(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(word) for task in tasks for word in task.read_text().split()]
    return [pid, *(each for child in children for each in _family(child))]


def _pss_mb(pid: int) -> float:
    return pss_mb(Path(f"/proc/{pid}/smaps_rollup").read_text())


def pss_mb(rollup: str) -> float:
    r"""Return Pss of a `/proc/<pid>/smaps_rollup` in 10^6 bytes.

    >>> pss_mb("Rss: 200000 kB\nPss:             125000 kB\nPss_Dirty: 1 kB")
    128.0
    """
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024 / 1e6

"""Programs that outlive the command that started them, and are stopped by what was recorded.

A process id alone names nothing for long: the kernel hands it out again. So each record holds the
start time too, in clock ticks since the boot, and the record of the cluster holds the boot.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A process, named so that no later one can be taken for it.

    Attributes:
        name: what the program is to us.
        pid: its process id.
        started: its start, in clock ticks since the boot.
    """

    name: str
    pid: int
    started: int


def boot_id() -> str:
    """Return what the kernel calls this boot: records of another one name no process."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """Return state letter, parent and start time of a process, None if there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The program's name stands in brackets and may hold spaces and brackets of its own.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[19])


def is_alive(process: Running) -> bool:
    """Tell whether exactly this process still runs (a zombie does not)."""
    seen = stat_of(process.pid)
    return seen is not None and seen[0] not in "ZX" and seen[2] == process.started


def spawn(
    name: str, argv: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Running:
    """Start a program in a session of its own, its output in `log`.

    It is nobody's child object: it outlives this process, and `stop` needs only the record.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        argv[0],
        list(argv),
        {**os.environ, **(environ or {})},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    seen = stat_of(pid)
    return Running(name=name, pid=pid, started=seen[2] if seen else 0)


def stop(processes: Iterable[Running], grace: float = 3.0) -> None:
    """Tell all processes to end, in the order given, and kill those that have not in time."""
    told = [process for process in processes if is_alive(process)]
    for process in told:
        _signal(process, signal.SIGTERM)
    if not _gone_within(told, grace):
        for process in told:
            if is_alive(process):
                _signal(process, signal.SIGKILL)
        _gone_within(told, grace)


def _signal(process: Running, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def children_of(parents: Iterable[int]) -> list[int]:
    """Return the processes whose parent is one of `parents`."""
    wanted = set(parents)
    return [pid for pid in pids() if (seen := stat_of(pid)) is not None and seen[1] in wanted]


def pids() -> list[int]:
    """Return all process ids at this moment."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process, empty if it is gone."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0") if part]


def kill(targets: Iterable[int]) -> None:
    """Kill processes at once, those already gone excepted."""
    for pid in targets:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _gone_within(processes: Iterable[Running], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    waiting = list(processes)
    while waiting and time.monotonic() < deadline:
        for process in waiting:
            _reap(process.pid)
        waiting = [process for process in waiting if is_alive(process)]
        time.sleep(0.02)
    return not waiting


def _reap(pid: int) -> None:
    """Collect the exit of a child of this very process, so that it does not stay a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return

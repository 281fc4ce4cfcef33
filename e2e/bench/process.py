"""Programs that a benchmark starts, what they cost, and their end."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class DiedError(Exception):
    """A program that should run has ended; the message holds the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A program that was started here.

    Attributes:
        name: for messages.
        log: where its output goes.
    """

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Raise DiedError if it has ended."""
        code = self.process.poll()
        if code is not None:
            raise DiedError(f"{self.name} ended with code {code}; {self.log} ends:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used, user and system."""
        return cpu_seconds(Path(f"/proc/{self.process.pid}/stat").read_text())

    def peak_memory_mb(self) -> float:
        """Return the most resident memory that it ever had (10^6 bytes)."""
        return peak_memory_mb(Path(f"/proc/{self.process.pid}/status").read_text())

    def stop(self, grace: float = 20) -> None:
        """End it and wait: politely first, by force after `grace` seconds."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cpu_seconds(stat: str) -> float:
    """Return user and system time of a `/proc/<pid>/stat`.

    >>> cpu_seconds("7 (a (odd) name) S 1 7 7 0 -1 4194304 9 0 0 0 250 50 0 0 20 0")
    3.0
    """
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def peak_memory_mb(status: str) -> float:
    """Return VmHWM of a `/proc/<pid>/status` in 10^6 bytes.

    >>> peak_memory_mb("VmHWM:  125000 kB")
    128.0
    """
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def start(
    name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> Running:
    """Start a program with its output appended to `log`; `env` is added to our own."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            # A Ctrl-C reaches only us, so that programs end in our order.
            start_new_session=True,
        )
    return Running(name=name, log=log, process=process)


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a program for as long as the context lasts."""
    program = start(name, command, log, env)
    try:
        yield program
    finally:
        program.stop()

"""What is done to a container from outside: signals, and the end that a lack of memory brings.

A process cannot be killed or stopped from inside its container, where it is the first one; the
node's own view of it can.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from e2e.cluster.current import current, wish_from
from e2e.cluster.errors import RefusedError
from e2e.cluster.layout import default_layout
from e2e.cluster.processes import PROC, pids
from e2e.cluster.state import KIND_NAME, Kind

_NODE = ("docker", "exec", f"{KIND_NAME}-control-plane")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A running container, as the node sees it.

    Attributes:
        kind: of the cluster.
        pid: of its first process.
    """

    kind: Kind
    pid: int

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its first process."""
        if self.kind is Kind.NATIVE:
            os.kill(self.pid, number)
        else:
            _on_node("kill", f"-{number.value}", str(self.pid))

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it stand still until the block ends."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGCONT)

    def is_first_to_go(self) -> None:
        """Have the kernel kill it, before all others in its container, when memory is out."""
        if self.kind is Kind.NATIVE:
            (PROC / str(self.pid) / "oom_score_adj").write_text("1000")
        else:
            _on_node("sh", "-c", f"echo 1000 > /proc/{self.pid}/oom_score_adj")


def container(identity: str) -> Container:
    """Return the container of that id, as the pod's status names it: `containerd://...`.

    Raises:
        RefusedError: the cluster is a given one, whose node is not ours to enter.
        LookupError: it does not run.
    """
    cluster = current(default_layout(), wish_from())
    if cluster.kind is None:
        raise RefusedError("containers of a given cluster are not touched from outside")
    number = identity.partition("://")[2]
    find = _native if cluster.kind is Kind.NATIVE else _in_kind
    pid = find(number)
    if pid is None:
        raise LookupError(f"no process is in the container {number}")
    return Container(kind=cluster.kind, pid=pid)


def _native(number: str) -> int | None:
    for pid in sorted(pids()):
        with contextlib.suppress(OSError):
            if number in (PROC / str(pid) / "cgroup").read_text():
                return pid
    return None


def _in_kind(number: str) -> int | None:
    script = f"grep -l {number} /proc/[0-9]*/cgroup | cut -d/ -f3 | sort -n | head -1"
    found = _on_node("sh", "-c", script).strip()
    return int(found) if found else None


def _on_node(*argv: str) -> str:
    done = subprocess.run([*_NODE, *argv], check=True, capture_output=True, text=True)
    return done.stdout

"""The record of the one cluster of this machine, and who may touch it.

A machine has room for one native cluster (its bridge, ports and iptables chains have fixed names),
and two checkouts may want one. So the record says which checkout started it. Another checkout is
refused while that one and its processes exist, and takes over what is left of it otherwise.
"""

import contextlib
import enum
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from e2e.cluster.errors import RefusedError
from e2e.cluster.layout import Layout
from e2e.cluster.processes import Running, boot_id, is_alive
from e2e.cluster.progress import say

KIND_NAME = "driftline-e2e"


class Kind(enum.StrEnum):
    """What we bring up ourselves."""

    NATIVE = "native"
    KIND = "kind"


class Standing(enum.Enum):
    """What the record means to a checkout that asks."""

    FREE = "nothing is there"
    OURS = "this checkout's cluster runs"
    LEFTOVER = "what is there serves nobody: tear it down and go on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was started, in the order in which it was.

    Attributes:
        checkout: the directory whose command started the cluster.
        boot: the kernel's name of the boot, without which process ids mean nothing.
        ready: whether the start came to its end.
        processes: the programs, first started first.
        sysctls: kernel settings as they were before, to be put back.
        images: what each image is called in the cluster's registry.
    """

    checkout: str
    kind: Kind
    kubeconfig: str
    boot: str
    ready: bool = False
    processes: tuple[Running, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a look at the machine says about a record.

    Attributes:
        checkout_exists: the directory that started the cluster is still there.
        alive: how many of the recorded processes, or of kind's nodes, run.
        expected: how many were recorded.
        debris: files of a cluster lie about, with or without a record.
    """

    checkout_exists: bool = False
    alive: int = 0
    expected: int = 0
    debris: bool = False


def gather_facts(layout: Layout, record: Record | None) -> Facts:
    """Look whether the checkout and the processes of a record still exist."""
    if record is None:
        return Facts(debris=layout.state.exists())
    return Facts(
        checkout_exists=Path(record.checkout).is_dir(),
        alive=_count_alive(record),
        expected=1 if record.kind is Kind.KIND else len(record.processes),
        debris=True,
    )


def _count_alive(record: Record) -> int:
    if record.kind is Kind.KIND:
        return int(kind_node_runs())
    if record.boot != boot_id():
        return 0
    return sum(is_alive(process) for process in record.processes)


def kind_node_runs() -> bool:
    """Tell whether Docker runs the node of our kind cluster."""
    argv = ["docker", "inspect", "--format={{.State.Running}}", f"{KIND_NAME}-control-plane"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    return done.stdout.strip() == "true"


def judge(record: Record | None, facts: Facts, checkout: Path) -> Standing:
    """Decide what a checkout may do with the recorded cluster.

    Raises:
        RefusedError: the cluster is another checkout's, which exists, and so do its processes.
    """
    if record is None:
        return Standing.LEFTOVER if facts.debris else Standing.FREE
    if Path(record.checkout) == checkout:
        whole = record.ready and facts.alive == facts.expected
        return Standing.OURS if whole else Standing.LEFTOVER
    if not facts.checkout_exists or not facts.alive:
        return Standing.LEFTOVER
    raise RefusedError(
        f"the checkout {record.checkout} runs a cluster on this machine "
        f"({facts.alive} of its processes are alive), and there is room for one",
        remedy=f"make -C {record.checkout} cluster-down",
    )


def load(layout: Layout) -> Record | None:
    """Read the record, None if there is none or a crash cut it short."""
    try:
        raw = json.loads(layout.record.read_text())
        return Record(
            **{
                **raw,
                "kind": Kind(raw["kind"]),
                "processes": tuple(Running(**process) for process in raw["processes"]),
            }
        )
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def save(layout: Layout, record: Record) -> None:
    """Write the record so that a reader sees the old or the new one, never half of it."""
    layout.state.mkdir(parents=True, exist_ok=True)
    fresh = layout.record.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(record), indent=2))
    fresh.replace(layout.record)


@contextlib.contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the machine's cluster for oneself: two commands take turns, they do not interfere."""
    layout.lock.parent.mkdir(parents=True, exist_ok=True)
    handle = _acquire(layout.lock)
    try:
        yield
    finally:
        layout.lock.unlink(missing_ok=True)
        handle.close()


def _acquire(path: Path) -> IO[str]:
    """Return the lock's open file, locked, once it is the one that the path names.

    Who had it before removed it: a lock on a file that is gone excludes nobody.
    """
    while True:
        handle = path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            say(f"  · wait for process {handle.read().strip()}, which starts or stops the cluster")
            fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_ino == os.fstat(handle.fileno()).st_ino:
            break
        handle.close()
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle

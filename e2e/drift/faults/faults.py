"""What is done to the monitor, each for the time of a block."""

import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from e2e.drift.faults.world import World

DAY: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        name: of it.
        apply: does it until the block ends.
        rows: what the client sends meanwhile: `plain`, `levels` (ten thousand of them) or
            `nothing` (a feature that is always NaN).
        kills: whether it ends the process with what it has not told.
    """

    name: str
    apply: Callable[[World], AbstractContextManager[None]]
    rows: str = "plain"
    kills: bool = False


@contextlib.contextmanager
def killed(world: World) -> Iterator[None]:
    """SIGKILL."""
    world.monitor().process.kill()
    yield


@contextlib.contextmanager
def stuck(world: World) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    process = world.monitor().process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def without_memory(world: World) -> Iterator[None]:
    """No page more than it has: what it asks for is refused, as long as the process lives."""
    pid = world.monitor().process.pid
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (1 << 20, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, before)


@contextlib.contextmanager
def without_socket(world: World) -> Iterator[None]:
    """The tap's socket is removed from the directory."""
    world.tap.unlink(missing_ok=True)
    yield


@contextlib.contextmanager
def disk_full(world: World) -> Iterator[None]:
    """No file can grow."""
    pid = world.monitor().process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def clock_ahead(world: World) -> Iterator[None]:
    """The wall clock jumps a day ahead, and back at the end."""
    assert world.clock is not None
    world.clock.write_text(f"+{DAY}\n")
    try:
        yield
    finally:
        world.clock.write_text("+0\n")


@contextlib.contextmanager
def clock_behind(world: World) -> Iterator[None]:
    """The wall clock jumps a day back, and ahead at the end."""
    assert world.clock is not None
    world.clock.write_text(f"-{DAY}\n")
    try:
        yield
    finally:
        world.clock.write_text("+0\n")


@contextlib.contextmanager
def nothing(world: World) -> Iterator[None]:  # noqa: ARG001 - as the others
    """Only what is sent differs."""
    yield


FAULTS: Final = (
    Fault(name="killed", apply=killed, kills=True),
    Fault(name="stuck", apply=stuck),
    Fault(name="out of memory", apply=without_memory, kills=True),
    Fault(name="socket removed", apply=without_socket),
    Fault(name="disk full", apply=disk_full),
    Fault(name="clock a day ahead", apply=clock_ahead),
    Fault(name="clock a day behind", apply=clock_behind),
    Fault(name="10,000 levels", apply=nothing, rows="levels"),
    Fault(name="a feature always NaN", apply=nothing, rows="nothing"),
)

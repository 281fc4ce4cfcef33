"""Says what is being done, and how long it took."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from e2e.cluster.errors import ClusterError

STILL_EVERY = 30.0
"""Seconds after which a silent step says that it is still at work."""

_printing = threading.Lock()


def say(text: str) -> None:
    """Print one line, whole even when steps run side by side."""
    with _printing:
        print(text, flush=True)


@contextlib.contextmanager
def step(title: str, *, log: Path | None = None) -> Iterator[None]:
    """Announce a step and its end with the time it took; failures pass through."""
    began = time.monotonic()
    ended = threading.Event()
    say(f"  · {title}")
    watcher = threading.Thread(target=_remind, args=(title, began, ended, log), daemon=True)
    watcher.start()
    mark = "✗"
    try:
        yield
        mark = "✓"
    finally:
        ended.set()
        say(f"  {mark} {title}  {_seconds(began)}")


def _remind(title: str, began: float, ended: threading.Event, log: Path | None) -> None:
    while not ended.wait(STILL_EVERY):
        where = f", log: {log}" if log else ""
        say(f"    … {title}: {_seconds(began)} so far{where}")


def _seconds(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


def run(
    argv: Sequence[str],
    *,
    log: Path,
    remedy: str = "",
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run a program with its output in a log.

    Raises:
        ClusterError: it is not there, or it ended with an error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        out.write(f"$ {' '.join(argv)}\n".encode())
        out.flush()
        try:
            code = subprocess.run(
                argv, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=environ, check=False
            ).returncode
        except FileNotFoundError as error:
            raise ClusterError(f"{argv[0]} is not installed", log=log, remedy="make") from error
    if code:
        raise ClusterError(f"{Path(argv[0]).name} ended with code {code}", log=log, remedy=remedy)


def wait_for(
    what: str, ready: Callable[[], bool], *, seconds: float, log: Path | None = None
) -> None:
    """Wait until `ready` says so.

    Raises:
        ClusterError: it did not in time.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{what}: not within {seconds:.0f} s",
                log=log,
                remedy="read the log, then `make cluster-down` and try again",
            )
        time.sleep(0.1)


def fail(error: ClusterError) -> None:
    """Print a failure for a person."""
    with _printing:
        print(f"\n{error.report()}", file=sys.stderr, flush=True)

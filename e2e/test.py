"""`make test`: the tests without a cluster, then the suite on one, which is left as it was found.

A cluster of this checkout that runs already is used and stays; else one is started and removed,
also after a failure or an interrupt. `--long` runs what takes longer instead.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import fail, say
from e2e.cluster.up import borrowed

CHECKOUT = Path(__file__).resolve().parent.parent
FUZZ_SECONDS = 600
"""For each target of the fuzzer."""

NO_TEST_RAN = 5
"""pytest's exit code where no test was selected: no failure of a part."""

WORKERS = ("-n", "4", "--dist", "loadscope")
"""Tests on the cluster mostly wait, so there are more of them than processors."""


def main() -> int:
    """Run the tests; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m e2e.test")
    parser.add_argument("--long", action="store_true", help="only what takes longer")
    parser.add_argument("--no-cluster", action="store_true", help="leave the suite out")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end_in_order)
    size = "long" if arguments.long else "not long"
    codes = [pytest("tests", "-n", "2", "-m", size)]
    if arguments.long:
        codes.append(run("e2e.fuzz", "--seconds", str(FUZZ_SECONDS)))
    try:
        if not arguments.no_cluster:
            with borrowed() as kubeconfig:
                codes += run_suite(size, kubeconfig)
    except ClusterError as error:
        fail(error)
        return 1
    return verdict(codes)


def run_suite(size: str, kubeconfig: Path) -> list[int]:
    """Run the suite: first what works side by side, then what takes parts of the cluster down."""
    beside, alone = f"{size} and not disruptive", f"{size} and disruptive"
    return [
        pytest("e2e/suite", *WORKERS, "-m", beside, kubeconfig=kubeconfig),
        pytest("e2e/suite", "-m", alone, kubeconfig=kubeconfig),
    ]


def verdict(codes: Sequence[int]) -> int:
    """Return the exit code for all parts: one failed, or none of them ran a test.

    >>> verdict([0, NO_TEST_RAN]), verdict([NO_TEST_RAN, NO_TEST_RAN]), verdict([0, 2, 0])
    (0, 5, 2)
    """
    failed = [code for code in codes if code not in {0, NO_TEST_RAN}]
    if failed:
        return failed[0]
    return 0 if 0 in codes else NO_TEST_RAN


def pytest(directory: str, *arguments: str, kubeconfig: Path | None = None) -> int:
    """Run pytest on a directory; return its exit code."""
    return run("pytest", directory, *arguments, kubeconfig=kubeconfig)


def run(module: str, *arguments: str, kubeconfig: Path | None = None) -> int:
    """Run a module; return its exit code."""
    environ = {**os.environ, **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})}
    say(f"\n$ {' '.join((module, *arguments))}")
    began = time.monotonic()
    argv = [sys.executable, "-m", module, *arguments]
    code = subprocess.run(argv, cwd=CHECKOUT, env=environ, check=False).returncode
    say(f"{arguments[0] if module == 'pytest' else module}: {time.monotonic() - began:.0f} s")
    return code


def _end_in_order(_number: int, _frame: FrameType | None) -> None:
    """Turn a request to end into an exception, so that the cluster is removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

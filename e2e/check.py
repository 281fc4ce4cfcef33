"""`make check`: everything that looks at the code without running it, each with its time.

All checks run, also after one has failed, and only what fails shows what it said.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
AT_ONCE = 2
CRDS = ("crds", "charts/driftline/files/crds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: what it is about.
        argv: the command that fails where something is wrong.
        remedy: the command that puts it right, where there is one.
    """

    name: str
    argv: tuple[str, ...]
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a check ended."""

    check: Check
    passed: bool
    output: str
    seconds: float


def checks(tracked: Sequence[str]) -> tuple[Check, ...]:
    """Return all checks, the slowest first, so that none of them is waited for alone.

    Args:
        tracked: the files under version control.
    """
    scripts = tuple(file for file in tracked if file.endswith(".sh") or file == ".ci/run")
    dockerfiles = tuple(file for file in tracked if Path(file).name == "Dockerfile")
    return (
        Check(name="types", argv=_program("mypy")),
        Check(name="chart", argv=_module("e2e.chart_check")),
        Check(name="docs", argv=_program("mkdocs", "build", "--strict", "--quiet")),
        Check(name="imports", argv=_program("lint-imports")),
        Check(name="lint", argv=_program("ruff", "check"), remedy="make format"),
        Check(name="format", argv=_program("ruff", "format", "--check"), remedy="make format"),
        Check(
            name="crds",
            argv=_module("driftline_api.crd", "--check", *existing(CRDS)),
            remedy="make crds",
        ),
        Check(
            name="protos",
            argv=_module("driftline_serving.server.grpc.generate", "--check"),
            remedy="make protos",
        ),
        Check(name="shell", argv=_program("shellcheck", *scripts)),
        Check(name="dockerfiles", argv=_program("hadolint", *dockerfiles)),
    )


def existing(directories: Sequence[str]) -> tuple[str, ...]:
    """Return those directories of the checkout that are there."""
    return tuple(name for name in directories if (CHECKOUT / name).is_dir())


def perform(check: Check) -> Outcome:
    """Run one check."""
    began = time.monotonic()
    done = subprocess.run(check.argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    output = done.stdout + done.stderr
    return Outcome(check=check, passed=done.returncode == 0, output=output, seconds=seconds)


def report(outcome: Outcome) -> str:
    """Return what is shown of a check: a line, and what a failed one said."""
    mark = "✓" if outcome.passed else "✗"
    line = f"  {mark} {outcome.check.name:12} {outcome.seconds:5.1f} s"
    if outcome.passed:
        return line
    said = [f"    {text}" for text in outcome.output.strip().splitlines()]
    remedy = [f"    what to do: {outcome.check.remedy}"] if outcome.check.remedy else []
    return "\n".join([line, f"    $ {' '.join(outcome.check.argv)}", *said, *remedy])


def _program(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(PROGRAMS / name), *arguments)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def main() -> int:
    """Run all checks; return the exit code."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome in pool.map(perform, checks(listed.stdout.splitlines())):
            print(report(outcome), flush=True)
            failed += not outcome.passed
    print(f"{failed} checks failed" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""`make simulate`: run all claims, and say which hold."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import fail
from e2e.simulate import report
from e2e.simulate.judge import Judged
from e2e.simulate.runner import Task, run_all
from e2e.simulate.topics import gather

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = CHECKOUT / "docs" / "benchmarks" / "simulations.md"
COLUMNS: Final = (BarColumn, MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn)

INTERRUPTED: Final = 130


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parsed = argparse.ArgumentParser(prog="python -m e2e.simulate", description=__doc__)
    parsed.add_argument("--short", action="store_true", help="few runs: only what is refuted fails")
    parsed.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=[],
        metavar="WORD,WORD",
        help="claims whose topic or name has such a word",
    )
    parsed.add_argument("--write", action="store_true", help="write the page of the docs anew")
    cores = len(os.sched_getaffinity(0))
    parsed.add_argument("--processes", type=int, default=cores, help="how many at a time")
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit code."""
    args = parser().parse_args(arguments)
    if args.write and (args.short or args.only):
        raise SystemExit("a part of the claims makes no page: leave out --write, or the choice")
    tasks = gather(args.only, short=args.short)
    if not tasks:
        raise SystemExit(f"no claim has a word of {', '.join(args.only)}")
    began = time.monotonic()
    try:
        found = _run(tasks, short=args.short, processes=args.processes)
    except ClusterError as error:
        fail(error)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    minutes = (time.monotonic() - began) / 60
    print(f"{report.tables(found)}\n\n{report.times(found)}\n\n{report.summary(found)}")
    if args.write:
        PAGE.write_text(report.page(found, minutes, CHECKOUT))
    return int(any(each.missed for each in found))


def _run(tasks: Sequence[Task], *, short: bool, processes: int) -> list[Judged]:
    console = Console(stderr=True)
    columns = (TextColumn("runs"), *(column() for column in COLUMNS))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=sum(task.runs for task in tasks))

        def told(runs: int, judged: Judged | None) -> None:
            progress.advance(bar, runs)
            if judged:
                word = judged.verdict or "shown"
                measured = report.row(judged)[2]
                console.print(
                    f"{word:7} {judged.claim.key}: {measured}", highlight=False, soft_wrap=True
                )

        return run_all(tasks, told, short=short, processes=processes)


if __name__ == "__main__":
    sys.exit(main())

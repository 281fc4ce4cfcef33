"""Shows how far a file was read, at a terminal."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from driftline_cli.profile.feed import Feed
from driftline_serving.watched.extract import Extractor
from driftline_stats.drift.rows import Rows

_WIDE: Final = 160


def streamed(
    feed: Feed, extractor: Extractor, size: int, console: Console
) -> Callable[[str], Iterable[Rows]]:
    """Return what begins the rows anew, with a bar for each pass.

    The bar stands on the terminal only while rows come; there is none where output is no terminal.
    """

    def begun(what: str) -> Iterator[Rows]:
        with bars(console) as shown:
            bar = shown.add_task(what, total=size, rows=0)
            for rows in feed.rows(extractor, lambda done: shown.update(bar, completed=done)):
                shown.update(bar, rows=shown.tasks[bar].fields["rows"] + len(rows))
                yield rows

    return begun


def bars(console: Console) -> Progress:
    """Return bars that stand at the terminal only while something goes on; elsewhere none."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def consoles() -> tuple[Console, Console]:
    """Return the console for results, and the one for what happens meanwhile.

    Results that go to a file or a program are wider than most terminals.
    """
    results = Console()
    return results if results.is_terminal else Console(width=_WIDE), Console(stderr=True)

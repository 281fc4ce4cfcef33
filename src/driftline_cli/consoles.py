"""What is printed at a terminal, and what is shown there while something goes on."""

from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

_WIDE: Final = 160


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

"""Shows how far a file was read, at a terminal."""

from collections.abc import Callable, Iterable, Iterator

from rich.console import Console

from driftline_cli.consoles import bars
from driftline_cli.profile.feed import Feed
from driftline_serving.watched.extract import Extractor
from driftline_stats.drift.rows import Rows


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

"""Measures all that `make bench-monitor` prints."""

from collections.abc import Callable

from e2e.bench.monitor import costs, passing
from e2e.bench.report import Figure, aligned
from e2e.bench.serving import load
from e2e.bench.serving.case import TREES
from e2e.bench.serving.run import apart, made_apart

Tell = Callable[[str], None]


def measure(runs: int, seconds: int, tell: Tell) -> tuple[list[Figure], str]:
    """Return the figures, and a page's section about all that was measured.

    Raises:
        LoadError: something did not work as it should.
        DiedError: something has ended.
    """
    tell("make the model")
    (case,) = (case for case in made_apart() if case.name == TREES)
    with apart() as cpus:
        found = costs.measured(cpus, runs, seconds, tell)
        tell("what the proxy costs")
        seen, memory = passing.measured(case, cpus, runs, seconds)
    table = aligned(costs.rows(found))
    section = f"## What the monitor costs\n\n{table}"
    version = f"## Versions\n\nwrk {load.version()}."
    figures = [*costs.figures(found), *passing.figures(seen, memory)]
    return figures, f"{section}\n\n{version}"

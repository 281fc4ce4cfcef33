"""How the servers compare, as figures beside their bars and as tables."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from e2e.bench.report import Figure, aligned, number
from e2e.bench.serving.case import NETWORK, TREES
from e2e.bench.serving.load import Load
from e2e.bench.serving.servers import MOSEC, ONE_BY_ONE, OURS, PLAIN, VARIANTS

CONCURRENCIES = (1, 8, 64)
MANY = max(CONCURRENCIES)
#: At least so many times the requests/s of each, trees, 64 at a time.
TREES_BARS = {PLAIN: 2.5, MOSEC: 1.3}
TREES_BAR_OF_OTHERS = 5.0
P99_BAR = 0.5
ALONE_BAR = 1.0
NETWORK_BAR = 5.0
MEMORY_BAR_MB = 130.0


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was measured, run by run.

    Attributes:
        loads: by case, server and concurrency.
        memory: by server, with trees and idle: of each of its processes, MB, most first.
        failed: by case and server, why it was measured no further: that server has no figures.
    """

    loads: dict[tuple[str, str, int], list[Load]] = field(default_factory=dict)
    memory: dict[str, list[list[float]]] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)

    def fail(self, case: str, server: str, why: str) -> None:
        """Leave a server out of a case, because it did not answer as it should."""
        self.failed[case, server] = why
        for key in [key for key in self.loads if key[:2] == (case, server)]:
            del self.loads[key]

    def servers(self, case: str) -> list[str]:
        """Return who was measured with it, in the order of the first run."""
        return list(dict.fromkeys(server for known, server, _ in self.loads if known == case))

    def others(self, case: str) -> list[str]:
        """Return the same without ours and its variants."""
        return [each for each in self.servers(case) if each not in VARIANTS]

    def cases(self) -> list[str]:
        """Return what was measured."""
        return list(dict.fromkeys(case for case, _, _ in self.loads))

    def rates(self, case: str, other: str, connections: int) -> list[float]:
        """Return our requests/s as a multiple of the other's, run by run."""
        pairs = self._pairs(case, other, connections)
        return [ours.per_second / theirs.per_second for ours, theirs in pairs]

    def p99s(self, case: str, other: str, connections: int) -> list[float]:
        """Return the same of the 99th percentiles of latency."""
        return [ours.p99 / theirs.p99 for ours, theirs in self._pairs(case, other, connections)]

    def _pairs(self, case: str, other: str, connections: int) -> Iterator[tuple[Load, Load]]:
        ours = self.loads[case, OURS, connections]
        return zip(ours, self.loads[case, other, connections], strict=True)


def figures_of(seen: Seen) -> list[Figure]:
    """Return what there is a bar for."""
    return [*_trees(seen), *_network(seen), *_memory(seen)]


def _trees(seen: Seen) -> Iterator[Figure]:
    others = seen.others(TREES)
    where = f"{TREES}, {MANY} at a time"
    for other in others:
        bar = TREES_BARS.get(other, TREES_BAR_OF_OTHERS)
        rates = seen.rates(TREES, other, MANY)
        yield _ratio(f"{where}: requests/s / {other}", rates, bar, at_least=True)
    for other in others:
        p99s = seen.p99s(TREES, other, MANY)
        yield _ratio(f"{where}: p99 / {other}", p99s, P99_BAR, at_least=False)
    if PLAIN in others:
        rates = seen.rates(TREES, PLAIN, 1)
        yield _ratio(f"{TREES}, 1 at a time: requests/s / {PLAIN}", rates, ALONE_BAR, at_least=True)


def _network(seen: Seen) -> Iterator[Figure]:
    for other in (PLAIN, ONE_BY_ONE):
        if other in seen.servers(NETWORK):
            what = f"{NETWORK}, {MANY} at a time: requests/s / {other}"
            yield _ratio(what, seen.rates(NETWORK, other, MANY), NETWORK_BAR, at_least=True)


def _ratio(what: str, values: Sequence[float], bar: float, *, at_least: bool) -> Figure:
    return Figure(
        what=what,
        value=statistics.median(values),
        unit="x",
        bar=bar,
        at_least=at_least,
        note=f"runs: {', '.join(map(number, values))}",
    )


def _memory(seen: Seen) -> Iterator[Figure]:
    """The bar is for the worker, which is the largest of our processes."""
    for server, runs in seen.memory.items():
        total = statistics.median(map(sum, runs))
        note = f"{len(runs[0])} processes, PSS" if len(runs[0]) > 1 else "one process, PSS"
        if server == OURS:
            worker = statistics.median(max(run) for run in runs)
            what, how = "memory of an idle worker with trees, gRPC on", "PSS, median of the runs"
            yield Figure(what=what, value=worker, unit="MB", bar=MEMORY_BAR_MB, note=how)
        yield Figure(what=f"memory in all, {server}", value=total, unit="MB", note=note)


def sections(seen: Seen, versions: Sequence[str]) -> str:
    """Return what a page says below the bars: each case, what we are slower at, and versions."""
    parts = [(_title(case), _table(seen, case)) for case in seen.cases()]
    if seen.failed:
        parts.append(("Who did not answer as it should", _failed(seen)))
    parts += [
        ("What we are slower at", _slower(seen)),
        ("Versions", ", ".join(versions) + "."),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)


def _title(case: str) -> str:
    return case[0].upper() + case[1:]


def _table(seen: Seen, case: str) -> str:
    header = ("server", *(f"{count} at a time" for count in CONCURRENCIES))
    rows = [
        (server, *(_cell(seen, case, server, count) for count in CONCURRENCIES))
        for server in seen.servers(case)
    ]
    return aligned([header, *rows])


def _cell(seen: Seen, case: str, server: str, connections: int) -> str:
    loads = seen.loads[case, server, connections]
    rate = statistics.median(each.per_second for each in loads)
    p99 = statistics.median(each.p99 for each in loads)
    text = f"{number(rate)}/s, p99 {number(p99)} ms"
    if server == OURS:
        return text
    return f"{text}, {number(statistics.median(seen.rates(case, server, connections)))}x"


def _failed(seen: Seen) -> str:
    lines = (f"- {case}, {server}: {why}" for (case, server), why in seen.failed.items())
    return "\n".join(lines)


def _slower(seen: Seen) -> str:
    """Return a table of all in which some other server does better, from the figures alone."""
    header = ("case", "at a time", "server", "requests/s, ours / theirs", "p99, ours / theirs")
    rows = [row for case in seen.cases() for row in _behind(seen, case)]
    return aligned([header, *rows]) if rows else "Nothing that was measured here."


def _behind(seen: Seen, case: str) -> Iterator[tuple[str, ...]]:
    for connections in CONCURRENCIES:
        for other in seen.others(case):
            rate = statistics.median(seen.rates(case, other, connections))
            p99 = statistics.median(seen.p99s(case, other, connections))
            if rate < 1 or p99 > 1:
                yield (case, str(connections), other, f"{number(rate)}x", f"{number(p99)}x")

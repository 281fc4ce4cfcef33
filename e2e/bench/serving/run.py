"""Lets the servers take turns, puts the same load on each, and compares."""

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from e2e.bench.process import DiedError
from e2e.bench.report import Figure
from e2e.bench.serving import answers, compare, load, tap
from e2e.bench.serving.case import TREES, Case
from e2e.bench.serving.environments import python_version, version_of
from e2e.bench.serving.load import LoadError
from e2e.bench.serving.memory import memory_mb
from e2e.bench.serving.running import Cpus, Serving, serving
from e2e.bench.serving.servers import OURS, SERVERS, VARIANTS, Server

#: Of one load, however slow the server.
LONGEST_SECONDS = 60
LONGEST_REASON = 500

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be measured.

    Attributes:
        runs: of each.
        seconds: of each load.
        cases: words of which a case's name must hold one; empty: all.
        servers: the same of servers; ours is always there.
    """

    runs: int
    seconds: int
    cases: Sequence[str] = ()
    servers: Sequence[str] = ()

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.cases or self.servers)

    def case(self, case: Case) -> bool:
        """Tell whether a case is wanted."""
        return not self.cases or any(word in case.name for word in self.cases)

    def server(self, server: Server) -> bool:
        """Tell whether a server is wanted."""
        if server.name == OURS or not self.servers:
            return True
        return any(word.lower() in server.name.lower() for word in self.servers)


def measure(wanted: Wanted, tell: Tell) -> tuple[list[Figure], str]:
    """Return the figures that there are bars for, and a page's sections about all others.

    Raises:
        LoadError: ours did not answer as it should.
        DiedError: ours has ended.
    """
    servers = [server for server in SERVERS if wanted.server(server)]
    versions = [version_of(each.package, each.lock) for each in servers if each.package]
    versions += [version_of("onnxruntime"), f"wrk {load.version()}", python_version()]
    tell("make the models")
    made = [case for case in made_apart() if wanted.case(case)]
    seen = compare.Seen()
    with apart() as cpus:
        for case in made:
            for turn in range(wanted.runs):
                for server in servers:
                    if server.takes(case) and (case.name, server.name) not in seen.failed:
                        tell(f"{case.name}: {server.name}, run {turn + 1} of {wanted.runs}")
                        _try(server, case, cpus, wanted.seconds, seen)
        tell("what the tap costs")
        trees = [case for case in made if case.name == TREES]
        costs = [tap.figures(case, cpus, wanted.runs, wanted.seconds) for case in trees]
    return [*compare.figures_of(seen), *chain(*costs)], compare.sections(seen, versions)


def _try(server: Server, case: Case, cpus: Cpus, seconds: int, seen: compare.Seen) -> None:
    """Measure a server; one of others that fails is left out of the case, and that is told."""
    try:
        _measure(server, case, cpus, seconds, seen)
    except (LoadError, DiedError) as error:
        if server.name in VARIANTS:
            raise
        seen.fail(case.name, server.name, " ".join(str(error).split())[:LONGEST_REASON])


def _measure(server: Server, case: Case, cpus: Cpus, seconds: int, seen: compare.Seen) -> None:
    """Start a server, see what it keeps in memory, and put each load on it."""
    with serving(server, case, cpus) as started:
        if case.name == TREES:
            memory = memory_mb(started.program.process.pid)
            seen.memory.setdefault(server.name, []).append(memory)
        rate = math.inf
        for connections in compare.CONCURRENCIES:
            key = case.name, server.name, connections
            # Until each connection has had some answers, at the rate that was seen before.
            enough = min(math.ceil(2 * connections / rate), LONGEST_SECONDS)
            loaded = _loaded(started, connections, max(seconds, enough), cpus)
            seen.loads.setdefault(key, []).append(loaded)
            rate = loaded.per_second


def _loaded(started: Serving, connections: int, seconds: int, cpus: Cpus) -> load.Load:
    posts = [post for post, _ in started.asked]
    with answers.checking(started.url, started.asked):
        return load.run(
            started.url, posts, connections=connections, seconds=seconds, cpus=cpus.client
        )


def made_apart() -> list[Case]:
    """Return the cases, made by a process that then ends.

    Otherwise this one would keep the libraries loaded that the servers use, and each of those would
    count only its share of their memory.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_cases).result()


def _cases() -> list[Case]:
    # Libraries that train models take seconds to import, and much memory.
    from e2e.bench.serving.models import cases  # noqa: PLC0415

    return cases()


@contextmanager
def apart() -> Iterator[Cpus]:
    """Keep this process, which checks answers, off the CPU that is the servers'."""
    before = os.sched_getaffinity(0)
    server, client = load.free_cpus(1)
    os.sched_setaffinity(0, client or before)
    try:
        yield Cpus(server=server, client=client)
    finally:
        os.sched_setaffinity(0, before)

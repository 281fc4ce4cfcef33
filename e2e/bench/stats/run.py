"""Measures in an environment of the libraries, and compares."""

import json
import os
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from e2e.bench.report import Figure, aligned, number
from e2e.bench.serving.environments import interpreter, python_version
from e2e.bench.stats.names import ALL, BATCHES, FEATURES, OURS, VARIANTS
from e2e.environment import python_with, source_path

LOCK = "bench-stats"
BAR = 6.0
BAR_FEATURES, BAR_BATCH = 20, 1024
SIZE_FEATURES, SIZE_BAR = 100, 1.0
#: numpy's linear algebra would take all cores otherwise.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Rate(TypedDict):
    """Rows per second of processor time, run by run."""

    features: int
    batch: int
    who: str
    rates: list[float]


class Told(TypedDict):
    """What the child prints."""

    rates: list[Rate]
    sizes: list[dict[str, int]]
    versions: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was measured."""

    rates: dict[tuple[int, int, str], list[float]]
    sizes: dict[int, dict[str, int]]
    versions: tuple[str, ...]

    def who(self) -> list[str]:
        """Return all contenders."""
        return list(dict.fromkeys(who for _, _, who in self.rates))

    def rate(self, features: int, batch: int, who: str) -> float:
        """Return the median of the runs."""
        return statistics.median(self.rates[features, batch, who])

    def ratios(self, features: int, batch: int, other: str, ours: str = OURS) -> list[float]:
        """Return our rate as a multiple of another's, run by run."""
        pairs = zip(
            self.rates[features, batch, ours], self.rates[features, batch, other], strict=True
        )
        return [mine / theirs for mine, theirs in pairs]

    def best_other(self, features: int, batch: int) -> str:
        """Return who of the others is fastest."""
        others = [who for who in self.who() if who not in VARIANTS]
        return max(others, key=lambda who: self.rate(features, batch, who))


def measure(runs: int, seconds: float) -> tuple[list[Figure], str]:
    """Measure everything; return the figures, and what else the page says."""
    python = python_with(LOCK, interpreter())
    command = [str(python), "-m", "e2e.bench.stats.child", f"--runs={runs}", f"--seconds={seconds}"]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": source_path()}
    told = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seen = seen_of(json.loads(told.stdout))
    return figures_of(seen), sections(seen)


def seen_of(told: Told) -> Seen:
    """Return what the child has told."""
    return Seen(
        rates={
            (each["features"], each["batch"], each["who"]): each["rates"] for each in told["rates"]
        },
        sizes={each["features"]: each for each in told["sizes"]},
        versions=tuple(told["versions"]),
    )


def figures_of(seen: Seen) -> list[Figure]:
    """Return the figures, with the bars of those that have one."""
    best = seen.best_other(BAR_FEATURES, BAR_BATCH)
    where = f"{BAR_FEATURES} features, {BAR_BATCH:,} rows at a time: rows/s"
    ratios = seen.ratios(BAR_FEATURES, BAR_BATCH, best)
    whole = seen.ratios(BAR_FEATURES, BAR_BATCH, best, ALL)
    size = seen.sizes[SIZE_FEATURES]
    kept = (size["profile"] + size["counts"]) / 1e6
    pairs = seen.sizes[BAR_FEATURES]["pairs"]
    return [
        Figure(
            what=f"{where} / {best}",
            value=statistics.median(ratios),
            unit="x",
            bar=BAR,
            at_least=True,
            note=_runs(ratios),
        ),
        Figure(
            what=f"the same, with {pairs} pairs and distance",
            value=statistics.median(whole),
            unit="x",
            note=_runs(whole),
        ),
        Figure(
            what=f"reference and live counts of {SIZE_FEATURES} features",
            value=kept,
            unit="MB",
            bar=SIZE_BAR,
            note="profile as JSON, counts in memory",
        ),
        Figure(
            what=f"look-up tables of {SIZE_FEATURES} features",
            value=size["tables"] / 1e6,
            unit="MB",
            note="made from the profile, never stored",
        ),
    ]


def _runs(values: Sequence[float]) -> str:
    return f"runs: {', '.join(map(number, values))}"


def sections(seen: Seen) -> str:
    """Return what the page says below the bars."""
    parts = [(f"{features} features", _table(seen, features)) for features in FEATURES]
    parts += [
        ("What we are slower at", _slower(seen)),
        ("What is kept", _sizes(seen)),
        ("Versions", f"{', '.join(seen.versions)}, {python_version()}."),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)


def _table(seen: Seen, features: int) -> str:
    header = ("rows/s", *(f"{batch:,} at a time" for batch in BATCHES))
    rows = [(who, *(_cell(seen, features, batch, who) for batch in BATCHES)) for who in seen.who()]
    return aligned([header, *rows])


def _cell(seen: Seen, features: int, batch: int, who: str) -> str:
    rate = number(seen.rate(features, batch, who))
    if who == OURS:
        return rate
    return f"{rate}, {number(statistics.median(seen.ratios(features, batch, who)))}x"


def _slower(seen: Seen) -> str:
    """Return a table of all in which a library is faster than one of our ways to count."""
    header = ("features", "at a time", "ours", "library", "ours / theirs")
    rows = list(_behind(seen))
    return aligned([header, *rows]) if rows else "Nothing that was measured here."


def _behind(seen: Seen) -> Iterator[tuple[str, ...]]:
    for features in FEATURES:
        for batch in BATCHES:
            for ours in VARIANTS:
                best = seen.best_other(features, batch)
                ratio = statistics.median(seen.ratios(features, batch, best, ours))
                if ratio < 1:
                    yield (str(features), f"{batch:,}", ours, best, f"{number(ratio)}x")


def _sizes(seen: Seen) -> str:
    header = (
        "features",
        "pairs",
        "bins",
        "profile, JSON",
        "of it the order in time",
        "live counts in memory",
        "the same as JSON",
        "look-up tables",
    )
    rows = [
        (
            f"{size['features']} numeric, {size['categorical']} categorical",
            str(size["pairs"]),
            f"{size['bins']:,}",
            *(
                f"{number(size[key] / 1e3)} kB"
                for key in ("profile", "order", "counts", "counts_json", "tables")
            ),
        )
        for size in seen.sizes.values()
    ]
    return aligned([header, *rows])

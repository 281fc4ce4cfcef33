"""Looks at rows that are drawn, for tests of the watch."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Profile
from driftline_stats.drift.rows import Feature, Rows, rows_of
from driftline_stats.watch.look import Look
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch

FEATURES = (
    Feature(name="age"),
    Feature(name="income"),
    Feature(name="debt"),
    Feature(name="city", kind="categorical"),
    Feature(name="prediction", role="prediction"),
)
CITIES = np.array(["Rome", "Oslo", "Lima"], object)
#: A look of a minute.
MINUTE = 60.0

Draw = Callable[[np.random.Generator, int], dict[str, np.ndarray]]


def usual(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Return columns of rows as the training data has them."""
    return {
        "age": rng.normal(40, 10, rows),
        "income": rng.lognormal(10, 1, rows),
        "debt": rng.exponential(5, rows),
        "city": rng.choice(CITIES, rows, p=(0.6, 0.3, 0.1)),
        "prediction": rng.beta(2, 5, rows),
    }


def older(rng: np.random.Generator, rows: int, by: float = 5.0) -> dict[str, np.ndarray]:
    """Return the same, of people half a standard deviation older."""
    return usual(rng, rows) | {"age": rng.normal(40 + by, 10, rows)}


def trained(seed: int = 1, rows: int = 10_000, *, in_order: bool = True) -> Profile:
    """Return a profile of training data."""
    return build(FEATURES, drawn(usual, np.random.default_rng(seed), rows), in_order=in_order)


def drawn(draw: Draw, rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of all features."""
    return rows_of(FEATURES, draw(rng, rows))


PROFILE = trained()
PLAN = replace(WatchPlan.of(PROFILE), first=2_000)
KERNEL = Kernel(PROFILE.plan)


def looks(draw: Draw, number: int, rows: int = 100, seed: int = 2) -> Iterator[Look]:
    """Yield looks of a minute each, of so many rows."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        yield Look(counts=KERNEL.count(drawn(draw, rng, rows)), seconds=MINUTE)


def watched(watch: Watch, draw: Draw, number: int, rows: int = 100, seed: int = 2) -> Watch:
    """Return a watch after so many looks."""
    for look in looks(draw, number, rows, seed):
        watch = watch.update(look)
    return watch

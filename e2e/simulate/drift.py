"""Drift: rows until it is found, and rows between two false alarms."""

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from driftline_stats.drift.rows import Rows
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.drift_scenes import (
    CORRELATION,
    LEVELS,
    MISSING,
    NEW_LEVEL,
    Draw,
    Watch,
    draw_levels,
    plain,
)

TOPIC: Final = "drift"
LOOK: Final = 64
NOMINAL: Final = 100_000.0
SHORT_NOMINAL: Final = 2_000.0
#: A run ends after so many times the nominal distance: the mean is then that of what was seen.
LONGEST: Final = 3.0
NEVER: Final = 20_000.0
STATED_RUNS: Final = 12

WATCH: Final = Watch(reference=plain, live=plain, look=LOOK)


def shifted(rng: np.random.Generator, rows: int, *, by: float) -> Rows:
    """Return rows of which one feature's mean has moved by so many standard deviations."""
    drawn = plain(rng, rows)
    drawn.numeric[:, 5] += np.float32(by)
    return drawn


def spread(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of which one feature varies half as much again."""
    drawn = plain(rng, rows)
    drawn.numeric[:, 5] *= np.float32(1.5)
    return drawn


def turned(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of which two features' correlation has changed its sign."""
    drawn = plain(rng, rows)
    first = drawn.numeric[:, 0]
    drawn.numeric[:, 1] -= np.float32(2 * CORRELATION) * first
    return drawn


def rarer(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of which a level has 10 points less, and the next has them."""
    shares = (LEVELS[0], LEVELS[1] - 0.1, LEVELS[2] + 0.1, LEVELS[3])
    return replace(plain(rng, rows), categorical=(draw_levels(rng, rows, shares),))


def rarer_alone(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of which a level has 10 points less, and all others share them."""
    rest = 1 + 0.1 / (1 - LEVELS[1])
    shares = tuple(each - 0.1 if at == 1 else each * rest for at, each in enumerate(LEVELS))
    return replace(plain(rng, rows), categorical=(draw_levels(rng, rows, shares),))


def renewed(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of which one in a hundred has a level that the reference has not."""
    drawn = plain(rng, rows)
    drawn.categorical[0][rng.random(rows) < 0.01] = NEW_LEVEL
    return drawn


def emptied(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows of which 5 % have no value in a feature where 1 % had none."""
    drawn = plain(rng, rows)
    more = (0.05 - MISSING) / (1 - MISSING)
    drawn.numeric[rng.random(rows) < more, 2] = np.nan
    return drawn


def delay(rng: np.random.Generator, *, live: Draw, tolerance: float = 0.0) -> Outcome:
    """Return the rows until the alarm, when all live rows have drifted."""
    return replace(WATCH, live=live, tolerance=tolerance).rows_to_alarm(rng, NEVER)


def distance(rng: np.random.Generator, *, watch: Watch) -> Outcome:
    """Return the rows until the first false alarm, cut off where the run ends."""
    most = LONGEST * watch.budget
    alarmed = watch.rows_to_alarm(rng, most)
    return most if alarmed is None else float(alarmed)


def _delay(what: str, live: Draw, stated: float, tolerance: float = 0.0) -> Claim:
    return Claim(
        topic=TOPIC,
        what=f"delay, {what}, tolerance {tolerance:g}",
        stated=stated,
        unit="rows",
        simulate=partial(delay, live=live, tolerance=tolerance),
        runs=200,
        short_runs=2,
        kind="drift_delay",
        look=LOOK,
        stated_runs=STATED_RUNS,
        note="20 features, one drifts; reference of 10,000 independent rows",
    )


def _distance(watch: Watch, *, runs: int, short_runs: int = 0) -> Claim:
    return Claim(
        topic=TOPIC,
        what=(
            f"between false alarms, reference of {watch.n_ref:,} rows, "
            f"tolerance {watch.tolerance:g}, nominal {watch.budget:,.0f}"
        ),
        stated=watch.budget,
        unit="rows",
        simulate=partial(distance, watch=watch),
        runs=runs,
        short_runs=short_runs,
        kind="at_least",
        note=f"runs end after {LONGEST:g} times nominal",
    )


_DELAYS: Final = (
    _delay("mean shift 0.25 sd", partial(shifted, by=0.25), 491),
    _delay("mean shift 0.5 sd", partial(shifted, by=0.5), 165),
    _delay("mean shift 1 sd", partial(shifted, by=1.0), 64),
    _delay("sd x1.5", spread, 115),
    _delay("correlation 0.8 to -0.8", turned, 64),
    _delay("a level from 30 to 20 %, another from 20 to 30 %", rarer, 545),
    _delay("new level 1 %", renewed, 389),
    _delay("missing 1 to 5 %", emptied, 485),
    _delay("mean shift 0.25 sd", partial(shifted, by=0.25), 2_400, tolerance=0.1),
)

_QUIET: Final = replace(WATCH, look=256)

CLAIMS: Final = (
    *_DELAYS,
    replace(
        _delay("a level from 30 to 20 %, the others share it", rarer_alone, 545),
        kind="shown",
        stated=None,
        short_runs=0,
    ),
    _distance(replace(_QUIET, budget=NOMINAL), runs=200),
    _distance(replace(_QUIET, budget=NOMINAL, n_ref=1_000), runs=200),
    _distance(replace(_QUIET, budget=SHORT_NOMINAL), runs=200, short_runs=4),
    _distance(replace(_QUIET, budget=SHORT_NOMINAL, n_ref=1_000), runs=200, short_runs=4),
    _distance(replace(_QUIET, budget=SHORT_NOMINAL * 10, tolerance=0.1), runs=40),
)

"""Certificates and the absolute guard: how soon a good canary is certified, how often a bad one.

The stated figures are those of a canary that must not be twice as bad, at 100 requests a second.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.certificates import FLOOR, Certificate
from driftline_stats.guard import RateLevel
from driftline_stats.rates import Counts
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.traffic import (
    LOOKS,
    Rates,
    drifting,
    first_look,
    ramp,
    slots,
    steady,
    with_incident,
)

BETA: Final = 0.05
LOG_BAR: Final = -math.log(BETA)
RATIO: Final = 2.0
RPS: Final = 100.0

Path = Callable[[Counts], npt.NDArray[np.float64]]
Base = Callable[[np.random.Generator], Rates]


def by_ratio(seen: Counts) -> npt.NDArray[np.float64]:
    """Return the log evidence of the relative certificate alone."""
    return Certificate.start(ratio=RATIO).relative.path(seen)


def by_either(seen: Counts) -> npt.NDArray[np.float64]:
    """Return the log evidence of the certificate with its floor."""
    return Certificate.start(ratio=RATIO).path(seen)


def in_one(seen: Counts) -> npt.NDArray[np.float64]:
    """Return the log evidence where all slots so far are added up, as they must not be."""
    added = np.cumsum(seen, axis=-2)[:, None, :]
    relative = Certificate.start(ratio=RATIO).relative
    return np.array([relative.path(each)[0] for each in added])


def above_level(seen: Counts) -> npt.NDArray[np.float64]:
    """Return the log evidence of the absolute guard."""
    return RateLevel.above(FLOOR).path(seen)


def at_floor(_: np.random.Generator) -> Rates:
    """Return a base rate at which the canary is at both limits: twice as bad, and at the floor."""
    return steady(FLOOR / RATIO)


def wandering(rng: np.random.Generator) -> Rates:
    """Return a base rate that wanders, never so low that the canary falls below the floor."""
    return np.maximum(drifting(rng, 0.02), FLOOR / RATIO)


def incident(rng: np.random.Generator) -> Rates:
    """Return a base rate that rises in both arms for six minutes."""
    return with_incident(rng, steady(FLOOR / RATIO), 0.05, 360.0)


def incident_at_first(_: np.random.Generator) -> Rates:
    """Return a base rate that is high in both arms until the first change of weights."""
    return np.where(np.arange(LOOKS) < 30, 0.2, FLOOR / RATIO)


def reached(rng: np.random.Generator, *, path: Path, base: Base, ratio: float) -> Outcome:
    """Return whether the evidence is ever there."""
    return bool((path(slots(rng, ramp(), base(rng), ratio=ratio, rps=RPS)) >= LOG_BAR).any())


def seconds(rng: np.random.Generator, *, path: Path, rate: float, ratio: float = 1.0) -> Outcome:
    """Return the seconds until the evidence is there."""
    seen = slots(rng, ramp(), steady(rate), ratio=ratio, rps=RPS)
    return first_look(path(seen) >= LOG_BAR)


def _good(path: Path, rate: float) -> Callable[[np.random.Generator], Outcome]:
    return partial(reached, path=path, base=lambda _: steady(rate), ratio=1.0)


_FALSE: Final = Claim(
    topic="certificate",
    what="false, canary twice as bad and at the floor",
    stated=BETA,
    unit="of runs",
    simulate=partial(reached, path=by_either, base=at_floor, ratio=RATIO),
    runs=4_000,
    short_runs=100,
)
_GOOD: Final = replace(
    _FALSE,
    what="reached with the floor, nothing fails",
    stated=0.99,
    simulate=_good(by_either, 0.0),
    kind="at_least",
    runs=1_000,
    short_runs=50,
)


def _of_good_canaries() -> tuple[Claim, ...]:
    by_ratio_alone = replace(
        _GOOD,
        what="reached by the ratio alone, base rate 0.1 %",
        stated=0.77,
        simulate=_good(by_ratio, 0.001),
        kind="shown",
        note="why there is a floor beside it; 100 rps, not twice as bad",
    )
    return (
        by_ratio_alone,
        replace(
            by_ratio_alone,
            what="reached by the ratio alone, nothing fails",
            stated=0.0,
            simulate=_good(by_ratio, 0.0),
            short_runs=0,
            note="the same: it cannot move",
        ),
        _GOOD,
        replace(
            _GOOD,
            what="reached with the floor, base rate 0.1 %",
            simulate=_good(by_either, 0.001),
        ),
        *(
            replace(
                _GOOD,
                what=f"seconds with the floor, base rate {rate:.1%}",
                stated=None,
                unit="s",
                simulate=partial(seconds, path=by_either, rate=rate),
                kind="shown_delay",
                short_runs=0,
            )
            for rate in (0.0, 0.001, 0.005, 0.02)
        ),
    )


def _of_bad_canaries() -> tuple[Claim, ...]:
    return (
        _FALSE,
        replace(
            _FALSE,
            what="false, drifting base rate",
            simulate=partial(reached, path=by_either, base=wandering, ratio=RATIO),
        ),
        replace(
            _FALSE,
            what="false, shared incident",
            simulate=partial(reached, path=by_either, base=incident, ratio=RATIO),
        ),
        replace(
            _FALSE,
            what="false where slots of different weights are added up",
            stated=None,
            simulate=partial(reached, path=in_one, base=incident_at_first, ratio=RATIO),
            kind="shown",
            runs=300,
            short_runs=0,
            note="an incident before the weights change; never done",
        ),
        replace(
            _FALSE,
            what="false for the same traffic, slot by slot",
            simulate=partial(reached, path=by_ratio, base=incident_at_first, ratio=RATIO),
        ),
    )


def _of_the_guard() -> tuple[Claim, ...]:
    false = Claim(
        topic="absolute guard",
        what="false alarms, at the limit",
        stated=BETA,
        unit="of runs",
        simulate=partial(reached, path=above_level, base=lambda _: steady(FLOOR), ratio=1.0),
        runs=4_000,
        short_runs=100,
    )
    return (
        false,
        replace(
            false,
            what="pauses in a shared incident",
            stated=None,
            simulate=partial(reached, path=above_level, base=incident, ratio=1.0),
            kind="shown",
            runs=1_000,
            short_runs=0,
            note="why it never aborts",
        ),
        replace(
            false,
            what="delay at twice the limit",
            stated=None,
            unit="s",
            simulate=partial(seconds, path=above_level, rate=FLOOR, ratio=2.0),
            kind="shown_delay",
            runs=1_000,
            short_runs=0,
        ),
    )


CLAIMS: Final = (*_of_good_canaries(), *_of_bad_canaries(), *_of_the_guard())

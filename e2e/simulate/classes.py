"""The mix of predicted classes, and of scores in frozen bins, of two arms."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.class_bins import ScoreBins
from driftline_stats.classes import ClassBatch, ClassMix
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.traffic import LOOK, ramp

ALPHA: Final = 0.05
RPS: Final = 100.0
MIX: Final = np.array([0.4, 0.2, 0.15, 0.1, 0.05, 0.04, 0.03, 0.02, 0.0095, 0.0005])
ROWS: Final = 10  # of one request, all of the same class

Mix = npt.NDArray[np.float64]
Mixes = Callable[[np.random.Generator, int], tuple[Mix, Mix]]
"""What stable and canary predict in a slot of this number."""


def same(_: np.random.Generator, __: int) -> tuple[Mix, Mix]:
    """Return one mix for both arms, which stays."""
    return MIX, MIX


def drifting(_: np.random.Generator, at: int) -> tuple[Mix, Mix]:
    """Return one mix for both arms, of which the second class comes and goes within ten minutes."""
    mix = MIX.copy()
    mix[1] *= 1 + 0.9 * math.sin(at / 120 * 2 * math.pi)
    return mix / mix.sum(), mix / mix.sum()


def shifted(_: np.random.Generator, __: int, *, points: float, of: int) -> tuple[Mix, Mix]:
    """Return a mix of which the canary predicts one class more often, at the first's cost."""
    canary = MIX.copy()
    canary[[0, of]] += -points, points
    return MIX, canary


def first_warning(rng: np.random.Generator, mixes: Mixes, *, rows: int = 1) -> float | None:
    """Return the seconds until the mix is said to differ."""
    test = ClassMix.start(classes=MIX.size)
    for at, share in enumerate(ramp()):
        requests = rng.poisson(RPS * LOOK / rows)
        canary = rng.binomial(requests, share)
        of_stable, of_canary = mixes(rng, at)
        test = test.update(
            ClassBatch(
                stable=tuple((rows * rng.multinomial(requests - canary, of_stable)).tolist()),
                canary=tuple((rows * rng.multinomial(canary, of_canary)).tolist()),
            )
        )
        if test.verdict(ALPHA).rejected:
            return (at + 1) * LOOK
    return None


def warns(rng: np.random.Generator, *, mixes: Mixes, rows: int = 1) -> Outcome:
    """Return whether the mix is ever said to differ."""
    return first_warning(rng, mixes, rows=rows) is not None


def delay(rng: np.random.Generator, *, mixes: Mixes) -> Outcome:
    """Return the seconds until the mix is said to differ."""
    return first_warning(rng, mixes)


def score_warning(rng: np.random.Generator, *, shift: float) -> float | None:
    """Return the seconds until scores differ, in bins frozen from 2000 of stable's."""
    bins = ScoreBins.frozen(rng.normal(size=2000))
    test = ClassMix.start(classes=bins.bins)
    for at, share in enumerate(ramp()):
        units = rng.poisson(RPS * LOOK)
        canary = rng.binomial(units, share)
        of_both = rng.normal(0.1 * at / 120)  # inputs wander, for both arms
        test = test.update(
            ClassBatch(
                stable=bins.counts(rng.normal(of_both, size=units - canary)),
                canary=bins.counts(rng.normal(of_both + shift, size=canary)),
            )
        )
        if test.verdict(ALPHA).rejected:
            return (at + 1) * LOOK
    return None


def scores_warn(rng: np.random.Generator) -> Outcome:
    """Return whether equal scores are ever said to differ."""
    return score_warning(rng, shift=0.0) is not None


def _claims() -> tuple[Claim, ...]:
    false = Claim(
        topic="prediction distribution",
        what="false warnings, ten classes",
        stated=ALPHA,
        unit="of runs",
        simulate=partial(warns, mixes=same),
        runs=600,
        short_runs=8,
        note="100 rps",
    )
    shown = replace(false, stated=None, unit="s", kind="shown_delay", runs=200, short_runs=0)
    return (
        false,
        replace(
            false, what="false warnings, drifting mix", simulate=partial(warns, mixes=drifting)
        ),
        replace(false, what="false warnings, score bins", simulate=scores_warn),
        *(
            replace(
                shown,
                what=f"delay, {what}",
                simulate=partial(delay, mixes=partial(shifted, points=points, of=of)),
            )
            for what, points, of in (
                ("a class of 10 % has 12 %", 0.02, 3),
                ("a class of 10 % has 20 %", 0.1, 3),
                ("a class of 0.05 % has 1 %", 0.0095, 9),
            )
        ),
        *(
            replace(
                shown,
                what=f"delay, scores shift by {shift:g} sd",
                simulate=partial(score_warning, shift=shift),
                runs=100,
            )
            for shift in (0.1, 0.3)
        ),
        replace(
            false,
            what="false warnings, ten equal rows a request counted singly",
            stated=None,
            simulate=partial(warns, mixes=same, rows=ROWS),
            kind="shown",
            runs=200,
            short_runs=0,
            note="rows of a request are not independent: count the first",
        ),
    )


CLAIMS: Final = _claims()

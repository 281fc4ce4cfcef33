"""Means of a metric in a canary beside stable: false alarms, and what unequal spreads do."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.means import MeanBatch, MeanPlan, MeanShift, MeanSums
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.traffic import LOOK, LOOKS, Rates, ramp, steady

ALPHA: Final = 0.05
LOG_BAR: Final = -math.log(ALPHA)
REFERENCE: Final = 5_000

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, Floats], Floats]
"""Outcomes of units, each at the level of its look: 0 where nothing drifts."""
Evidence = Callable[[MeanShift], float]


def gaussian(
    rng: np.random.Generator, level: Floats, *, sd: float = 1.0, shift: float = 0.0
) -> Floats:
    """Return outcomes of a bell curve."""
    return level + rng.normal(shift, sd, level.size)


def lognormal(rng: np.random.Generator, level: Floats) -> Floats:
    """Return skewed outcomes."""
    return np.exp(level + rng.normal(0.0, 1.0, level.size))


def beta(rng: np.random.Generator, level: Floats) -> Floats:
    """Return outcomes between 0 and 1, such as scores."""
    return rng.beta(0.5 * np.exp(level), 2.0)


def zero_inflated(rng: np.random.Generator, level: Floats) -> Floats:
    """Return outcomes most of which are zero, such as revenue."""
    paid = rng.random(level.size) < 0.03 * np.exp(level)
    return np.where(paid, rng.lognormal(3.0, 1.0, level.size), 0.0)


def pareto(rng: np.random.Generator, level: Floats) -> Floats:
    """Return outcomes without a variance."""
    return rng.pareto(1.5, level.size) + level


def student(rng: np.random.Generator, level: Floats) -> Floats:
    """Return outcomes without a variance, to both sides."""
    return rng.standard_t(2.0, level.size) + level


def skewed(rng: np.random.Generator, level: Floats) -> Floats:
    """Return outcomes of mean 0 and variance 1, as of `gaussian`, with a long tail above."""
    return level + rng.exponential(1.0, level.size) - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A rollout: what each arm's outcomes are, and how many there are."""

    stable: Draw
    canary: Draw
    shares: Rates
    direction: str = "higher"
    drifts: bool = False
    rps: float = 100.0
    tolerance: float = 0.0


def of(draw: Draw, direction: str = "higher", *, drifts: bool = False) -> Scene:
    """Return a rollout in which the arms do not differ."""
    return Scene(stable=draw, canary=draw, shares=ramp(), direction=direction, drifts=drifts)


def wider(sd: float, share: float) -> Scene:
    """Return a rollout in which the canary has stable's mean, and another spread."""
    return replace(of(gaussian), canary=partial(gaussian, sd=sd), shares=steady(share))


def looks(rng: np.random.Generator, scene: Scene) -> Iterator[MeanShift]:
    """Yield the test after each look of one rollout."""
    plan = MeanPlan.of(
        scene.stable(rng, np.zeros(REFERENCE)),
        direction=scene.direction,
        tolerance=scene.tolerance,
    )
    walk = np.cumsum(rng.normal(0.0, 0.05, LOOKS)) if scene.drifts else np.zeros(LOOKS)
    units = rng.poisson(scene.rps * LOOK, LOOKS)
    canary = rng.binomial(units, scene.shares)
    stable = units - canary
    of_stable = sums(plan, scene.stable(rng, np.repeat(walk, stable)), stable)
    of_canary = sums(plan, scene.canary(rng, np.repeat(walk, canary)), canary)
    test = MeanShift(plan=plan)
    for one, other in zip(of_stable, of_canary, strict=True):
        test = test.update(MeanBatch(stable=one, canary=other))
        yield test


def sums(plan: MeanPlan, outcomes: Floats, units: npt.NDArray[np.int64]) -> list[MeanSums]:
    """Return `MeanSums.of` for each look, whose outcomes follow one another, at once."""
    values = np.append(plan.standardised(outcomes), 0.0)  # for looks without units at the end
    tilted = np.exp(np.multiply.outer(np.array(plan.lambdas), values))
    starts = np.cumsum(units) - units
    added = [np.add.reduceat(row, starts) for row in (values, values**2, *tilted)]
    by_look = np.where(units > 0, added, 0.0).T.tolist()
    return [
        MeanSums(units=count, total=total, squares=squares, tilted=tuple(rest))
        for count, (total, squares, *rest) in zip(units.tolist(), by_look, strict=True)
    ]


def both(test: MeanShift) -> float:
    """Return the evidence that a verdict needs."""
    return test.log_evidence


def tilting(test: MeanShift) -> float:
    """Return the evidence that the arms differ in any way that raises the mean of exp(lambda y)."""
    return test.log_evidence_tilting


def certifying(test: MeanShift) -> float:
    """Return the evidence that the mean is not worse by 0.1."""
    return test.log_certificate(0.1)


def alarms(rng: np.random.Generator, *, scene: Scene, by: Evidence = both) -> Outcome:
    """Return whether the canary is ever called worse."""
    return any(by(test) >= LOG_BAR for test in looks(rng, scene))


def delay(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return the seconds until the canary is called worse."""
    for at, test in enumerate(looks(rng, scene)):
        if test.log_evidence >= LOG_BAR:
            return (at + 1) * LOOK
    return None


def misses(rng: np.random.Generator, *, scene: Scene, truth: float) -> Outcome:
    """Return whether the interval ever leaves the true difference of the means out."""
    return any(truth not in test.interval(ALPHA) for test in islice(looks(rng, scene), 0, None, 4))


def by_users(rng: np.random.Generator, *, units: bool) -> Outcome:
    """Return whether a canary is called worse that does not differ, where users stick to arms.

    Users have levels of their own, and make Pareto numbers of requests, all in one arm.

    Args:
        rng: randomness.
        units: a user counts once, with the first outcome; else each request counts.
    """
    arrivals = rng.poisson(20.0, LOOKS)
    activity = np.ceil(rng.pareto(1.2, arrivals.sum()) + 0.01).clip(1, 2000).astype(np.int64)
    start = np.repeat(np.arange(LOOKS), arrivals)
    canary, level = rng.random(start.size) < 0.2, rng.normal(0.0, 1.0, start.size)
    user = np.repeat(np.arange(start.size), 1 if units else activity)
    look = (start[user] + rng.integers(0, LOOKS, user.size) * (not units)) % LOOKS
    outcome = level[user] + rng.normal(0.0, 0.5, user.size)
    plan = MeanPlan.of(rng.normal(0.0, 1.1, REFERENCE))
    test = MeanShift(plan=plan)
    order = np.argsort(look, kind="stable")
    ends = np.searchsorted(look[order], np.arange(1, LOOKS))
    for chosen in np.split(order, ends):
        arm = canary[user[chosen]]
        test = test.update(MeanBatch.of(outcome[chosen[~arm]], outcome[chosen[arm]], plan))
        if test.log_evidence >= LOG_BAR:
            return True
    return False


_SHORT: Final = (
    "false alarms, lognormal, drifting, lower",
    "false alarms, equal means, sd x2 at a share of 20%",
    "interval misses, lognormal",
)
"""What the short version runs: a few rows, often enough to refute them."""


def _rate(what: str, simulate: Callable[[np.random.Generator], Outcome], runs: int = 300) -> Claim:
    return Claim(
        topic="mean",
        what=what,
        stated=ALPHA,
        unit="of runs",
        simulate=simulate,
        runs=runs,
        short_runs=25 if what in _SHORT else 0,
    )


def _shown(what: str, simulate: Callable[[np.random.Generator], Outcome], note: str) -> Claim:
    return replace(_rate(what, simulate, 150), kind="shown", stated=None, short_runs=0, note=note)


_EQUAL: Final = (
    ("Gaussian", of(gaussian)),
    ("Gaussian, drifting", of(gaussian, drifts=True)),
    ("lognormal", of(lognormal)),
    ("lognormal, drifting, lower", of(lognormal, "lower", drifts=True)),
    ("beta", of(beta)),
    ("beta, drifting, lower", of(beta, "lower", drifts=True)),
    ("zero-inflated", of(zero_inflated)),
    ("zero-inflated, drifting, lower", of(zero_inflated, "lower", drifts=True)),
    ("Pareto of index 1.5", of(pareto)),
    ("Student of 2 degrees, lower", of(student, "lower")),
)
_FEW: Final = (
    ("lognormal, lower", of(lognormal, "lower")),
    ("zero-inflated", of(zero_inflated)),
    ("sd x2", wider(2.0, 0.05)),
)
_SPREADS: Final = tuple((sd, share) for sd in (1.5, 2.0) for share in (0.05, 0.2, 0.5))


def _wider(sd: float, share: float) -> tuple[Claim, Claim]:
    what = f"equal means, sd x{sd:g} at a share of {share:.0%}"
    scene = wider(sd, share)
    note = "its null is equal distributions, which these are not"
    return (
        _rate(f"false alarms, {what}", partial(alarms, scene=scene), 600),
        _shown(f"tilting alone: {what}", partial(alarms, scene=scene, by=tilting), note),
    )


def _found(shift: float) -> Claim:
    scene = replace(of(gaussian), canary=partial(gaussian, shift=shift))
    shown = _shown(f"delay at {shift:g} sd", partial(delay, scene=scene), "100 rps")
    return replace(shown, kind="shown_delay", unit="s", runs=100)


_AT_THE_TOLERANCE: Final = replace(of(gaussian), canary=partial(gaussian, shift=0.1), tolerance=0.1)

CLAIMS: Final = (
    *(_rate(f"false alarms, {what}", partial(alarms, scene=scene)) for what, scene in _EQUAL),
    *(
        _rate(f"tilting alone: {what}", partial(alarms, scene=scene, by=tilting), 800)
        for what, scene in _EQUAL[:8:2]
    ),
    *(claim for sd, share in _SPREADS for claim in _wider(sd, share)),
    *(
        _rate(
            f"false alarms, 5 rps at a share of 5 %, {what}",
            partial(alarms, scene=replace(scene, rps=5.0, shares=steady(0.05))),
            500,
        )
        for what, scene in _FEW
    ),
    _rate("false alarms, a difference of the tolerance", partial(alarms, scene=_AT_THE_TOLERANCE)),
    _rate(
        "false certificates, a difference of the margin",
        partial(alarms, scene=replace(_AT_THE_TOLERANCE, tolerance=0.0), by=certifying),
    ),
    _rate("interval misses, lognormal", partial(misses, scene=of(lognormal), truth=0.0)),
    _shown(
        "false alarms, equal means, a canary with a long tail above",
        partial(alarms, scene=replace(of(gaussian, "lower"), canary=skewed)),
        "the winsorised means differ, by 0.017 sd",
    ),
    _rate(
        "false alarms, users of Pareto activity, each counted once", partial(by_users, units=True)
    ),
    _shown(
        "false alarms, users of Pareto activity, each request counted",
        partial(by_users, units=False),
        "units are not independent",
    ),
    *(_found(shift) for shift in (0.05, 0.1, 0.2, 0.5)),
)

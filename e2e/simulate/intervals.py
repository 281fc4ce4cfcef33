"""The interval that is shown, at all looks at once, and what planning says can be seen."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from driftline_stats.intervals import RatioInterval
from driftline_stats.planning import RatePlan, Traffic, smallest_ratio, units_needed
from driftline_stats.rates import Counts, RateRatio
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.traffic import LOOK, RAMP, drifting, ramp, slots, steady, with_incident

ALPHA: Final = 0.05
BASE: Final = 0.005
RPS: Final = 100.0
PLAN: Final = RatePlan(alpha=ALPHA)

Scene = Callable[[np.random.Generator], Counts]


def quiet(rng: np.random.Generator, *, ratio: float) -> Counts:
    """Return a rollout at a base rate that stays."""
    return slots(rng, ramp(), steady(BASE), ratio=ratio, rps=RPS)


def troubled(rng: np.random.Generator, *, ratio: float) -> Counts:
    """Return a rollout at a base rate that wanders, with an incident."""
    base = with_incident(rng, drifting(rng, BASE), 0.1, 300.0)
    return slots(rng, ramp(), base, ratio=ratio, rps=RPS)


def turning(rng: np.random.Generator, *, ratio: float) -> Counts:
    """Return a rollout that turns from the ratio to its inverse in the middle."""
    shares = ramp()
    half = len(shares) // 2
    before = slots(rng, shares[:half], steady(BASE, half), ratio=ratio, rps=RPS)
    rest = len(shares) - half
    after = slots(rng, shares[half:], steady(BASE, rest), ratio=1 / ratio, rps=RPS)
    return np.concatenate([before, after])


def misses(rng: np.random.Generator, *, scene: Scene, low: float, high: float) -> Outcome:
    """Return whether the interval ever lies above the highest, or below the lowest, true ratio."""
    ends = RatioInterval().path(scene(rng), ALPHA)
    return bool((ends[:, 0] > high).any() or (ends[:, 1] < low).any())


def usual_misses(rng: np.random.Generator, *, scene: Scene, ratio: float) -> Outcome:
    """Return whether the usual interval for a ratio of two rates ever misses it.

    On the logarithm, of all that was seen so far (Katz and others 1978), as dashboards draw it.
    """
    stable, failed, canary, canary_failed = np.cumsum(scene(rng), axis=0).T.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(canary_failed / canary) - np.log(failed / stable)
        spread = np.sqrt(1 / canary_failed - 1 / canary + 1 / failed - 1 / stable)
        off = np.abs(log_ratio - math.log(ratio)) > 1.96 * spread
    return bool(off[(canary_failed > 0) & (failed > 0)].any())


def width(rng: np.random.Generator, *, ratio: float) -> Outcome:
    """Return the upper over the lower end after twenty minutes; None where one is open."""
    found = RatioInterval().update_many(quiet(rng, ratio=ratio)).at(ALPHA)
    return found.high / found.low if found.low > 0 and found.high < math.inf else None


def planned_is_found(rng: np.random.Generator) -> Outcome:
    """Return whether a canary as bad as the smallest detectable ratio is found in that traffic."""
    traffic = [Traffic(units=seconds * RPS, share=share) for seconds, share in RAMP]
    ratio = smallest_ratio(PLAN, traffic, BASE)
    assert ratio is not None
    return bool((RateRatio.above().path(quiet(rng, ratio=ratio)) >= -math.log(ALPHA)).any())


def over_plan(rng: np.random.Generator, *, ratio: float, share: float) -> Outcome:
    """Return how many times the planned number of units it took."""
    units = units_needed(PLAN, ratio, BASE, share)
    looks = math.ceil(4 * units / (RPS * LOOK))
    seen = slots(rng, steady(share, looks), steady(BASE, looks), ratio=ratio, rps=RPS)
    reached = RateRatio.above().path(seen) >= -math.log(ALPHA)
    return float(reached.argmax() + 1) * RPS * LOOK / units if reached.any() else None


def _of_intervals() -> tuple[Claim, ...]:
    def claim(what: str, scene: Callable[..., Counts], ratio: float, low: float) -> Claim:
        of_ratio = partial(scene, ratio=ratio)
        return Claim(
            topic="interval",
            what=f"misses at any look, {what}",
            stated=ALPHA,
            unit="of runs",
            simulate=partial(misses, scene=of_ratio, low=low, high=ratio),
            runs=600,
            short_runs=10,
        )

    usual = replace(
        claim("", quiet, 1.0, 1.0),
        what="misses at any look, the usual 95 % interval",
        stated=None,
        simulate=partial(usual_misses, scene=partial(quiet, ratio=1.0), ratio=1.0),
        kind="shown",
        short_runs=0,
    )
    return (
        claim("ratio 1", quiet, 1.0, 1.0),
        claim("ratio 2.03", quiet, 2.03, 2.03),
        claim("ratio 0.5", quiet, 0.5, 0.5),
        claim("drifting base rate and an incident", troubled, 1.5, 1.5),
        claim("ratio turns from 2 to 1/2: beyond both", turning, 2.0, 0.5),
        usual,
        replace(
            usual,
            what="misses at any look, the usual one, drifting base rate and an incident",
            simulate=partial(usual_misses, scene=partial(troubled, ratio=1.5), ratio=1.5),
        ),
        replace(
            usual,
            what="upper over lower end after 20 minutes, ratio 2",
            unit="times",
            simulate=partial(width, ratio=2.0),
            note="where neither is open",
        ),
    )


def _of_planning() -> tuple[Claim, ...]:
    found = Claim(
        topic="planning",
        what="the smallest detectable ratio is found",
        stated=0.5,
        unit="of runs",
        simulate=planned_is_found,
        runs=2_000,
        short_runs=50,
        kind="at_least",
    )
    return (
        found,
        *(
            replace(
                found,
                what=f"units until x{ratio:g} at a share of {share:.0%} is found",
                stated=1.0,
                unit="times the plan",
                simulate=partial(over_plan, ratio=ratio, share=share),
                runs=1_000,
                kind="delay",
            )
            for ratio, share in ((2.0, 0.05), (2.0, 0.5), (4.0, 0.2))
        ),
    )


CLAIMS: Final = (*_of_intervals(), *_of_planning())

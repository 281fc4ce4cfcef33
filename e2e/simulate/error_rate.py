"""The error rate of a canary beside stable: false alarms and delays, and those of others."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.rates import Counts, RateRatio, log_mean_along
from e2e.simulate import baselines
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.traffic import drifting, first_look, ramp, slots, steady, with_incident

ALPHA: Final = 0.05
LOG_BAR: Final = -math.log(ALPHA)
BASE: Final = 0.005
INCIDENT_RATE: Final = 0.05
INCIDENT_SECONDS: Final = 360.0
RATIOS: Final = (1.5, 2.0, 4.0, 10.0)
STABLE_SHARE: Final = 0.2

Check = Callable[[Counts], npt.NDArray[np.bool_]]
Scene = Callable[[np.random.Generator], Counts]


def ours(seen: Counts) -> npt.NDArray[np.bool_]:
    """Return at which looks the evidence is there."""
    return RateRatio.above(1.0).path(seen) >= LOG_BAR


def quiet(rng: np.random.Generator, *, ratio: float = 1.0) -> Counts:
    """Return a rollout at a base rate that stays."""
    return slots(rng, ramp(), steady(BASE), ratio=ratio)


def shared_incident(rng: np.random.Generator) -> Counts:
    """Return a rollout during which both arms fail ten times as often for six minutes."""
    base = with_incident(rng, steady(BASE), INCIDENT_RATE, INCIDENT_SECONDS)
    return slots(rng, ramp(), base)


def wandering(rng: np.random.Generator) -> Counts:
    """Return a rollout at a base rate that wanders."""
    return slots(rng, ramp(), drifting(rng, BASE))


def adaptive(rng: np.random.Generator) -> Counts:
    """Return a rollout whose share follows what was seen: up while the canary looks worse."""
    share, seen = 0.05, []
    for rate in drifting(rng, BASE):
        seen.append(slots(rng, steady(share, 1), steady(float(rate), 1)))
        stable, failed, canary, canary_failed = np.sum(seen, axis=(0, 1))
        worse = canary_failed * stable > failed * canary
        share = min(share * 1.2, 0.5) if worse else max(share / 1.2, 0.02)
    return np.concatenate(seen)


def alarms(rng: np.random.Generator, *, check: Check, scene: Scene) -> Outcome:
    """Return whether a check ever alarms."""
    return bool(check(scene(rng)).any())


def delay(rng: np.random.Generator, *, check: Check, scene: Scene) -> Outcome:
    """Return the seconds until a check alarms."""
    return first_look(check(scene(rng)))


def found_at_once(rng: np.random.Generator, *, base: float) -> Outcome:
    """Return the seconds until a canary four times as bad is found, one of two guardrails."""
    shares = steady(STABLE_SHARE)
    errors = slots(rng, shares, steady(base), ratio=4.0, rps=100.0)
    other = slots(rng, shares, steady(BASE), rps=100.0)
    test = RateRatio.above(1.0)
    combined = log_mean_along(np.stack([test.path(errors), test.path(other)], axis=-1))
    return first_look(combined >= LOG_BAR)


def _ours() -> tuple[Claim, ...]:
    def claim(what: str, scene: Scene, note: str) -> Claim:
        simulate = partial(alarms, check=ours, scene=scene)
        return Claim(
            topic="error rate",
            what=f"false alarms, {what}",
            stated=ALPHA,
            unit="of runs",
            simulate=simulate,
            runs=10_000,
            short_runs=200,
            note=note,
        )

    return (
        claim("quiet", quiet, "measured before: 0.023"),
        claim("shared incident", shared_incident, "measured before: 0.025"),
        claim("drifting base rate", wandering, ""),
        replace(claim("weights that follow the errors", adaptive, ""), runs=2_000, short_runs=20),
        *(
            Claim(
                topic="error rate",
                what=f"delay at x{ratio:g}",
                stated=stated,
                unit="s",
                simulate=partial(delay, check=ours, scene=partial(quiet, ratio=ratio)),
                runs=2_000,
                short_runs=100,
                kind="delay",
            )
            for ratio, stated in zip(RATIOS, (360.0, 170.0, 35.0, 10.0), strict=True)
        ),
        *(
            Claim(
                topic="error rate",
                what=f"delay at x4, base rate {base:.1%}",
                stated=stated,
                unit="s",
                simulate=partial(found_at_once, base=base),
                runs=2_000,
                short_runs=100,
                kind="delay",
                note="100 rps, 20 % share, two guardrails",
            )
            for base, stated in ((0.001, 125.0), (0.005, 30.0), (0.01, 15.0))
        ),
    )


_OTHERS: Final[tuple[tuple[str, Check, float, float, tuple[float | None, ...]], ...]] = (
    ("repeated z-test", baselines.repeated_z_test, 0.38, 1.0, (70, 35, 10, 10)),
    ("Flagger-like threshold", baselines.flagger_like, 0.0005, 1.0, (1080, 360, 300, 300)),
    ("Kayenta-like Mann-Whitney", baselines.kayenta_like, 0.001, 0.003, (None, 600, 300, 300)),
)


def _others() -> tuple[Claim, ...]:
    return tuple(
        claim
        for name, check, false, incident, delays in _OTHERS
        for claim in (
            _shown(f"{name}: false alarms", check, quiet, false),
            _shown(f"{name}: false alarms, shared incident", check, shared_incident, incident),
            _shown(f"{name}: false alarms, drifting base rate", check, wandering, None),
            *(
                _shown_delay(f"{name}: delay at x{ratio:g}", check, ratio, stated)
                for ratio, stated in zip(RATIOS, delays, strict=True)
            ),
        )
    )


def _shown(what: str, check: Check, scene: Scene, stated: float | None) -> Claim:
    return Claim(
        topic="error rate, as others compare",
        what=what,
        stated=stated,
        unit="of runs",
        simulate=partial(alarms, check=check, scene=scene),
        runs=2_000,
        kind="shown",
    )


def _shown_delay(what: str, check: Check, ratio: float, stated: float | None) -> Claim:
    return Claim(
        topic="error rate, as others compare",
        what=what,
        stated=stated,
        unit="s",
        simulate=partial(delay, check=check, scene=partial(quiet, ratio=ratio)),
        runs=1_000,
        kind="shown_delay",
    )


_FOUND_BY_KAYENTA: Final = _shown(
    "Kayenta-like Mann-Whitney: found at x1.5",
    baselines.kayenta_like,
    partial(quiet, ratio=1.5),
    0.23,
)

CLAIMS: Final = (*_ours(), *_others(), _FOUND_BY_KAYENTA)

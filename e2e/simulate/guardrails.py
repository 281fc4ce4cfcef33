"""Several guardrails under one alpha, retries, early promotion, and reports over a fleet."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.certificates import FLOOR, Certificate
from driftline_stats.fleet import FleetReport
from driftline_stats.guardrails import Combined, Guardrail, alpha_of_retry, certified, combined
from driftline_stats.rates import Counts, RateRatio
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.traffic import LOOK, Rates, drifting, ramp, slots, steady

ALPHA: Final = 0.05
BASE: Final = 0.005
RPS: Final = 100.0
NAMES: Final = ("error", "rejected", "integrity", "slow")
BAD: Final = 2.0
FDR: Final = 0.1
ROLLOUTS: Final = 100
BAD_ROLLOUTS: Final = 0.2


def of_each(
    rng: np.random.Generator, base: Rates, *, ratios: dict[str, float] | None = None
) -> dict[str, Counts]:
    """Return the slots of all guardrails over the same units.

    Most units that fail are slow as well, in either arm: guardrails depend on each other.
    """
    worse = ratios or {}
    error = slots(rng, ramp(), base, ratio=worse.get("error", 1.0), rps=RPS)
    found = {}
    for name in NAMES[:3]:
        seen = error.copy()
        if name != "error":
            rates = np.stack([base, np.minimum(base * worse.get(name, 1.0), 1.0)], axis=-1)
            seen[:, 1::2] = rng.binomial(seen[:, 0::2], rates)
        found[name] = seen
    slow = error.copy()
    often = np.minimum(0.01 * np.array([1.0, worse.get("slow", 1.0)]), 1.0)
    slow[:, 1::2] = rng.binomial(error[:, 1::2], 0.8)
    slow[:, 1::2] += rng.binomial(error[:, 0::2] - error[:, 1::2], often)
    found["slow"] = slow
    return found


def decisions(seen: dict[str, Counts], *, alpha: float = ALPHA) -> Iterator[tuple[int, Combined]]:
    """Return what is decided at each look at which any guardrail has reached 1/alpha.

    Before one of them has, the mean has not either.
    """
    paths = {name: RateRatio.above().path(each) for name, each in seen.items()}
    for at in np.flatnonzero(np.max(list(paths.values()), axis=0) >= -math.log(alpha)):
        yield int(at), combined(_guardrails({k: path[at] for k, path in paths.items()}), alpha)


def aborts(rng: np.random.Generator, *, alpha: float = ALPHA) -> bool:
    """Return whether a good canary is aborted."""
    seen = of_each(rng, drifting(rng, BASE))
    return any(found.verdict.rejected for _, found in decisions(seen, alpha=alpha))


def innocent_named(rng: np.random.Generator) -> Outcome:
    """Return whether an innocent guardrail is ever named beside a guilty one."""
    seen = of_each(rng, steady(BASE), ratios={"integrity": 4.0})
    return any(set(found.culprits) - {"integrity"} for _, found in decisions(seen))


def guilty_named(rng: np.random.Generator) -> Outcome:
    """Return the seconds from the abort until the guilty guardrail is named by itself."""
    seen = of_each(rng, steady(BASE), ratios={"integrity": 4.0})
    aborted: int | None = None
    for at, found in decisions(seen):
        if found.verdict.rejected and aborted is None:
            aborted = at
        if aborted is not None and "integrity" in found.culprits:
            return (at - aborted) * LOOK
    return None


def aborted_in_any_attempt(rng: np.random.Generator, *, retries: int) -> Outcome:
    """Return whether a good canary is aborted at least once in several attempts."""
    return any(aborts(rng, alpha=alpha_of_retry(ALPHA, j)) for j in range(retries + 1))


def promoted_early(rng: np.random.Generator) -> Outcome:
    """Return whether a canary is promoted early that is twice as bad by one guardrail of four."""
    seen = of_each(rng, steady(FLOOR / BAD), ratios={"integrity": BAD})
    paths = {name: Certificate.start(ratio=BAD).path(each) for name, each in seen.items()}
    nothing = dict.fromkeys(NAMES, 0.0)
    return any(
        certified(_guardrails(nothing, {k: p[at] for k, p in paths.items()}), ALPHA).early
        for at in np.flatnonzero(np.min(list(paths.values()), axis=0) >= -math.log(ALPHA))
    )


def false_discoveries(rng: np.random.Generator, *, on: bool, report: bool) -> Outcome:
    """Return the share of false ones among a fleet's discoveries (or aborts)."""
    found, bad = _of_fleet(rng, on=on, report=report)
    return float(np.sum(found & ~bad)) / max(1, int(np.sum(found)))


def bad_found(rng: np.random.Generator, *, on: bool, report: bool) -> Outcome:
    """Return the share of the fleet's bad canaries that are discoveries (or aborted)."""
    found, bad = _of_fleet(rng, on=on, report=report)
    return float(np.sum(found & bad) / np.sum(bad)) if bad.any() else None


def _of_fleet(
    rng: np.random.Generator, *, on: bool, report: bool
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which rollouts of a fleet are discoveries, or aborted, and which were bad.

    With `on`, evidence goes on to be gathered after an abort, such as from the shadowed canary.
    """
    bad = rng.random(ROLLOUTS) < BAD_ROLLOUTS
    bar = -math.log(ALPHA)
    level, found = FleetReport.start(FDR), np.zeros(ROLLOUTS, np.bool_)
    for at, is_bad in enumerate(bad):
        seen = slots(rng, ramp(), steady(BASE), ratio=4.0 if is_bad else 1.0, rps=RPS)
        path = RateRatio.above().path(seen)
        reached = path >= bar
        stop = -1 if on or not reached.any() else int(reached.argmax())
        found[at] = level.is_discovery(path[stop]) if report else reached.any()
        level = level.update(float(path[stop]))
    return found, bad


def _guardrails(
    evidence: dict[str, float], certificates: dict[str, float] | None = None
) -> list[Guardrail]:
    return [
        Guardrail(
            name=name,
            log_evidence=float(log),
            log_certificate=None if certificates is None else float(certificates[name]),
        )
        for name, log in evidence.items()
    ]


def _of_one_rollout() -> tuple[Claim, ...]:
    false = Claim(
        topic="guardrails",
        what="false aborts, four that depend on each other",
        stated=ALPHA,
        unit="of runs",
        simulate=aborts,
        runs=2_000,
        short_runs=20,
        note="100 rps, drifting base rate",
    )
    return (
        false,
        replace(
            false,
            what="an innocent one is named beside a guilty one",
            simulate=innocent_named,
            note="one four times as bad",
        ),
        replace(
            false,
            what="from the abort until the guilty one is named",
            stated=None,
            unit="s",
            simulate=guilty_named,
            kind="shown_delay",
            runs=500,
            short_runs=0,
            note="one four times as bad",
        ),
        replace(
            false,
            what="false aborts, an attempt and three retries",
            stated=sum(alpha_of_retry(ALPHA, j) for j in range(4)),
            simulate=partial(aborted_in_any_attempt, retries=3),
            runs=1_000,
            note="alpha, alpha/2, alpha/4, alpha/8",
        ),
        replace(
            false,
            what="promoted early, twice as bad by one of four",
            simulate=promoted_early,
            note="at the floor",
        ),
    )


def _of_a_fleet() -> tuple[Claim, ...]:
    def claim(what: str, *, on: bool, report: bool = True, found: bool = False) -> Claim:
        return Claim(
            topic="reports over a fleet",
            what=what,
            stated=None if found or not report else FDR,
            unit="of the bad" if found else "of discoveries" if report else "of aborts",
            simulate=partial(bad_found if found else false_discoveries, on=on, report=report),
            runs=100,
            short_runs=2 if report and not found else 0,
            kind="at_most" if report and not found else "shown",
            note="100 rollouts, one of five four times as bad",
        )

    return (
        claim("false discoveries, tests end at 1/alpha", on=False),
        claim("false discoveries, tests go on", on=True),
        claim("false aborts, without a report", on=False, report=False),
        claim("found, tests end at 1/alpha", on=False, found=True),
        claim("found, tests go on", on=True, found=True),
    )


CLAIMS: Final = (*_of_one_rollout(), *_of_a_fleet())

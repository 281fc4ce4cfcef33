"""What the comparison of two arms assumes, broken: how far its error rate is then from stated.

Each scene comes twice where it can: as it must not be done, shown without a verdict, and as the
library asks for it, with one.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.certificates import Certificate
from driftline_stats.rates import Counts, RateRatio
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.error_rate import ALPHA, LOG_BAR
from e2e.simulate.traffic import LOOKS, Rates, ramp, slots, steady, with_incident

BASE: Final = 0.005
WORSE: Final = 2.0
CONFIGURED: Final = 0.10
REALISED: Final = 0.12
SPIKE: Final = (0.05, 60.0)
"""Error rate and seconds of an incident that both arms share."""

RISING: Final = BASE * np.linspace(1, 10, LOOKS)
FALLING: Final = RISING[::-1]

USERS: Final = 4_000
TAIL: Final = 1.2
"""Exponent of the Pareto law of calls per user: a mean of 6, and no variance."""
UNLUCKY: Final = (0.05, 0.25)
"""Share of the users whose calls often fail, and how often."""

TOPIC: Final = "assumptions of the error rate"
Scene = Callable[[np.random.Generator], Counts]


def alarms(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether the canary is ever called worse."""
    return bool((RateRatio.above(1.0).path(scene(rng)) >= LOG_BAR).any())


def certifies(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether a canary that is twice as bad is ever certified not to be."""
    path = Certificate.start(ratio=WORSE).path(scene(rng))
    return bool((path >= LOG_BAR).any())


def realised(rng: np.random.Generator) -> Counts:
    """Return slots as they were, at a share that nobody configured."""
    return slots(rng, steady(REALISED), steady(BASE))


def configured(rng: np.random.Generator) -> Counts:
    """Return the same with units split as configured: what a test believes that is told a share."""
    seen = realised(rng)
    units = seen[:, 0] + seen[:, 2]
    canary = np.round(units * CONFIGURED).astype(np.int64)
    return np.stack([units - canary, seen[:, 1], canary, seen[:, 3]], axis=-1)


def slot_by_slot(rng: np.random.Generator, *, base: Rates, ratio: float) -> Counts:
    """Return a ramp as it must be given to a test."""
    return slots(rng, ramp(), base, ratio=ratio)


def mixed(rng: np.random.Generator, *, base: Rates, ratio: float) -> Counts:
    """Return a ramp added up over its weight changes: what totals since the start give."""
    whole: Counts = slot_by_slot(rng, base=base, ratio=ratio).sum(axis=0, keepdims=True)
    return whole


def in_step(rng: np.random.Generator) -> Counts:
    """Return a ramp with an incident of both arms."""
    return slots(rng, ramp(), with_incident(rng, steady(BASE), *SPIKE))


def ahead(rng: np.random.Generator) -> Counts:
    """Return the same with the canary's counts one slot ahead of stable's."""
    seen = in_step(rng)
    return np.concatenate([seen[:-1, :2], seen[1:, 2:]], axis=-1)


def behind(rng: np.random.Generator) -> Counts:
    """Return the same with the canary's counts one slot behind stable's."""
    seen = in_step(rng)
    return np.concatenate([seen[1:, :2], seen[:-1, 2:]], axis=-1)


def visits(rng: np.random.Generator) -> tuple[Counts, Counts]:
    """Return the calls of sticky users, and their first ones alone, as slots.

    A user stays with an arm and calls as often as a Pareto law says; some users' calls often fail,
    whichever arm serves them.
    """
    calls = np.ceil(rng.pareto(TAIL, USERS) + 1).astype(np.int64).clip(max=100_000)
    user = np.repeat(np.arange(USERS), calls)
    canary = (rng.random(USERS) < 0.5)[user]
    often = rng.random(USERS) < UNLUCKY[0]
    failed = rng.random(len(user)) < np.where(often, UNLUCKY[1], BASE)[user]
    # A user's calls spread over the time from a first visit, which is uniform.
    start = rng.random(USERS)[user]
    when = start + (1 - start) * rng.random(len(user))
    slot = (when * LOOKS).astype(np.int64)
    order = np.argsort(when, kind="stable")
    first = order[np.unique(user[order], return_index=True)[1]]
    every = np.arange(len(user))
    return (
        _counted(slot[every], canary[every], failed[every]),
        _counted(slot[first], canary[first], failed[first]),
    )


def _counted(
    slot: npt.NDArray[np.int64], canary: npt.NDArray[np.bool_], failed: npt.NDArray[np.bool_]
) -> Counts:
    arm = 2 * canary.astype(np.int64)
    units = np.bincount(slot * 4 + arm, minlength=LOOKS * 4)
    events = np.bincount((slot * 4 + arm + 1)[failed], minlength=LOOKS * 4)
    return (units + events).reshape(LOOKS, 4)


def by_call(rng: np.random.Generator) -> Counts:
    """Return slots in which every call counts."""
    return visits(rng)[0]


def by_user(rng: np.random.Generator) -> Counts:
    """Return slots in which every user counts once."""
    return visits(rng)[1]


def _kept(what: str, simulate: Callable[[np.random.Generator], Outcome]) -> Claim:
    return Claim(
        topic=TOPIC,
        what=what,
        stated=ALPHA,
        unit="of runs",
        simulate=simulate,
        runs=2_000,
        short_runs=30,
    )


def _broken(
    what: str,
    simulate: Callable[[np.random.Generator], Outcome],
    stated: float | None = None,
    note: str = "",
) -> Claim:
    return replace(_kept(what, simulate), kind="shown", stated=stated, short_runs=0, note=note)


def _alarms(scene: Scene) -> Callable[[np.random.Generator], Outcome]:
    return partial(alarms, scene=scene)


CLAIMS: Final = (
    _kept("false alarms, share as realised", _alarms(realised)),
    _broken(
        "false alarms, share as configured",
        _alarms(configured),
        0.36,
        f"configured {CONFIGURED:.0%}, realised {REALISED:.0%}",
    ),
    _kept(
        "false alarms, base rate rises during the ramp",
        _alarms(partial(slot_by_slot, base=RISING, ratio=1.0)),
    ),
    _broken(
        "false alarms, the same added up over weight changes",
        _alarms(partial(mixed, base=RISING, ratio=1.0)),
    ),
    _kept(
        "false certificates of a canary twice as bad, base rate falls during the ramp",
        partial(certifies, scene=partial(slot_by_slot, base=FALLING, ratio=WORSE)),
    ),
    _broken(
        "false certificates, the same added up over weight changes",
        partial(certifies, scene=partial(mixed, base=FALLING, ratio=WORSE)),
    ),
    _kept("false alarms, a minute's incident of both arms", _alarms(in_step)),
    _broken(
        "false alarms, the same with the canary's counts 5 s ahead",
        _alarms(ahead),
        note="measured before, in a scene of its own: 0.06",
    ),
    _broken("false alarms, the same with the canary's counts 5 s behind", _alarms(behind)),
    _kept("false alarms, sticky users, each counts once", _alarms(by_user)),
    _broken(
        "false alarms, sticky users, each call counts",
        _alarms(by_call),
        note="measured before: 0.18 to 0.42",
    ),
)

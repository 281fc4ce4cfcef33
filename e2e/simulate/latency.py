"""Latency of a canary beside stable: false alarms, delays, and where the guarantee ends."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.certificates import Certificate
from driftline_stats.histogram import LatencyHistogram
from driftline_stats.latency import Thresholds
from driftline_stats.rates import RateRatio, log_mean_along
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.traffic import LOOK, LOOKS, first_look, ramp

ALPHA: Final = 0.05
LOG_BAR: Final = -math.log(ALPHA)
RPS: Final = 100.0
REFERENCE: Final = 20_000
MEDIAN_US: Final = 20_000.0
SIGMA: Final = 0.5
STALL_EVERY: Final = 60.0

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
"""Latencies in microseconds, so many of them."""
Level = Callable[[np.random.Generator], Floats]
"""By which factor both arms are slower, at each look."""
Change = Callable[[np.random.Generator, Floats], Floats]
"""What the canary makes of a latency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The requests of one rollout, in order of their looks."""

    look: npt.NDArray[np.int64]
    canary: npt.NDArray[np.bool_]
    latency: Floats


def lognormal(rng: np.random.Generator, count: int) -> Floats:
    """Return what a service takes that is neither steady nor wild."""
    return MEDIAN_US * rng.lognormal(0.0, SIGMA, count)


def heavy(rng: np.random.Generator, count: int) -> Floats:
    """Return latencies without a variance."""
    return MEDIAN_US * (1 + rng.pareto(1.5, count))


def steady(_: np.random.Generator) -> Floats:
    """Return a level that stays."""
    return np.ones(LOOKS)


def wandering(rng: np.random.Generator) -> Floats:
    """Return a level that wanders, by a factor of about two in twenty minutes."""
    walk: Floats = np.exp(np.cumsum(rng.normal(0.0, 0.05, LOOKS)))
    return walk


def rising(_: np.random.Generator) -> Floats:
    """Return a level that rises by 5 % in twenty minutes."""
    return np.linspace(1.0, 1.05, LOOKS)


def incident(rng: np.random.Generator) -> Floats:
    """Return a level five times as high for six minutes."""
    start = rng.integers(0, LOOKS - 72)
    at = np.arange(LOOKS)
    return np.where((at >= start) & (at < start + 72), 5.0, 1.0)


def same(_: np.random.Generator, latency: Floats) -> Floats:
    """Return latencies as they are."""
    return latency


def slower(_: np.random.Generator, latency: Floats, *, factor: float) -> Floats:
    """Return each latency, longer by a factor."""
    return latency * factor


def slower_for_some(
    rng: np.random.Generator, latency: Floats, *, share: float, factor: float
) -> Floats:
    """Return latencies, a share of which is longer by a factor."""
    return np.where(rng.random(latency.size) < share, latency * factor, latency)


def requests(
    rng: np.random.Generator,
    *,
    draw: Draw = lognormal,
    level: Level = steady,
    change: Change = same,
) -> Requests:
    """Return the requests of one rollout."""
    counts = rng.poisson(RPS * LOOK, LOOKS)
    look = np.repeat(np.arange(LOOKS), counts)
    canary = rng.random(look.size) < ramp()[look]
    latency = draw(rng, look.size) * level(rng)[look]
    return Requests(
        look=look, canary=canary, latency=np.where(canary, change(rng, latency), latency)
    )


def evidence(seen: Requests, thresholds: Thresholds) -> Floats:
    """Return the log evidence of `LatencyShift` at each look."""
    slots = exceedances(seen, np.array(thresholds.stable), np.array(thresholds.canary))
    return log_mean_along(RateRatio.above(1.0).path(slots).T)


def exceedances(seen: Requests, stable: Floats, canary: Floats) -> npt.NDArray[np.int64]:
    """Return slots that `RateRatio` takes, of shape (edges, looks, 4), for ascending edges."""
    arms = ((~seen.canary, stable), (seen.canary, canary))
    counted = [part for arm, edges in arms for part in _counted(seen, arm, edges)]
    return np.stack(counted, axis=-1)


def _counted(
    seen: Requests, arm: npt.NDArray[np.bool_], edges: Floats
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]":
    """Return the units of an arm, and those at or beyond each edge, of shape (edges, looks)."""
    reached = np.searchsorted(edges, seen.latency[arm], side="right")
    cells = seen.look[arm] * (edges.size + 1) + reached
    counts = np.bincount(cells, minlength=LOOKS * (edges.size + 1)).reshape(LOOKS, -1)
    beyond = counts[:, :0:-1].cumsum(axis=1)[:, ::-1].T
    return np.broadcast_to(counts.sum(axis=1), beyond.shape), beyond


def frozen(rng: np.random.Generator, draw: Draw, tolerance: float) -> Thresholds:
    """Return thresholds from what stable took before the rollout."""
    return Thresholds.of(LatencyHistogram.of(draw(rng, REFERENCE)), tolerance=tolerance)


def delay(
    rng: np.random.Generator,
    *,
    draw: Draw = lognormal,
    level: Level = steady,
    change: Change = same,
    tolerance: float = 0.0,
) -> Outcome:
    """Return the seconds until the canary is called slower."""
    thresholds = frozen(rng, draw, tolerance)
    seen = requests(rng, draw=draw, level=level, change=change)
    return first_look(evidence(seen, thresholds) >= LOG_BAR)


def certified(rng: np.random.Generator, *, change: Change) -> Outcome:
    """Return the seconds until no threshold is known to be exceeded twice as often."""
    thresholds = frozen(rng, lognormal, 0.0)
    seen = requests(rng, change=change)
    slots = exceedances(seen, np.array(thresholds.stable), np.array(thresholds.canary))
    return first_look(Certificate.start(ratio=2.0).path(slots).min(axis=0) >= LOG_BAR)


def alarms(rng: np.random.Generator, *, simulate: Callable[[np.random.Generator], Outcome]) -> bool:
    """Return whether that ever happens."""
    return simulate(rng) is not None


def bands_part(rng: np.random.Generator, *, level: Level) -> Outcome:
    """Return whether the bands around the arms' distributions, over all so far, ever part.

    Each is one of Dvoretzky, Kiefer and Wolfowitz at half of alpha, anew at each look.
    """
    seen = requests(rng, level=level)
    edges = np.quantile(seen.latency, np.linspace(0.01, 0.99, 99))
    counts = exceedances(seen, edges, edges).cumsum(axis=1)
    stable, above, canary, canary_above = (counts[..., at] for at in range(4))
    apart = canary_above / np.maximum(canary, 1) - above / np.maximum(stable, 1)
    reach = sum(np.sqrt(math.log(4 / ALPHA) / (2 * np.maximum(n, 1))) for n in (stable, canary))
    return bool((apart > reach).any())


def stalls(rng: np.random.Generator, *, pods: tuple[int, int]) -> Outcome:
    """Return whether a canary is called slower whose pods stall as often as stable's.

    Each pod stands still for a second once a minute on average: all its requests of that second,
    a fifth of a look's, take longer. Requests of one pod are then not independent.
    """
    seen = requests(rng)
    sizes = np.where(seen.canary, pods[1], pods[0])
    pod = np.where(seen.canary, pods[0], 0) + rng.integers(0, sizes)
    stalled = rng.random((LOOKS, sum(pods))) < LOOK / STALL_EVERY
    struck = stalled[seen.look, pod] & (rng.random(pod.size) < 1 / LOOK)
    longer = np.where(struck, seen.latency + 1e6 * rng.random(pod.size), seen.latency)
    thresholds = frozen(rng, _with_stalls, 0.0)
    slow = Requests(look=seen.look, canary=seen.canary, latency=longer)
    return bool((evidence(slow, thresholds) >= LOG_BAR).any())


def _with_stalls(rng: np.random.Generator, count: int) -> Floats:
    struck = rng.random(count) < 1 / STALL_EVERY
    return lognormal(rng, count) + np.where(struck, 1e6 * rng.random(count), 0.0)


_RATES: Final = (
    ("quiet", partial(delay), "measured before: 0.010"),
    ("drifting latency", partial(delay, level=wandering), ""),
    ("shared incident, x5 for 6 minutes", partial(delay, level=incident), ""),
    ("Pareto latencies of index 1.5", partial(delay, draw=heavy), ""),
    (
        "10 % slower with a tolerance of 10 %",
        partial(delay, change=partial(slower, factor=1.1), tolerance=0.1),
        "",
    ),
)

_TWICE_THE_TAIL: Final = partial(slower_for_some, share=0.0105, factor=10.0)

_DELAYS: Final = (
    ("+10 %", partial(slower, factor=1.1), 190.0),
    ("+25 %", partial(slower, factor=1.25), 35.0),
    ("x2", partial(slower, factor=2.0), 5.0),
    ("3 % of requests x5", partial(slower_for_some, share=0.03, factor=5.0), 70.0),
    ("1 % of requests x10", partial(slower_for_some, share=0.01, factor=10.0), 110.0),
)

_SHORT: Final = ("drifting latency", "+25 %", "3 % of requests x5")
"""What the short version runs: a few rows, often enough to refute them."""


def _shown(what: str, simulate: Callable[[np.random.Generator], Outcome], note: str) -> Claim:
    return Claim(
        topic="latency",
        what=what,
        stated=None,
        unit="of runs",
        simulate=simulate,
        runs=300,
        kind="shown",
        note=note,
    )


CLAIMS: Final = (
    *(
        Claim(
            topic="latency",
            what=f"false alarms, {what}",
            stated=ALPHA,
            unit="of runs",
            simulate=partial(alarms, simulate=simulate),
            runs=1_000,
            short_runs=25 if what in _SHORT else 0,
            note=note,
        )
        for what, simulate, note in _RATES
    ),
    *(
        Claim(
            topic="latency",
            what=f"delay at {what}",
            stated=stated,
            unit="s",
            simulate=partial(delay, change=change),
            runs=400,
            short_runs=15 if what in _SHORT else 0,
            kind="delay",
            note="100 rps, lognormal latencies of sigma 0.5",
        )
        for what, change, stated in _DELAYS
    ),
    Claim(
        topic="latency",
        what="false certificates, p99 exceeded twice as often",
        stated=ALPHA,
        unit="of runs",
        simulate=partial(alarms, simulate=partial(certified, change=_TWICE_THE_TAIL)),
        runs=1_000,
    ),
    Claim(
        topic="latency",
        what="certified that no threshold is exceeded twice as often",
        stated=None,
        unit="s",
        simulate=partial(certified, change=same),
        runs=300,
        kind="shown_delay",
        note="100 rps",
    ),
    *(
        _shown(
            f"bands around both distributions: false alarms, {what}",
            partial(bands_part, level=level),
            "why bands are drawn and never decided by",
        )
        for what, level in (("quiet", steady), ("latency rises by 5 %", rising))
    ),
    *(
        _shown(
            f"false alarms, each pod stalls for a second a minute, {pods[0]} and {pods[1]} pods",
            partial(stalls, pods=pods),
            "requests of a pod are not independent",
        )
        for pods in ((4, 1), (8, 8))
    ),
)

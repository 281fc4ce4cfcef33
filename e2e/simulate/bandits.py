"""Bandits: what they save, and that evidence stays valid while they move the traffic."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from driftline_stats.experiment.best_arm import StopRule, best_arm
from driftline_stats.experiment.mismatch import Exposures, sample_ratio
from driftline_stats.experiment.pairwise import pairwise_rates
from driftline_stats.experiment.thompson import Outcomes, bandit
from driftline_stats.rates import RateBatch, RateRatio
from e2e.simulate.claims import Claim, Kind

EPOCHS = 40
"""Weights change as often."""
UNITS, MANY = 400, 4000
"""In each epoch; many, where it matters that arms and hours are mixed up."""
RATES = (0.10, 0.10, 0.11, 0.14)
NAMES = ("a", "b", "c", "d")
ALPHA = 0.05

Rates = tuple[float, ...]
Counts = npt.NDArray[np.int64]


def base(epoch: int, *, drifts: bool) -> float:
    """Return what all rates are multiplied by: 1, or one that rises fivefold."""
    return 0.2 + 0.8 * epoch / EPOCHS if drifts else 1.0


def epoch_of(
    rng: np.random.Generator,
    shares: tuple[float, ...],
    rates: npt.NDArray[np.float64],
    count: int = MANY,
) -> tuple[Counts, Counts]:
    """Return units and events by arm."""
    units = rng.multinomial(count, shares)
    return units, rng.binomial(units, rates)


def outcomes(shares: tuple[float, ...], units: Counts, events: Counts) -> Outcomes:
    """Return counts as the bandit takes them."""
    totals = tuple(events.astype(float).tolist())
    return Outcomes(shares=shares, units=tuple(units.tolist()), totals=totals, squares=totals)


def played(rng: np.random.Generator, rates: Rates, *, drifts: bool) -> tuple[float, float, float]:
    """Play a bandit.

    Returns:
        Its regret as a share of what uniform allocation has, the last share of the arm that then
        leads, and that of the arm that is truly best.
    """
    state, regret, uniform = bandit(arms=len(rates), rate=True), 0.0, 0.0
    for epoch in range(EPOCHS):
        now = np.array(rates) * base(epoch, drifts=drifts)
        shares = state.allocation().shares
        units, events = epoch_of(rng, shares, now, UNITS)
        state = state.update(outcomes(shares, units, events))
        lost = now.max() - now
        regret += float(units @ lost)
        uniform += UNITS * float(lost.mean())
    last = state.allocation().shares
    return regret / uniform, max(last), last[int(np.argmax(rates))]


def saved(rates: Rates, *, drifts: bool = False) -> Callable[[np.random.Generator], float]:
    """Return a run that says which share of uniform allocation's regret is saved."""
    return lambda rng: 1 - played(rng, rates, drifts=drifts)[0]


def last_share_of_the_best(rng: np.random.Generator) -> float:
    """Return the last share of the arm that is truly best, whether or not it leads."""
    return played(rng, RATES, drifts=False)[2]


def winner_alarm(rng: np.random.Generator) -> bool:
    """Say whether a bandit on equal arms, whose rates drift together, has a winner."""
    state, ratio = bandit(arms=4, rate=True), sample_ratio(arms=4)
    pairs = pairwise_rates(NAMES, higher_is_better=True)
    for epoch in range(EPOCHS):
        shares = state.allocation().shares
        now = np.full(4, 0.2 * base(epoch, drifts=True))
        units, events = epoch_of(rng, shares, now)
        state = state.update(outcomes(shares, units, events))
        pairs = pairs.update_strata(units[None], events[None])
        ratio = ratio.update(Exposures(counts=tuple(units.tolist()), shares=shares))
        if best_arm(pairs, ratio, StopRule(alpha=ALPHA)).winner:
            return True
    return False


def pair_alarm(*, by_epoch: bool) -> Callable[[np.random.Generator], bool]:
    """Return a run that says whether one of two equal arms is called better than the other.

    Args:
        by_epoch: whether increments of epochs are added, or counts, as many do.
    """

    def run(rng: np.random.Generator) -> bool:
        state, test = bandit(arms=2, rate=True), RateRatio.above(1.0)
        total = RateBatch()
        for epoch in range(EPOCHS):
            shares = state.allocation().shares
            units, events = epoch_of(rng, shares, np.full(2, 0.2 * base(epoch, drifts=True)))
            state = state.update(outcomes(shares, units, events))
            batch = RateBatch(
                stable_units=int(units[0]),
                stable_events=int(events[0]),
                canary_units=int(units[1]),
                canary_events=int(events[1]),
            )
            total += batch
            test = test.update(batch)
            judged = test if by_epoch else RateRatio.above(1.0).update(total)
            if judged.verdict(ALPHA).rejected:
                return True
        return False

    return run


def _claim(
    what: str, run: Callable[[np.random.Generator], bool | float], kind: Kind, stated: float | None
) -> Claim:
    return Claim(
        topic="bandit",
        what=what,
        stated=stated,
        unit="of runs" if kind == "rate" else "",
        simulate=run,
        runs=500 if kind == "at_least" else 300,
        short_runs=2,
        kind=kind,
    )


CLAIMS = (
    _claim("regret saved, four arms", saved(RATES), "at_least", 0.0),
    _claim("regret saved, four arms, rates rise", saved(RATES, drifts=True), "at_least", 0.0),
    _claim("regret saved, two arms", saved((0.10, 0.12)), "at_least", 0.0),
    _claim("last share of the best of four arms", last_share_of_the_best, "at_least", 0.4),
    _claim("a winner of four equal arms, rates rise", winner_alarm, "rate", ALPHA),
    _claim(
        "an arm called better than its equal, rates rise", pair_alarm(by_epoch=True), "rate", ALPHA
    ),
    _claim("the same, with counts added over epochs", pair_alarm(by_epoch=False), "shown", None),
)

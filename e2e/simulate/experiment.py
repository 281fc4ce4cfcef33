"""Experiments on users: what holds where arms do not differ, and what tests of requests do."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from driftline_stats.experiment.best_arm import StopRule, best_arm
from driftline_stats.experiment.first_events import FirstEvents, first_events
from driftline_stats.experiment.mismatch import Exposures, SampleRatio, sample_ratio
from driftline_stats.experiment.pairwise import (
    PairwiseMeans,
    PairwiseRates,
    pairwise_means,
    pairwise_rates,
)
from driftline_stats.experiment.window_means import window_means
from driftline_stats.means import MeanPlan
from driftline_stats.rates import RateRatio
from e2e.simulate.claims import Claim, Kind, Outcome
from e2e.simulate.users import (
    SLOTS,
    Slot,
    arms_at,
    places,
    robots_and_people,
    users,
    visits,
)

ALPHA = 0.05
HALVES = ((0.5, 0.5),)
RAMP = ((0.95, 0.05), (0.8, 0.2), (0.5, 0.5))
NAMES = ("a", "b", "c", "d")
RARE, PRONE = 0.02, 0.1
THIN = 40
"""Requests in a slot where robots make half of them."""

Run = Callable[[np.random.Generator], bool]


def rates(arms: int = 2) -> PairwiseRates:
    """Return tests of rates, of which the lower is better."""
    return pairwise_rates(NAMES[:arms], higher_is_better=False)


def one_is_called_better(pairs: PairwiseRates | PairwiseMeans) -> bool:
    """Say whether the first arm is called better than the second at ALPHA."""
    return pairs.log_evidence_of("a", "b") >= -math.log(ALPHA)


def by_first_events(slots: Iterator[Slot], metric: FirstEvents) -> bool:
    """Say whether a test of first events calls one arm better."""
    pairs = rates()
    for slot in slots:
        metric, sets = metric.observe(slot.seen())
        pairs = pairs.update(sets)
        if one_is_called_better(pairs):
            return True
    return False


def first_events_alarm(width: int = 1, capacity: int = 200_000) -> Run:
    """Return a run of an A/A experiment, judged by first events."""

    def run(rng: np.random.Generator) -> bool:
        metric = first_events(arms=2, width=width, capacity=capacity)
        return by_first_events(visits(rng, HALVES, users(rng)), metric)

    return run


def worse_arm_alarm(rng: np.random.Generator) -> bool:
    """Say whether the arm with twice the events is called better, as few users ever fail.

    Those of the worse arm who can fail have soon done so: from then on it fails less often.
    """
    who, pairs, metric = users(rng), rates(), first_events(arms=2)
    prone = np.where(rng.random(len(who.rates)) < PRONE, 0.5, 0.0)
    for slot in visits(rng, HALVES, replace(who, rates=prone)):
        happened = slot.events * ((slot.arms == 0) | (rng.random(len(slot.arms)) < 0.5))
        metric, sets = metric.observe(slot.seen(happened))
        pairs = pairs.update(sets)
        if one_is_called_better(pairs):
            return True
    return False


def robots_alarm(width: int) -> Run:
    """Return the same where robots that never fail make half of all requests."""

    def run(rng: np.random.Generator) -> bool:
        slots = visits(rng, HALVES, robots_and_people(rng), THIN)
        return by_first_events(slots, first_events(arms=2, width=width))

    return run


def active_alarm(rng: np.random.Generator) -> bool:
    """Say whether the same is alarmed if those alone are at risk who are active in the slot."""
    who, pairs = robots_and_people(rng), rates()
    arms, failed = who.arms(HALVES[0]), np.zeros(len(who.hashes), bool)
    for slot in visits(rng, HALVES, who, THIN):
        active = np.unique(slot.who[~failed[slot.who]])
        events = np.unique(slot.who[(slot.events > 0) & ~failed[slot.who]])
        failed[events] = True
        at_risk, had = (np.bincount(arms[each], minlength=2)[None] for each in (active, events))
        pairs = pairs.update_strata(at_risk, had)
        if one_is_called_better(pairs):
            return True
    return False


def requests_alarm(rng: np.random.Generator) -> bool:
    """Say whether a test of requests calls one arm of an A/A experiment better."""
    pairs = rates()
    for slot in visits(rng, HALVES, users(rng)):
        pairs = pairs.update_strata(slot.by_arm(None, 2), slot.by_arm(slot.events, 2))
        if one_is_called_better(pairs):
            return True
    return False


def ramp_alarm(*, told: bool) -> Run:
    """Return a run under a ramp that moves units, which the test is told of or has to notice."""

    def run(rng: np.random.Generator) -> bool:
        pairs, metric, epoch = rates(), first_events(arms=2), 0
        for slot in visits(rng, RAMP, users(rng)):
            if slot.epoch != epoch:
                epoch = slot.epoch
                if told:
                    table = metric.table.exclude(moved_into(epoch))
                    metric = replace(metric, table=table)
            metric, sets = metric.observe(slot.seen())
            pairs = pairs.update(sets)
            if one_is_called_better(pairs):
                return True
        return False

    return run


def moved_into(epoch: int) -> Callable[[npt.NDArray[np.uint64]], npt.NDArray[np.bool_]]:
    """Return what says which units the ramp moved at the start of an epoch."""

    def moves(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        where = places(hashes)
        moved: npt.NDArray[np.bool_] = arms_at(where, RAMP[epoch]) != arms_at(
            where, RAMP[epoch - 1]
        )
        return moved

    return moves


def winner_alarm(arms: int) -> Run:
    """Return a run that says whether an A/A experiment has a winner."""
    shares = (1 / arms,) * arms

    def run(rng: np.random.Generator) -> bool:
        metric, pairs, ratio = first_events(arms=arms), rates(arms), sample_ratio(arms=arms)
        for slot in visits(rng, (shares,), users(rng)):
            metric, sets = metric.observe(slot.seen())
            pairs = pairs.update(sets)
            ratio = ratio.update(exposures(sets.exposures, shares))
            if best_arm(pairs, ratio, StopRule(alpha=ALPHA)).winner:
                return True
        return False

    return run


def either_way(bar: float) -> Run:
    """Return a run that says whether either of two equal arms ever beats the other's evidence.

    Units are independent, at a rate that is high enough for evidence to come close to its bound.
    """

    def run(rng: np.random.Generator) -> bool:
        units = rng.binomial(2000, 0.5, SLOTS * 4)
        both = np.stack(
            [2000 - units, rng.binomial(2000 - units, RARE), units, rng.binomial(units, RARE)], -1
        )
        test = RateRatio.above(1.0)
        swapped = both[:, [2, 3, 0, 1]]
        top = max(float(test.path(each).max()) for each in (both, swapped))
        return top >= math.log(bar)

    return run


def exposures(counts: npt.NDArray[np.int64], shares: tuple[float, ...]) -> Exposures:
    """Return exposures of counts."""
    return Exposures(counts=tuple(counts.tolist()), shares=shares)


def slots_to_winner(rng: np.random.Generator) -> float | None:
    """Return slots until the second of two arms wins, in which half of the events do not happen."""
    metric, pairs, ratio = first_events(arms=2), rates(), sample_ratio(arms=2)
    for slot in visits(rng, HALVES, users(rng)):
        happened = slot.events * ((slot.arms == 0) | (rng.random(len(slot.arms)) < 0.5))
        metric, sets = metric.observe(slot.seen(happened))
        pairs = pairs.update(sets)
        ratio = ratio.update(exposures(sets.exposures, HALVES[0]))
        if best_arm(pairs, ratio, StopRule(alpha=ALPHA)).winner == "b":
            return slot.number + 1
    return None


def ratio_alarm(*, of_requests: bool) -> Run:
    """Return a run of the sample-ratio test, where nothing is wrong, under a ramp."""

    def run(rng: np.random.Generator) -> bool:
        test, who = sample_ratio(arms=2), users(rng)
        seen, by_epoch = np.zeros(len(who.hashes), bool), [who.arms(shares) for shares in RAMP]
        for slot in visits(rng, RAMP, who):
            new = np.unique(slot.who[~seen[slot.who]])
            seen[new] = True
            arms = slot.arms if of_requests else by_epoch[slot.epoch][new]
            test = test.update(exposures(np.bincount(arms, minlength=2), RAMP[slot.epoch]))
            if test.verdict(ALPHA).rejected:
                return True
        return False

    return run


def units_to_mismatch(lost: float) -> Callable[[np.random.Generator], float | None]:
    """Return a run that says how many units show that the second arm loses some of its own."""

    def run(rng: np.random.Generator) -> float | None:
        test: SampleRatio = sample_ratio(arms=2)
        for _ in range(1000):
            counts = rng.multinomial(200, (0.5, 0.5))
            test = test.update(
                exposures(np.array([counts[0], rng.binomial(counts[1], 1 - lost)]), (0.5, 0.5))
            )
            if test.verdict(0.01).rejected:
                return float(test.counts.sum())
        return None

    return run


def values_of(
    slot: Slot, likings: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return what each request is worth: its user's liking, and noise."""
    return likings[slot.who] * rng.lognormal(0.0, 0.5, len(slot.who))


def means_alarm(*, of_requests: bool) -> Run:
    """Return a run of an A/A experiment on a mean: of users over a window, or of requests."""

    def run(rng: np.random.Generator) -> bool:
        plan = MeanPlan.of(rng.lognormal(0.0, 0.7, 2000), direction="higher")
        pairs, who = pairwise_means(NAMES[:2], plan), users(rng)
        likings = rng.lognormal(0.0, 0.5, len(who.hashes))
        metric = window_means(arms=2, window=15, width=5)
        for slot in visits(rng, HALVES, who):
            values = values_of(slot, likings, rng)
            if of_requests:
                pairs = pairs.update_strata(tuple(values[slot.arms == arm] for arm in (0, 1)))
            else:
                metric, closed = metric.observe(slot.seen(values))
                pairs = pairs.update(closed)
            if one_is_called_better(pairs):
                return True
        return False

    return run


def ratio_of_many(rng: np.random.Generator) -> bool:
    """Say whether a sample-ratio test alarms on units that come as stated, under a ramp."""
    test = sample_ratio(arms=3)
    for epoch in range(3):
        shares = (0.9 - 0.3 * epoch, 0.1, 0.3 * epoch)
        for _ in range(20):
            test = test.update(exposures(rng.multinomial(1000, shares), shares))
            if test.verdict(ALPHA).rejected:
                return True
    return False


def _claim(
    what: str, run: Callable[[np.random.Generator], Outcome], kind: Kind = "rate", runs: int = 250
) -> Claim:
    units = {"shown_delay": "", "rate": "of runs", "shown": "of runs"}
    return Claim(
        topic="experiment",
        what=what,
        stated=ALPHA if kind == "rate" else None,
        unit=units[kind],
        simulate=run,
        runs=runs,
        short_runs=1,
        kind=kind,
    )


CLAIMS = (
    _claim("A/A, first events", first_events_alarm()),
    _claim("A/A, first events, one cohort", first_events_alarm(width=SLOTS)),
    _claim("A/A, first events, sampled from 1,000 users an arm", first_events_alarm(capacity=1000)),
    _claim("A/A, requests", requests_alarm, "shown", 400),
    _claim("A/A with robots, first events", robots_alarm(1)),
    _claim("A/A with robots, first events, one cohort", robots_alarm(SLOTS)),
    _claim("A/A with robots, at risk only while active", active_alarm, "shown"),
    _claim("A/A, ramp, moved users excluded", ramp_alarm(told=True), runs=500),
    _claim("A/A, ramp, moved users left to be noticed", ramp_alarm(told=False), "shown", 100),
    _claim("the worse arm called better, one user in ten can fail", worse_arm_alarm, runs=200),
    _claim("A/A, means of users", means_alarm(of_requests=False)),
    _claim("A/A, means, requests", means_alarm(of_requests=True), "shown"),
    _claim("A/A, a winner of four", winner_alarm(4)),
    _claim("A/A, either of two, bar 2/alpha", either_way(2 / ALPHA), runs=1000),
    _claim("A/A, either of two, bar 1/alpha", either_way(1 / ALPHA), "shown", 1000),
    _claim("half the events, slots of 900 requests to a winner", slots_to_winner, "shown_delay"),
    _claim("sample ratio, users", ratio_alarm(of_requests=False)),
    _claim("sample ratio, units, ramp of three arms", ratio_of_many, runs=2000),
    _claim("sample ratio, requests", ratio_alarm(of_requests=True), "shown"),
    _claim(
        "sample ratio, units until 10 % of an arm lost are missed",
        units_to_mismatch(0.1),
        "shown_delay",
    ),
    _claim(
        "sample ratio, units until 2 % of an arm lost are missed",
        units_to_mismatch(0.02),
        "shown_delay",
        100,
    ),
)

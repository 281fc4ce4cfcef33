"""Evidence has an expectation of at most 1 under its null: all outcomes counted, none simulated.

Each test enumerates every outcome of a few units that differ, at the edge of the null hypothesis,
and adds up evidence by probability. It fails for an increment that promises more than it may.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest

from driftline_stats.certificates import Certificate
from driftline_stats.classes import ClassBatch, ClassMix
from driftline_stats.drift.detector import DetectorPlan
from driftline_stats.drift.reference import Reference, ReferenceChannel, unknown_inflation
from driftline_stats.drift.tilts import Layout, law
from driftline_stats.experiment.first_events import first_events
from driftline_stats.experiment.mismatch import Exposures, sample_ratio
from driftline_stats.experiment.pairwise import pairwise_rates
from driftline_stats.experiment.units import sightings
from driftline_stats.guard import RateLevel
from driftline_stats.means import MeanBatch, MeanPlan, MeanShift
from driftline_stats.rates import RateBatch, RateRatio
from driftline_stats.risk.arms import ArmDependence, LabelLook, LabelSlot
from driftline_stats.risk.detector import ErrorWindow, RiskDetector
from driftline_stats.risk.margin import BoundedMargin, PairedMargin
from driftline_stats.risk.paired import PairedRisk
from driftline_stats.risk.pairs import Pairs

Floats = npt.NDArray[np.float64]
ONE = 1 + 1e-9
SEEDS = range(4)


def outcomes(chances: Sequence[float]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield each outcome of independent units, with its probability."""
    for events in itertools.product((0, 1), repeat=len(chances)):
        yield math.prod(p if x else 1 - p for p, x in zip(chances, events, strict=True)), events


def chances_around(rng: np.random.Generator, mean: float, units: int) -> list[float]:
    """Return probabilities of units that differ, with this mean."""
    spread = min(mean, 1 - mean)
    off = rng.uniform(-1, 1, units)
    off -= off.mean()
    chances = mean + spread * off / max(abs(off).max(), 1e-9)
    return [float(each) for each in chances]


def over_slots(
    stable: Sequence[float], canary: Sequence[float]
) -> Iterator[tuple[float, RateBatch]]:
    for probability, events in outcomes([*stable, *canary]):
        yield (
            probability,
            RateBatch(
                stable_units=len(stable),
                stable_events=sum(events[: len(stable)]),
                canary_units=len(canary),
                canary_events=sum(events[len(stable) :]),
            ),
        )


def expected(
    logs: Callable[[RateBatch], float | tuple[float, ...]],
    stable: Sequence[float],
    canary: Sequence[float],
) -> float:
    """Return the largest expectation of what these are logarithms of."""
    slots = over_slots(stable, canary)
    terms = [probability * np.exp(logs(slot)) for probability, slot in slots]
    return float(np.max(np.sum(terms, axis=0)))


def logs_after(test: RateRatio | RateLevel, slot: RateBatch) -> tuple[float, ...]:
    return test.update(slot).logs


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.5])
def test_rates_of_units_that_differ(ratio: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = float(rng.uniform(0.02, 0.6))
    stable = chances_around(rng, base, int(rng.integers(1, 6)))
    canary = chances_around(rng, ratio * base, int(rng.integers(1, 5)))
    for test in (RateRatio.above(ratio), RateRatio.below(ratio)):
        assert expected(partial(logs_after, test), stable, canary) <= ONE


@pytest.mark.parametrize("seed", SEEDS)
def test_a_certificate_of_what_is_as_bad_as_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    test = Certificate.start(ratio=1.5, floor=0.1)
    base = float(rng.uniform(0.1 / 1.5, 0.6))
    stable, canary = chances_around(rng, base, 4), chances_around(rng, 1.5 * base, 4)
    assert expected(lambda slot: test.update(slot).log_evidence, stable, canary) <= ONE


@pytest.mark.parametrize("seed", SEEDS)
def test_a_level_of_units_that_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = float(rng.uniform(0.05, 0.9))
    canary = chances_around(rng, level, int(rng.integers(1, 8)))
    for test in (RateLevel.above(level), RateLevel.below(level)):
        assert expected(partial(logs_after, test), [], canary) <= ONE


def deals(units: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield all ways to deal units to two arms, neither of which is empty; sizes are given."""
    for size in range(1, units):
        for canary in itertools.combinations(range(units), size):
            yield [at for at in range(units) if at not in canary], list(canary)


def mean_by_size(evidence: Callable[[list[int], list[int]], float], units: int) -> list[float]:
    """Return the mean evidence over all deals of each size: chance deals, outcomes are fixed."""
    found: dict[int, list[float]] = {}
    for stable, canary in deals(units):
        found.setdefault(len(canary), []).append(math.exp(evidence(stable, canary)))
    return [float(np.mean(each)) for each in found.values()]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mean_of_outcomes_that_chance_deals_to_the_arms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(0, 1.5, 7)
    for direction in ("higher", "lower"):
        plan = MeanPlan.of(rng.lognormal(0, 1.5, 50), direction=direction)

        def evidence(stable: list[int], canary: list[int], plan: MeanPlan = plan) -> float:
            batch = MeanBatch.of(values[stable], values[canary], plan)
            return MeanShift(plan=plan).update(batch).log_evidence_tilting

        assert max(mean_by_size(evidence, 7)) <= ONE


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_that_chance_deals_to_the_arms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, 7)

    def counts(which: list[int]) -> tuple[int, ...]:
        return tuple(np.bincount(classes[which], minlength=3).tolist())

    def evidence(stable: list[int], canary: list[int]) -> float:
        batch = ClassBatch(stable=counts(stable), canary=counts(canary))
        return ClassMix.start(classes=3).update(batch).log_evidence

    assert max(mean_by_size(evidence, 7)) <= ONE


@pytest.mark.parametrize("seed", SEEDS)
def test_first_events_of_users_whom_chance_deals_to_the_arms(seed: int) -> None:
    """Each user would fail in the same slot in either arm, or never, and is active as he likes."""
    rng = np.random.default_rng(seed)
    users = 6
    fails_in = rng.integers(0, 4, users)  # of slots 0, 1 and 2; 3 is never
    active = rng.random((3, users)) < 0.5
    active[0] = True
    total = np.zeros(3)
    for arms in itertools.product((0, 1), repeat=users):
        metric = first_events(arms=2)
        pairs = pairwise_rates(("a", "b"), higher_is_better=False)
        for slot in range(3):
            seen = np.flatnonzero(active[slot] | (fails_in == slot))
            batch = sightings(
                slot,
                units=(seen + 1).tolist(),
                arms=[arms[each] for each in seen],
                values=(fails_in[seen] == slot).astype(float),
            )
            metric, sets = metric.observe(batch)
            pairs = pairs.update(sets)
            total[slot] += math.exp(pairs.log_evidence_of("a", "b"))
    assert (total / 2**users <= ONE).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_two_models_on_the_same_rows(seed: int) -> None:
    """Rows are gains, losses and ties with chances of their own, at the edge of the null."""
    rng = np.random.default_rng(seed)
    for delta in (0.0, 0.1, -0.2):
        for test in (
            PairedMargin.superiority(delta) if delta >= 0 else PairedMargin.non_inferiority(-delta),
            *((PairedRisk(),) if delta == 0 else ()),
        ):
            laws = [gain_loss_tie(rng, delta) for _ in range(4)]
            mean = 0.0
            for rows in itertools.product((0, 1, 2), repeat=4):
                chance = math.prod(each[row] for each, row in zip(laws, rows, strict=True))
                counts = np.bincount(rows, minlength=3).tolist()
                batch = Pairs(better=counts[0], worse=counts[1], ties=counts[2])
                mean += chance * math.exp(test.update(batch).log_evidence)
            assert mean <= ONE


def gain_loss_tie(rng: np.random.Generator, delta: float) -> tuple[float, float, float]:
    gain = float(rng.uniform(max(delta, 0), (1 + delta) / 2))
    return gain, gain - delta, 1 - 2 * gain + delta


def test_bounded_losses_at_the_margin() -> None:
    test, mean = BoundedMargin.start(0.1), 0.0
    rows = [(0.9, 0.1, 8 / 15), (0.0, 0.7, 7 / 15)]  # stable's loss, the canary's, probability
    assert math.isclose(sum(p * (s - c) for s, c, p in rows), 0.1)
    for drawn in itertools.product(rows, repeat=4):
        batch = test.batch(stable=[s for s, _, _ in drawn], canary=[c for _, c, _ in drawn])
        mean += math.prod(p for _, _, p in drawn) * math.exp(test.update(batch).log_evidence)
    assert mean <= ONE


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_that_come_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hazard = float(rng.uniform(0.05, 0.95))
    mean = 0.0
    for probability, slot in over_slots([hazard] * 4, [hazard] * 3):
        look = LabelSlot(
            stable_waiting=4,
            stable_labels=slot.stable_events,
            canary_waiting=3,
            canary_labels=slot.canary_events,
        )
        test = ArmDependence.start().update(LabelLook(slots={"": look}))
        mean += probability * math.exp(test.log_evidence)
    assert mean <= ONE


def multinomial(law_: Sequence[float], rows: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    for drawn in itertools.product(range(len(law_)), repeat=rows):
        counts = np.bincount(drawn, minlength=len(law_)).tolist()
        yield math.prod(law_[bin_] for bin_ in drawn), tuple(counts)


def test_units_that_are_dealt_as_planned() -> None:
    shares = (0.2, 0.3, 0.5)
    mean = math.fsum(
        probability
        * math.exp(
            sample_ratio(arms=3).update(Exposures(counts=counts, shares=shares)).log_evidence
        )
        for probability, counts in multinomial(shares, 6)
    )
    assert math.isclose(mean, 1)


def test_a_risk_at_its_reference_uses_up_its_share_of_the_budget() -> None:
    """E[M] after a window is at most M before and the window's share of the budget."""
    start = RiskDetector.start({"a": 0.3}, budget=100)
    for before in (start, start.update(ErrorWindow(rows={"a": 5}, errors={"a": 3}))):
        so_far = math.exp(before.log_evidence)
        mean = 0.0
        for probability, events in outcomes([0.3] * 6):
            window = ErrorWindow(rows={"a": 6}, errors={"a": sum(events)})
            mean += probability * math.exp(before.update(window).log_evidence)
        assert mean <= (so_far + 6 / 100) * ONE


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tolerance", [0.0, 0.1, 0.3])
def test_a_row_of_the_law_that_is_worst_for_a_component(tolerance: float, seed: int) -> None:
    """The law within the tolerance of the reference that makes the component's mean largest."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(50, 400, 7)
    channel = ReferenceChannel(
        name="x",
        role="feature",
        layout=Layout(ordered=(0, 1, 2, 3), levels=(4, 5), missing=(6,)),
        counts=counts[None, :],
        inflation=unknown_inflation(),
    )
    reference = Reference(channels=(channel,))
    plan = DetectorPlan(reference=reference, tolerance=tolerance, budget=1.0, z=0.0, clear_after=1)
    mixture, q = plan.mixture, law(counts)
    no_inflation = np.ones(len(mixture.scores.names))
    constants = mixture.log_constants(tolerance, 0.0, no_inflation)
    ratios = np.exp(mixture.log_ratios(np.eye(q.size, dtype=int), constants, no_inflation)).T
    means = [towards(q, ratio, tolerance) @ ratio for ratio in ratios]
    assert max(means) <= ONE
    assert max(means) >= 1 - 1e-9  # the bound is reached: nothing is given away


def towards(q: Floats, ratio: Floats, tolerance: float) -> Floats:
    """Return the law at a chi-square distance from q, nearer only where it would be none."""
    centred = ratio - q @ ratio
    spread = math.sqrt(float(q @ centred**2))
    step = min(tolerance, spread / float(-centred.min()))
    live: Floats = q * (1 + step * centred / spread)
    return live

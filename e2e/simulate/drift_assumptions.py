"""What drift detection assumes, broken: how far the distance between false alarms is then.

Each scene comes as it must not be done, shown without a verdict, and as the library asks for it.
"""

from dataclasses import replace
from functools import cache, partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.drift.build import build
from driftline_stats.drift.detector import DetectorPlan, DriftDetector
from driftline_stats.drift.inflation import LIVE_ROWS, InflationMeter
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Counts, Profile
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.drift.watched import reference_of, window_of
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.drift import LONGEST, distance
from e2e.simulate.drift_scenes import Draw, Numbers, Watch, table

TOPIC: Final = "assumptions of drift"
FEATURES: Final = 8
NOMINAL: Final = 20_000.0
RUNS: Final = 100
HOURS: Final = 24
ROWS_PER_HOUR: Final = 1_000
NIGHT: Final = 0.5
"""By how many standard deviations the mean of a feature swings over the day."""


def dependent(rng: np.random.Generator, rows: int, *, phi: float) -> Rows:
    """Return rows each of which depends on the one before: AR(1), standard normal."""
    return table(_autoregressive(rng.normal(size=(rows, FEATURES)), phi))


def _autoregressive(noise: Numbers, phi: float) -> Numbers:
    series = np.empty_like(noise)
    series[0] = noise[0]
    scaled = noise * np.sqrt(1 - phi**2)
    for at in range(1, len(noise)):
        series[at] = phi * series[at - 1] + scaled[at]
    return series


def shuffled(rng: np.random.Generator, rows: int, *, draw: Draw) -> Rows:
    """Return the same rows in an order that says nothing."""
    drawn = draw(rng, rows)
    return drawn[rng.permutation(rows)]


def independent(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows that are as assumed."""
    return table(rng.normal(size=(rows, FEATURES)))


def lognormal(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows whose logarithms are normal with a standard deviation of 2."""
    return table(np.exp(2 * rng.normal(size=(rows, FEATURES))))


def pareto(rng: np.random.Generator, rows: int) -> Rows:
    """Return rows without a variance: the tail of a Pareto law with exponent 1.1."""
    return table(rng.pareto(1.1, size=(rows, FEATURES)))


def unaware(rng: np.random.Generator, *, watch: Watch) -> Outcome:
    """Return the rows to the first false alarm if no inflation is allowed for."""
    detector, kernel = watch.start(rng)
    blind = replace(InflationMeter.start(detector.deff.size), rows=LIVE_ROWS)
    detector = replace(detector, meter=blind)
    return _rows_to_alarm(detector, kernel, watch, rng)


def _rows_to_alarm(
    detector: DriftDetector, kernel: Kernel, watch: Watch, rng: np.random.Generator
) -> Outcome:
    most = LONGEST * watch.budget
    for rows in watch.windows(rng, most):
        detector = detector.update(window_of(kernel.count(rows)))
        if detector.alarmed:
            return float(detector.rows)
    return most


def growing(rng: np.random.Generator, *, watch: Watch) -> Outcome:
    """Return the rows to the first false alarm while traffic grows from 1 row a look to 1,000."""
    detector, kernel = watch.start(rng)
    size = 1.0
    while detector.rows < LONGEST * watch.budget:
        detector = detector.update(window_of(kernel.count(watch.live(rng, int(size)))))
        if detector.alarmed:
            return float(detector.rows)
        size = min(size * 1.05, 1_000.0)
    return LONGEST * watch.budget


def idle(rng: np.random.Generator, *, watch: Watch, looks: int) -> Outcome:
    """Return whether a model alarms that gets 64 rows, and then none for so many looks."""
    detector, kernel = watch.start(rng)
    detector = detector.update(window_of(kernel.count(watch.live(rng, 64))))
    nothing = window_of(Counts.none(kernel.plan))
    for _ in range(looks):
        detector = detector.update(nothing)
    return detector.alarmed


def of_the_hour(rng: np.random.Generator, hours: npt.NDArray[np.int64]) -> Rows:
    """Return a row for each of these hours; a feature's mean follows the day."""
    x = rng.normal(size=(len(hours), FEATURES))
    x[:, 0] += NIGHT * np.sin(2 * np.pi * hours / HOURS)
    return table(x)


@cache
def _kernel_of_a_day() -> Kernel:
    rng = np.random.default_rng(0)
    drawn = of_the_hour(rng, np.repeat(np.arange(HOURS), ROWS_PER_HOUR))
    plan = build([Feature(name=f"x{at}") for at in range(FEATURES)], drawn).plan
    return Kernel(replace(plan, pairs=(), distance=None))


def seasonal(rng: np.random.Generator, *, stratified: bool) -> Outcome:
    """Return the rows to the first false alarm when days go on as the reference's did."""
    kernel = _kernel_of_a_day()
    by_hour = {
        f"hour {hour}": kernel.count(of_the_hour(rng, np.full(ROWS_PER_HOUR, hour)))
        for hour in range(HOURS)
    }
    whole = sum(by_hour.values(), start=Counts.none(kernel.plan))
    profile = Profile(plan=kernel.plan, reference=whole)
    reference = reference_of(profile, by_hour if stratified else None)
    reference = replace(reference, ordered=True)
    detector = DriftDetector.start(DetectorPlan.make(reference, budget=NOMINAL, tolerance=0.0))
    look = 0
    while detector.rows < LONGEST * NOMINAL:
        hour = look // 4 % HOURS
        counts = kernel.count(of_the_hour(rng, np.full(250, hour)))
        detector = detector.update(window_of(counts, hour if stratified else 0))
        if detector.alarmed:
            return float(detector.rows)
        look += 1
    return LONGEST * NOMINAL


def _watch(draw: Draw, *, n_ref: int = 10_000, in_order: bool = False) -> Watch:
    return Watch(
        reference=draw,
        live=draw,
        n_ref=n_ref,
        budget=NOMINAL,
        look=256,
        in_order=in_order,
        pairs=False,
    )


_INDEPENDENT: Final = _watch(independent)


def _claim(what: str, simulate: partial[Outcome], *, holds: bool, note: str = "") -> Claim:
    return Claim(
        topic=TOPIC,
        what=f"between false alarms, {what}",
        stated=NOMINAL,
        unit="rows",
        simulate=simulate,
        runs=RUNS,
        kind="at_least" if holds else "shown",
        note=note,
    )


def _of_dependence(phi: float) -> tuple[Claim, ...]:
    drawn = partial(dependent, phi=phi)
    ordered = _watch(drawn, in_order=True)
    mixed = replace(
        ordered, reference=partial(shuffled, draw=drawn), in_order=False, independent=False
    )
    unguarded = replace(mixed, independent=True)
    name = f"AR(1) {phi:g}"
    return (
        _claim(
            f"{name}, reference in the order of time",
            partial(distance, watch=ordered),
            holds=True,
        ),
        _claim(
            f"{name}, shuffled reference: inflation from live rows alone",
            partial(distance, watch=mixed),
            holds=False,
        ),
        _claim(
            f"{name}, inflation not allowed for",
            partial(unaware, watch=unguarded),
            holds=False,
        ),
    )


CLAIMS: Final = (
    _claim("independent rows", partial(distance, watch=_INDEPENDENT), holds=True),
    *_of_dependence(0.3),
    *_of_dependence(0.8),
    _claim("lognormal", partial(distance, watch=_watch(lognormal)), holds=True),
    _claim("Pareto 1.1", partial(distance, watch=_watch(pareto)), holds=True),
    _claim(
        "reference of 300 rows",
        partial(distance, watch=_watch(independent, n_ref=300)),
        holds=True,
    ),
    _claim(
        "reference of 300 rows, margin z = 1",
        partial(distance, watch=replace(_watch(independent, n_ref=300), z=1.0)),
        holds=False,
    ),
    _claim(
        "reference of 10,000 rows, no margin",
        partial(distance, watch=replace(_INDEPENDENT, z=0.0)),
        holds=False,
    ),
    _claim("traffic grows a thousandfold", partial(growing, watch=_INDEPENDENT), holds=True),
    _claim("seasons, reference by hour", partial(seasonal, stratified=True), holds=True),
    _claim("seasons, one reference", partial(seasonal, stratified=False), holds=False),
    Claim(
        topic=TOPIC,
        what="an idle model alarms within a day of looks",
        stated=0.05,
        unit="of runs",
        simulate=partial(idle, watch=_INDEPENDENT, looks=17_280),
        runs=120,
        short_runs=1,
        note="64 rows, then none",
    ),
)

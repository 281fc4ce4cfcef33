"""The watch of a revision as a whole: how rarely it is wrong, and how soon it is right.

Its parts have claims of their own. Here they run together as an operator runs them: looks of a
minute, faults and labels beside the rows, and one budget that all of them share.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from driftline_stats.drift.build import Counting
from driftline_stats.drift.profile import Profile
from driftline_stats.watch.findings import Reason
from driftline_stats.watch.learning import Learning, plan_learned
from driftline_stats.watch.look import LabelBatch, Look
from driftline_stats.watch.plan import YEAR_SECONDS, WatchPlan
from driftline_stats.watch.watch import Watch
from e2e.simulate.claims import Claim, Outcome
from e2e.simulate.drift import shifted
from e2e.simulate.drift_scenes import Draw, bins_of, plain

TOPIC: Final = "watch"
MINUTE: Final = 60.0
ROWS: Final = 100
N_REF: Final = 10_000
FIRST: Final = 2_000
ERROR: Final = 0.10
FAULTY: Final = 0.004
#: Looks between two false alarms where many are bought, so that a run would see them.
NOMINAL: Final = 200.0
LONGEST: Final = 3.0
ALPHA: Final = 0.05
#: A run in which something is to be found ends after so many looks.
NEVER: Final = 300
_FALSE: Final = {
    Reason.DATA_INTEGRITY,
    Reason.COVARIATE_DRIFT,
    Reason.PREDICTION_DRIFT,
    Reason.CONCEPT_DRIFT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is watched, and how.

    Attributes:
        tolerance: of the watch.
        per_year: false alarms that are acceptable.
        in_order: whether training data came in the order of time.
        learned: whether the baseline is live rows.
        error: share of wrong labels; half of the rows get one in the same minute.
    """

    tolerance: float = 0.1
    per_year: float = 1.0
    in_order: bool = True
    learned: bool = False
    error: float = ERROR

    def start(self, rng: np.random.Generator) -> Watch:
        """Return the watch against a reference that is drawn."""
        settings = WatchPlan(
            profile="",
            tolerance=self.tolerance,
            false_alarms_per_year=self.per_year,
            alpha=ALPHA,
            first=FIRST,
        )
        if self.learned:
            return Watch.start(plan_learned(_learned(rng), settings))
        kernel = bins_of(plain, N_REF, pairs=True)
        counting = Counting(plan=kernel.plan, in_order=self.in_order)
        counting.add(plain(rng, N_REF))
        profile = WatchPlan.packed(counting.profile())
        return Watch.start(replace(settings, profile=profile))

    def looks(self, rng: np.random.Generator, draw: Draw, number: int) -> Iterator[Look]:
        """Draw looks, with labels and a few faults."""
        kernel = bins_of(plain, N_REF, pairs=True)
        for _ in range(number):
            wrong = int(rng.binomial(ROWS // 2, self.error))
            labels = LabelBatch(
                rows=ROWS, labelled=ROWS // 2, losses=((0, ROWS // 2 - wrong), (100, wrong))
            )
            yield Look(
                counts=kernel.count(draw(rng, ROWS)),
                seconds=MINUTE,
                seen=ROWS,
                labels=(labels,),
                faults={"x0": {"wrong_type": int(rng.binomial(ROWS, FAULTY))}},
            )


def _learned(rng: np.random.Generator) -> Profile:
    """Return a baseline of live rows."""
    kernel = bins_of(plain, N_REF, pairs=True)
    state = Learning.start(kernel.plan, N_REF)
    while (profile := state.profile) is None:
        state = state.update(kernel.count(plain(rng, 500)))
    return profile


def between(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return the looks until anything is said falsely, cut off where the run ends.

    Skew has an error rate of its own, and is left out.
    """
    most = int(NOMINAL * LONGEST)
    watch = scene.start(rng)
    for at, look in enumerate(scene.looks(rng, plain, most)):
        watch = watch.update(look)
        if watch.findings().reason in _FALSE:
            return float(at + 1)
    return float(most)


def false_skew(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether the first rows are said to differ although they do not."""
    watch = scene.start(rng)
    for look in scene.looks(rng, plain, FIRST // ROWS + 25):
        watch = watch.update(look)
        if watch.state.drifting.first.rejected:
            return True
    return False


def delay(rng: np.random.Generator, *, scene: Scene, live: Draw) -> Outcome:
    """Return the rows from a change, after the first rows, until it is reported."""
    watch = scene.start(rng)
    for look in scene.looks(rng, plain, FIRST // ROWS + 25):
        watch = watch.update(look)
    for at, look in enumerate(scene.looks(rng, live, NEVER)):
        watch = watch.update(look)
        if watch.state.drifting.condition is not None:
            return float((at + 1) * ROWS)
    return None


def rightly_named(rng: np.random.Generator, *, scene: Scene, live: Draw, name: str) -> Outcome:
    """Return whether the alarm names first what moved; None where there is none."""
    watch = scene.start(rng)
    for draw, number in ((plain, FIRST // ROWS + 25), (live, NEVER)):
        for look in scene.looks(rng, draw, number):
            watch = watch.update(look)
            if condition := watch.state.drifting.condition:
                return draw is live and condition.moves[0].name == name
    return None


def label_delay(rng: np.random.Generator, *, scene: Scene, error: float) -> Outcome:
    """Return the labels from a rise of the error until it is reported."""
    watch = scene.start(rng)
    for look in scene.looks(rng, plain, 2 * FIRST // ROWS):
        watch = watch.update(look)
    worse = replace(scene, error=error)
    for at, look in enumerate(worse.looks(rng, plain, NEVER)):
        watch = watch.update(look)
        if watch.findings().reason is Reason.CONCEPT_DRIFT:
            return float((at + 1) * ROWS // 2)
    return None


def _between(what: str, scene: Scene, *, short_runs: int = 0) -> Claim:
    return Claim(
        topic=TOPIC,
        what=f"looks between false alarms of any kind, {what}",
        stated=NOMINAL,
        unit="looks",
        simulate=partial(between, scene=replace(scene, per_year=YEAR_SECONDS / MINUTE / NOMINAL)),
        runs=60,
        short_runs=short_runs,
        kind="at_least",
        note=f"runs end after {LONGEST:g} times nominal; with labels and faults",
    )


def _skew(what: str, scene: Scene, *, short_runs: int = 0) -> Claim:
    return Claim(
        topic=TOPIC,
        what=f"false skew of the first rows, {what}",
        stated=ALPHA,
        unit="of runs",
        simulate=partial(false_skew, scene=scene),
        runs=300,
        short_runs=short_runs,
    )


def _delay(what: str, live: Draw, stated: float, *, short_runs: int = 0) -> Claim:
    return Claim(
        topic=TOPIC,
        what=f"delay, {what}",
        stated=stated,
        unit="rows",
        simulate=partial(delay, scene=Scene(), live=live),
        runs=60,
        short_runs=short_runs,
        kind="drift_delay",
        look=ROWS,
        note="one false alarm a year at 100 rows a minute, tolerance 0.1",
    )


_HALF: Final = partial(shifted, by=0.5)

CLAIMS: Final = (
    _between("tolerance 0.1", Scene(), short_runs=1),
    _between("tolerance 0", Scene(tolerance=0.0)),
    _between("shuffled training data, tolerance 0", Scene(tolerance=0.0, in_order=False)),
    _between("learned baseline, tolerance 0", Scene(tolerance=0.0, learned=True)),
    _skew("tolerance 0", Scene(tolerance=0.0), short_runs=2),
    _skew("shuffled training data, tolerance 0", Scene(tolerance=0.0, in_order=False)),
    _delay("mean shift 0.5 sd", _HALF, 400.0, short_runs=2),
    _delay("mean shift 1 sd", partial(shifted, by=1.0), 100.0),
    Claim(
        topic=TOPIC,
        what="the feature that moved by 0.5 sd is named first",
        stated=0.95,
        unit="of alarms",
        simulate=partial(rightly_named, scene=Scene(), live=_HALF, name="x5"),
        runs=60,
        short_runs=2,
        kind="at_least",
    ),
    Claim(
        topic=TOPIC,
        what="labels until a rise of the error from 0.10 to 0.20 is reported",
        stated=None,
        unit="labels",
        simulate=partial(label_delay, scene=Scene(), error=0.20),
        runs=30,
        kind="shown_delay",
        note="reference of the first 2,000 labels; one false alarm a year",
    ),
)

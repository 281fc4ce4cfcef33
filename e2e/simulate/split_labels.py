"""Labels of split traffic: false alarms, delays, and labels whose coming depends on the arm."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.risk.arms import LabelLook, LabelSlot
from driftline_stats.risk.coverage import age_class
from driftline_stats.risk.split import SplitRisk
from e2e.simulate.claims import Claim, Outcome

TOPIC: Final = "labels of split traffic"
ALPHA: Final = 0.05
HOURS: Final = 48
SHARES: Final = np.repeat([0.05, 0.2, 0.5], HOURS // 3)

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """How labels of one outcome come in one arm: to which share, and how late on average."""

    coverage: float = 0.5
    hours: float = 6.0

    @property
    def by_age(self) -> Floats:
        """The probability of a label at each age in hours; what is left is never, or later."""
        edges = np.exp(-np.arange(HOURS + 1) / self.hours)
        return self.coverage * (edges[:-1] - edges[1:])


USUAL: Final = Labels()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One arm: its error rate as a multiple of the base, and how labels come."""

    ratio: float = 1.0
    wrong: Labels = USUAL
    right: Labels = USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A rollout of two days in which labels come late.

    Attributes:
        stable: what stable does.
        canary: what the canary does.
        base: stable's error rate.
        drifts: whether that moves between a half and twice as much, by the hour.
        by_cohort: whether looks are stratified, as they must be.
        guarded: whether a doubt about coverage holds a verdict back.
        hourly: predictions of both arms in an hour.
    """

    stable: Arm = Arm()
    canary: Arm = Arm()
    base: float = 0.05
    drifts: bool = False
    by_cohort: bool = True
    guarded: bool = True
    hourly: int = 2000


def arrivals(rng: np.random.Generator, arm: Arm, units: Counts, rates: Floats) -> Counts:
    """Return waiting, labels and errors by cohort and age; shape (cohorts, ages, 3)."""
    wrong = rng.binomial(units, np.minimum(1, rates * arm.ratio))
    came = [
        rng.multinomial(number, [*how.by_age, 1 - how.by_age.sum()])[:, :-1]
        for number, how in ((wrong, arm.wrong), (units - wrong, arm.right))
    ]
    labels = came[0] + came[1]
    waiting = units[:, None] - np.cumsum(labels, axis=1) + labels
    return np.stack([waiting, labels, came[0]], axis=-1)


def looks(rng: np.random.Generator, scene: Scene) -> list[LabelLook]:
    """Return what arrives in each hour."""
    canary = rng.binomial(scene.hourly, SHARES)
    rates = np.full(HOURS, scene.base)
    if scene.drifts:
        rates *= 2 ** np.sin(np.arange(HOURS) / 4 + rng.uniform(0, 2 * np.pi))
    in_stable = arrivals(rng, scene.stable, scene.hourly - canary, rates)
    in_canary = arrivals(rng, scene.canary, canary, rates)
    return [_look(in_stable, in_canary, hour, scene) for hour in range(HOURS)]


def _look(in_stable: Counts, in_canary: Counts, hour: int, scene: Scene) -> LabelLook:
    slots = {}
    for cohort in range(hour + 1):
        age = hour - cohort
        stable, canary = in_stable[cohort, age].tolist(), in_canary[cohort, age].tolist()
        slots[f"hour {cohort}"] = LabelSlot(
            age=age_class(3600.0 * age) if scene.by_cohort else 0,
            stable_waiting=stable[0],
            stable_labels=stable[1],
            stable_errors=stable[2],
            canary_waiting=canary[0],
            canary_labels=canary[1],
            canary_errors=canary[2],
        )
    if scene.by_cohort:
        return LabelLook(slots=slots)
    return LabelLook(slots={"all": sum(slots.values(), LabelSlot())})


def hours_to_verdict(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return the hour in which the canary is called worse, if ever."""
    test = SplitRisk.start()
    for hour, look in enumerate(looks(rng, scene)):
        test = test.update(look)
        verdict = test.verdict(ALPHA)
        if verdict.rejected or (verdict.held_back and not scene.guarded):
            return float(hour + 1)
    return None


def is_called_worse(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether the canary is ever called worse."""
    return hours_to_verdict(rng, scene=scene) is not None


ALIKE: Final = Scene()
OUTCOME: Final = Arm(wrong=Labels(coverage=0.9, hours=2.0), right=Labels(coverage=0.4, hours=12.0))
"""Errors are labelled more often and sooner, in either arm."""
BY_OUTCOME: Final = Scene(stable=OUTCOME, canary=OUTCOME, drifts=True)
MORE_ERRORS: Final = Scene(canary=Arm(wrong=Labels(coverage=0.9)))
FEWER_RIGHT: Final = Scene(canary=Arm(right=Labels(coverage=0.3)))
SOONER_ERRORS: Final = Scene(
    canary=Arm(wrong=Labels(hours=1.0)), stable=Arm(wrong=Labels(hours=24.0))
)
HIDDEN: Final = Scene(canary=Arm(wrong=Labels(coverage=0.9), right=Labels(coverage=0.5 - 0.4 / 19)))

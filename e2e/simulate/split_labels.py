"""Labels of split traffic: false alarms, delays, and labels whose coming depends on the arm."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline_stats.means import MeanBatch, MeanPlan
from driftline_stats.risk.arms import ArmDependence, LabelLook, LabelSlot
from driftline_stats.risk.coverage import age_class
from driftline_stats.risk.split import DOUBT, SplitRisk
from driftline_stats.risk.split_certificate import SplitCertificate
from driftline_stats.risk.split_loss import LossLook, LossSlot, SplitLoss
from e2e.simulate.claims import Claim, Outcome

TOPIC: Final = "labels of split traffic"
ALPHA: Final = 0.05
CERTIFIED: Final = 1.5
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
        guarded: whether anything about coverage holds a verdict back.
        doubt: standard errors of coverage that a verdict must survive.
        hourly: predictions of both arms in an hour.
    """

    stable: Arm = Arm()
    canary: Arm = Arm()
    base: float = 0.05
    drifts: bool = False
    by_cohort: bool = True
    guarded: bool = True
    doubt: float = DOUBT
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
    test = SplitRisk.start(doubt=scene.doubt)
    for hour, look in enumerate(looks(rng, scene)):
        test = test.update(look)
        verdict = test.verdict(ALPHA)
        if verdict.rejected or (verdict.held_back and not scene.guarded):
            return float(hour + 1)
    return None


def is_called_worse(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether the canary is ever called worse."""
    return hours_to_verdict(rng, scene=scene) is not None


def hours_to_certificate(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return the hour of the certificate that errors are not 1.5 times as many, if ever."""
    test = SplitCertificate.start(ratio=CERTIFIED, doubt=scene.doubt)
    for hour, look in enumerate(looks(rng, scene)):
        test = test.update(look)
        verdict = test.verdict(ALPHA)
        if verdict.rejected or (verdict.held_back and not scene.guarded):
            return float(hour + 1)
    return None


def is_certified(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether the canary is ever certified."""
    return hours_to_certificate(rng, scene=scene) is not None


def differs(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether labels are ever shown to come differently in the arms."""
    test = ArmDependence.start()
    for look in looks(rng, scene):
        test = test.update(look)
        if test.verdict(ALPHA).rejected:
            return True
    return False


def mean_is_called_worse(rng: np.random.Generator, *, scene: Scene) -> Outcome:
    """Return whether the canary's mean loss is ever called worse: large losses where wrong."""
    plan = MeanPlan.of(_losses(rng, 500, 9500), direction="higher")
    test = SplitLoss.start(plan, doubt=scene.doubt)
    for look in looks(rng, scene):
        test = test.update(_with_losses(rng, look, plan))
        verdict = test.verdict(ALPHA)
        if verdict.rejected or (verdict.held_back and not scene.guarded):
            return True
    return False


def _with_losses(rng: np.random.Generator, look: LabelLook, plan: MeanPlan) -> LossLook:
    slots = {}
    for cohort, slot in look.slots.items():
        stable = _losses(rng, slot.stable_errors, slot.stable_labels - slot.stable_errors)
        canary = _losses(rng, slot.canary_errors, slot.canary_labels - slot.canary_errors)
        slots[cohort] = LossSlot(arrivals=slot, losses=MeanBatch.of(stable, canary, plan))
    return LossLook(slots=slots)


def _losses(rng: np.random.Generator, wrong: int, right: int) -> Floats:
    return np.concatenate([rng.beta(6, 2, wrong), rng.beta(2, 12, right)])


ALIKE: Final = Scene()
OUTCOME: Final = Arm(wrong=Labels(coverage=0.9, hours=2.0), right=Labels(coverage=0.4, hours=12.0))
BY_OUTCOME: Final = Scene(stable=OUTCOME, canary=OUTCOME, drifts=True)
WORSE: Final = Scene(canary=Arm(ratio=2.0))
WORSE_BY_OUTCOME: Final = replace(BY_OUTCOME, canary=replace(OUTCOME, ratio=2.0))
LATE: Final = Arm(wrong=Labels(hours=12.0))
LATEST: Final = Arm(wrong=Labels(hours=24.0))

BY_ARM: Final = (
    (
        "the canary's errors labelled more often, .9 for .5",
        Scene(canary=Arm(wrong=Labels(coverage=0.9))),
    ),
    (
        "the canary's right rows labelled less often, .3 for .5",
        Scene(canary=Arm(right=Labels(coverage=0.3))),
    ),
    (
        "the canary's errors labelled after 3 h, stable's 12 h",
        Scene(stable=LATE, canary=Arm(wrong=Labels(hours=3.0))),
    ),
    (
        "the canary's errors labelled after 1 h, stable's 24 h",
        Scene(stable=LATEST, canary=Arm(wrong=Labels(hours=1.0))),
    ),
    (
        "the canary's right rows labelled after 24 h, else 6 h",
        Scene(canary=Arm(right=Labels(hours=24.0))),
    ),
)
HIDDEN: Final = Scene(
    canary=Arm(wrong=Labels(coverage=0.9), right=Labels(coverage=0.5 - 0.4 * 0.05 / 0.95))
)
"""Errors labelled more often in the canary, right rows less, so that coverage is the same."""


def _false(what: str, scene: Scene, note: str = "", runs: int = 400) -> Claim:
    return Claim(
        topic=TOPIC,
        what=f"false alarms, {what}",
        stated=ALPHA,
        unit="of runs",
        simulate=partial(is_called_worse, scene=scene),
        runs=runs,
        short_runs=4,
        note=note,
    )


def _shown(what: str, scene: Scene, note: str = "", runs: int = 100) -> Claim:
    return Claim(
        topic=TOPIC,
        what=what,
        stated=None,
        unit="of runs",
        simulate=partial(is_called_worse, scene=scene),
        runs=runs,
        kind="shown",
        note=note,
    )


def _delay(what: str, scene: Scene, note: str = "") -> Claim:
    return Claim(
        topic=TOPIC,
        what=f"delay, {what}",
        stated=None,
        unit="h",
        simulate=partial(hours_to_verdict, scene=scene),
        runs=200,
        kind="shown_delay",
        note=note,
    )


def _of_arms() -> tuple[Claim, ...]:
    alike = Claim(
        topic=TOPIC,
        what="coverage and delay shown to differ where they depend on the outcome only",
        stated=ALPHA,
        unit="of runs",
        simulate=partial(differs, scene=BY_OUTCOME),
        runs=300,
        short_runs=4,
        note="blocks every verdict",
    )
    blocked = (
        _false(f"blocked: {what}", scene, runs=1000 if "1 h" in what else 400)
        for what, scene in BY_ARM
    )
    plain = (
        _shown(f"the same unblocked: {what}", replace(scene, guarded=False), runs=100)
        for what, scene in BY_ARM
    )
    return (alike, *blocked, *plain)


def _of_means() -> tuple[Claim, ...]:
    scenes = (
        ("alike", replace(ALIKE, doubt=0.0)),
        ("labels come by outcome", BY_OUTCOME),
        BY_ARM[0],
    )
    return tuple(
        replace(
            _false(f"mean loss, {what}", scene, runs=150),
            simulate=partial(mean_is_called_worse, scene=scene),
        )
        for what, scene in scenes
    )


def _of_certificates() -> tuple[Claim, ...]:
    just = Scene(canary=Arm(ratio=CERTIFIED))
    fewer = Scene(canary=Arm(ratio=CERTIFIED, wrong=Labels(coverage=0.3)))
    false = "falsely certified, 1.5 times the errors"
    unblocked = _shown(f"{false}, .3 of the canary's labelled, .5 of stable's, unblocked", fewer)
    sound = (
        ("", replace(ALIKE, hourly=20_000), "20,000 predictions an hour"),
        (", only the coverage seen in doubt", replace(ALIKE, doubt=0.0), ""),
    )
    return (
        replace(_false("", just), what=false, simulate=partial(is_certified, scene=just)),
        replace(
            _false("", fewer),
            what=f"blocked: {false}, .3 of the canary's labelled, .5 of stable's",
            simulate=partial(is_certified, scene=fewer),
        ),
        replace(
            unblocked, simulate=partial(is_certified, scene=replace(fewer, guarded=False)), runs=100
        ),
        *(
            replace(
                _delay(f"certified at equal risk{what}", scene, note),
                simulate=partial(hours_to_certificate, scene=scene),
                runs=100,
            )
            for what, scene, note in sound
        ),
    )


CLAIMS: Final = (
    _false("quiet", replace(ALIKE, guarded=False), "nothing held back"),
    _false(
        "labels come by outcome, drifting base rate",
        replace(BY_OUTCOME, guarded=False),
        "nothing held back",
    ),
    _shown(
        "called worse, cohorts mixed",
        replace(BY_OUTCOME, by_cohort=False, guarded=False),
        "why looks are stratified",
    ),
    *_of_arms(),
    *_of_means(),
    *_of_certificates(),
    _shown(
        "called worse, coverage by arm and outcome that adds up to the same",
        HIDDEN,
        "no count of labels can show it",
    ),
    _delay("x2", WORSE, "5 % errors, half of them labelled, 6 h late; 2,000 predictions an hour"),
    _delay("x2, only the coverage seen in doubt", replace(WORSE, doubt=0.0)),
    _delay("x2, nothing in doubt", replace(WORSE, guarded=False)),
    _shown(
        "found at x2 where errors are labelled more often and sooner",
        WORSE_BY_OUTCOME,
        "held back: labels do come more often",
    ),
)

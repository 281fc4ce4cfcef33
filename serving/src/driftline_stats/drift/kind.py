"""What kind of change it is, and what it asks for.

- integrity: the data is faulty. A value is missing, out of range, infinite or of a new level where
  it was not before, or is in another unit.
- covariate: the inputs are others, and may well be right.
- prediction: the answers are others.
- concept: the same inputs have other outcomes. Only labels tell.

A change of the inputs alone never rolls back: it says nothing of harm. Labels do, a canary that
differs does, and so does a fault that came with the release.

What decides has the guarantee of the test it comes from: the detector with the tolerance to act,
the risk detector, the concurrent comparison; and the report's bar, where its rows were chosen
beforehand. Whether a change of the inputs is a fault is no test: the numbers below are rules
of thumb without an error rate, and so is the order of the rules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from driftline_stats.drift.channels import DISTANCE
from driftline_stats.drift.report import ChannelMove, DriftReport
from driftline_stats.drift.rows import PREDICTION

#: By so much the share of faulty rows must have grown, in all rows.
FAULTY_SHARE = 0.005
#: The same of quantities that are out of the reference's range, but not infinite.
OUT_OF_RANGE_SHARE = 0.05
#: With so many rows out of the reference's range, the unit or the encoding is another.
OTHER_UNIT = 0.5
#: Natural logarithm of the evidence that a fault's own directions must have: about 10,000 to 1.
FAULT_EVIDENCE = 9.2


class Kind(StrEnum):
    """What kind of change it is; see the module."""

    INTEGRITY = "Integrity"
    COVARIATE = "Covariate"
    PREDICTION = "Prediction"
    CONCEPT = "Concept"


class Action(StrEnum):
    """What is asked for."""

    NOTHING = "Nothing"
    WARN = "Warn"
    RETRAIN = "Retrain"
    ROLL_BACK = "RollBack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One finding, for people.

    Attributes:
        kind: of change.
        channel: that moved; empty for what labels tell.
        message: with the numbers.
    """

    kind: Kind
    channel: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that the judgement is made of.

    Attributes:
        report: on the rows since the change.
        material: whether the detector with the tolerance to act alarmed, not only that to warn.
        with_release: whether faults were there from the release's first rows on, and were not in
            the revision before.
        risk_rose: whether the risk detector alarmed, on labels of this revision.
        loss_rose: whether the loss that labels measure or calibrated probabilities estimate is
            above what is tolerated.
        canary_differs: whether a concurrent comparison says that this revision is the worse.
    """

    report: DriftReport
    material: bool = False
    with_release: bool = False
    risk_rose: bool = False
    loss_rose: bool = False
    canary_differs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What it is, and what it asks for.

    Attributes:
        action: asked for.
        changes: found, faults first.
        message: why, for people.
    """

    action: Action
    changes: tuple[Change, ...]
    message: str

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds that were found, faults first."""
        found = {each.kind for each in self.changes}
        return tuple(each for each in Kind if each in found)


def judge(observed: Observed) -> Judgement:
    """Say what kind of change it is and what it asks for; the first rule that speaks decides.

    However much the inputs moved, that alone is no reason to roll back:

    >>> from driftline_stats.drift.distances import Interval
    >>> age = ChannelMove(
    ...     name="age",
    ...     role="feature",
    ...     log_evidence=40.0,
    ...     moved=True,
    ...     by=(("location", "location", 40.0),),
    ...     psi=Interval(estimate=0.3, low=0.2, high=0.4),
    ...     wasserstein=None,
    ...     quantiles=(),
    ...     missing=(0.01, 0.01),
    ...     out_of_range=(0.0, 0.0),
    ... )
    >>> report = DriftReport(rows=5_000, channels=(age,), dependent=())
    >>> judge(Observed(report=report, material=True, with_release=True)).action.value
    'Warn'
    >>> judge(Observed(report=report, material=True, loss_rose=True)).action.value
    'Retrain'
    >>> harm = judge(Observed(report=report, risk_rose=True))
    >>> harm.action.value, [each.value for each in harm.kinds]
    ('RollBack', ['Covariate', 'Concept'])
    """
    return judged_by(observed, changes_of(observed))


def judged_by(observed: Observed, changes: tuple[Change, ...]) -> Judgement:
    """Say what changes ask for that were found before: its report may be empty by now.

    Args:
        observed: all but the changes.
        changes: faults first.
    """
    for rule in RULES:
        if said := rule(observed, changes):
            action, message = said
            return Judgement(action=action, changes=changes, message=message)
    return Judgement(action=Action.NOTHING, changes=changes, message="nothing has moved")


def changes_of(observed: Observed) -> tuple[Change, ...]:
    """Return what changed, faults first, then by evidence.

    Three points more of missing values are a fault; a tenth of a point, however well shown, is not:

    >>> from driftline_stats.drift.distances import Interval
    >>> def moved(missing: float) -> Observed:
    ...     age = ChannelMove(
    ...         name="age",
    ...         role="feature",
    ...         log_evidence=40.0,
    ...         moved=True,
    ...         by=(("missing", "missing", 40.0),),
    ...         psi=Interval(estimate=0.01, low=0.0, high=0.02),
    ...         wasserstein=None,
    ...         quantiles=(),
    ...         missing=(0.01, missing),
    ...         out_of_range=(0.0, 0.0),
    ...     )
    ...     return Observed(report=DriftReport(rows=10**6, channels=(age,), dependent=()))
    >>> [changes_of(moved(share))[0].kind.value for share in (0.04, 0.011)]
    ['Integrity', 'Covariate']
    """
    found = [_change(each) for each in observed.report.moved]
    if observed.risk_rose:
        found.append(Change(kind=Kind.CONCEPT, channel="", message="labels show more risk"))
    order = list(Kind)
    return tuple(sorted(found, key=lambda each: order.index(each.kind)))


def _change(move: ChannelMove) -> Change:
    if fault := _fault(move):
        return Change(kind=Kind.INTEGRITY, channel=move.name, message=fault)
    kind = Kind.PREDICTION if move.role == "prediction" else Kind.COVARIATE
    return Change(kind=kind, channel=move.name, message=str(move))


def _fault(move: ChannelMove) -> str:
    """Return what is faulty about a channel's values; empty if nothing is."""
    missing = move.missing
    if move.role == DISTANCE:
        return ""
    if move.role != PREDICTION and (said := _out_of_range(move)):
        return said
    if missing[1] - missing[0] >= FAULTY_SHARE and _is_shown(move, "missing"):
        return f"{move.name}: {missing[1]:.1%} missing, {missing[0]:.1%} before"
    return ""


def _out_of_range(move: ChannelMove) -> str:
    """Return how many values are none that occur; empty if they are few, or if all values moved.

    Where a mean moves, a tail leaves the range with it, and the oldest of more people is older than
    the oldest before. That is no fault: quantities out of range are one where they are many, and
    show better than any move. New levels and infinities are one sooner.
    """
    outside, infinite = move.out_of_range, move.infinite
    if outside[1] >= OTHER_UNIT > outside[0]:
        return f"{move.name}: {outside[1]:.1%} out of range: another unit or encoding?"
    if infinite[1] - infinite[0] >= FAULTY_SHARE and _is_shown(move, "range"):
        return f"{move.name}: {infinite[1]:.1%} infinite, {infinite[0]:.1%} before"
    leads = bool(move.by) and move.by[0][0] == "range"
    share = OUT_OF_RANGE_SHARE if move.quantiles else FAULTY_SHARE
    if outside[1] - outside[0] >= share and leads and _is_shown(move, "range"):
        return f"{move.name}: {outside[1]:.1%} out of range or new, {outside[0]:.1%} before"
    return ""


def _is_shown(move: ChannelMove, family: str) -> bool:
    """Whether a direction of a family alone holds enough evidence; a rule of thumb."""
    return any(each[0] == family and each[2] >= FAULT_EVIDENCE for each in move.by)


Said = tuple[Action, str] | None
Rule = Callable[[Observed, tuple[Change, ...]], Said]


def canary_is_worse(observed: Observed, _: tuple[Change, ...]) -> Said:
    """Roll back a revision that is worse than the one beside it.

    >>> quiet = DriftReport(rows=5_000, channels=(), dependent=())
    >>> canary_is_worse(Observed(report=quiet, canary_differs=True), ())[0].value
    'RollBack'
    >>> canary_is_worse(Observed(report=quiet), ()) is None
    True
    """
    if observed.canary_differs:
        return Action.ROLL_BACK, "a concurrent comparison says that this revision is worse"
    return None


def labels_show_harm(observed: Observed, _: tuple[Change, ...]) -> Said:
    """Roll back where outcomes got worse; whether the one before did better is judged there.

    >>> quiet = DriftReport(rows=5_000, channels=(), dependent=())
    >>> labels_show_harm(Observed(report=quiet, risk_rose=True), ())[0].value
    'RollBack'
    >>> labels_show_harm(Observed(report=quiet, loss_rose=True), ()) is None  # that is retraining
    True
    """
    if observed.risk_rose:
        return Action.ROLL_BACK, "labels show more risk than the reference had"
    return None


def fault_came_with_release(observed: Observed, changes: tuple[Change, ...]) -> Said:
    """Roll back a release that came with a fault.

    >>> fault = Change(kind=Kind.INTEGRITY, channel="age", message="age: 4.0% missing, 1.0% before")
    >>> quiet = DriftReport(rows=5_000, channels=(), dependent=())
    >>> fault_came_with_release(Observed(report=quiet, with_release=True), (fault,))[0].value
    'RollBack'
    >>> fault_came_with_release(Observed(report=quiet), (fault,)) is None  # it came from upstream
    True
    """
    faults = [each.message for each in changes if each.kind is Kind.INTEGRITY]
    if observed.with_release and faults:
        return Action.ROLL_BACK, f"a fault came with the release: {faults[0]}"
    return None


def drift_costs(observed: Observed, changes: tuple[Change, ...]) -> Said:
    """Retrain where material drift goes with loss; neither alone will do.

    >>> moved = Change(kind=Kind.COVARIATE, channel="age", message="age moved")
    >>> quiet = DriftReport(rows=5_000, channels=(), dependent=())
    >>> drift_costs(Observed(report=quiet, material=True, loss_rose=True), (moved,))
    (<Action.RETRAIN: 'Retrain'>, 'material drift with loss: age moved')
    >>> drift_costs(Observed(report=quiet, material=True), (moved,)) is None
    True
    """
    if observed.material and changes and observed.loss_rose:
        return Action.RETRAIN, f"material drift with loss: {changes[0].message}"
    return None


def something_moved(_: Observed, changes: tuple[Change, ...]) -> Said:
    """Warn of everything else: nothing says that it does harm.

    >>> moved = Change(kind=Kind.COVARIATE, channel="age", message="age moved")
    >>> quiet = DriftReport(rows=5_000, channels=(), dependent=())
    >>> something_moved(Observed(report=quiet), (moved,))
    (<Action.WARN: 'Warn'>, 'no harm is shown: age moved')
    """
    if changes:
        return Action.WARN, f"no harm is shown: {changes[0].message}"
    return None


RULES: tuple[Rule, ...] = (
    canary_is_worse,
    labels_show_harm,
    fault_came_with_release,
    drift_costs,
    something_moved,
)

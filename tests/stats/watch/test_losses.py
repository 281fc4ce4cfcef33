"""Labels tell whether the model got worse; calibrated probabilities, whether it probably did."""

from dataclasses import replace

import numpy as np
import pytest

from driftline_stats.drift.profile import Counts
from driftline_stats.errors import BatchError
from driftline_stats.histogram import LatencyHistogram
from driftline_stats.risk.cbpe import Cbpe
from driftline_stats.watch.findings import Reason, Recommendation
from driftline_stats.watch.look import LabelBatch, Look
from driftline_stats.watch.watch import Watch
from tests.stats.watch_builders import (
    KERNEL,
    MINUTE,
    PLAN,
    PROFILE,
    drawn,
    older,
    usual,
    watched,
)

NOTHING = Counts.none(PROFILE.plan)


def labels(rng: np.random.Generator, error: float, number: int = 100) -> LabelBatch:
    """Return labels of which a share is wrong; half of the predictions have one within a minute."""
    wrong = int(rng.binomial(number, error))
    return LabelBatch(
        cohort="1",
        rows=2 * number,
        labelled=number,
        losses=((0, number - wrong), (100, wrong)),
        delays=(number,),
    )


def labelled(watch: Watch, error: float, number: int, seed: int = 1) -> Watch:
    rng = np.random.default_rng(seed)
    for _ in range(number):
        look = Look(counts=NOTHING, seconds=MINUTE, labels=(labels(rng, error),))
        watch = watch.update(look)
    return watch


def test_more_errors_than_at_first_are_concept_drift() -> None:
    watch = labelled(Watch.start(replace(PLAN, first=10_000)), 0.056, 100)
    assert watch.findings().reason is Reason.INSUFFICIENT_DATA  # no rows, hence no word of drift
    assert watch.state.losses.since is None
    watch = labelled(watch, 0.084, 60, seed=2)
    found = watch.findings()
    assert (found.reason, found.recommendation) == (Reason.CONCEPT_DRIFT, Recommendation.RETRAIN)
    assert found.performance is not None
    assert found.performance.risen
    assert found.performance.coverage == 0.5
    assert found.performance.delay_seconds == 60
    assert "16,000 labels for 50% of predictions" in found.message


def test_as_many_errors_as_at_first_are_none() -> None:
    watch = labelled(Watch.start(replace(PLAN, false_alarms_per_year=12.0)), 0.056, 400)
    assert watch.state.losses.since is None
    assert watch.state.losses.detector is not None


def test_the_reference_is_known_better_as_labels_come_and_then_stays() -> None:
    risks = []
    watch = Watch.start(replace(PLAN, first=10_000))
    for at in range(15):
        watch = labelled(watch, 0.1, 10, seed=at)
        detector = watch.state.losses.detector
        risks.append(detector.otherwise if detector else None)
    assert risks[8] is None or risks[8] <= risks[0]  # type: ignore[operator]  # both are numbers
    assert len(set(risks[10:])) == 1
    assert 0.1 < risks[-1] < 0.12  # type: ignore[operator]  # there is a detector by now


def test_concept_drift_clears_when_the_labels_are_right_again() -> None:
    watch = labelled(labelled(Watch.start(PLAN), 0.056, 60), 0.2, 20, seed=2)
    assert watch.findings().reason is Reason.CONCEPT_DRIFT
    watch = labelled(watch, 0.056, 120, seed=3)
    assert watch.state.losses.since is None


def test_going_back_is_for_revisions_that_have_one_before_them() -> None:
    watch = labelled(labelled(Watch.start(PLAN), 0.056, 60), 0.2, 20, seed=2)
    before = watched(Watch.start(PLAN), usual, 25).findings()
    assert watch.findings(before).recommendation is Recommendation.ROLL_BACK


def test_benign_drift_is_reported_as_such() -> None:
    """Inputs moved and the labels are as right as before: nobody need act."""
    watch = labelled(watched(Watch.start(PLAN), usual, 25), 0.17, 30)
    watch = labelled(watched(watch, older, 25, seed=5), 0.17, 30, seed=2)
    found = watch.findings()
    assert found.reason is Reason.COVARIATE_DRIFT
    assert found.recommendation is Recommendation.NOTHING
    assert "no more loss than at first" in found.message


def test_material_drift_with_estimated_loss_asks_for_retraining() -> None:
    def far(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        return older(rng, rows, by=8.0)

    def look(draw: object, rng: np.random.Generator, right: float) -> Look:
        rows = drawn(draw, rng, 200)  # type: ignore[arg-type]  # one of the two
        seen = Cbpe.of(np.full(200, right), predicted=np.full(200, True))
        return Look(counts=KERNEL.count(rows), seconds=MINUTE, calibration=seen)

    watch, rng = Watch.start(PLAN), np.random.default_rng(4)
    for _ in range(25):
        watch = watch.update(look(usual, rng, 0.9))
    for _ in range(60):
        watch = watch.update(look(far, rng, 0.7))
    found = watch.findings()
    assert found.material
    assert found.recommendation is Recommendation.RETRAIN
    assert found.performance is not None
    assert found.performance.estimated_before == pytest.approx(0.1)
    assert found.performance.estimated_loss == pytest.approx(0.3, abs=0.05)


def test_rewards_are_told() -> None:
    rewarded = LabelBatch(rows=10, rewards=(10, 25.0, 80.0))
    watch = Watch.start(PLAN).update(Look(counts=NOTHING, seconds=1, labels=(rewarded,)))
    performance = watch.findings().performance
    assert performance is not None
    assert (performance.reward, performance.loss) == (2.5, None)


def test_latency_of_late_stands_beside_that_of_the_first() -> None:
    watch = Watch.start(PLAN)
    for at in range(30):
        latency = LatencyHistogram.of([1_000 if at < 20 else 5_000] * 1_000)
        watch = watch.update(Look(counts=NOTHING, seconds=MINUTE, latency=latency))
    found = watch.findings().latency
    assert found is not None
    assert (found.median_first, found.median) == (1_100, 5_100)


def test_little_coverage_is_warned_of() -> None:
    look = Look(counts=NOTHING, seconds=MINUTE, inferences=1_000, seen=400, counted=300)
    found = Watch.start(PLAN).update(look).findings()
    assert found.warnings == ("Only 30% of inferences were counted of late.",)


def test_faults_of_inputs_are_told_before_anything_else() -> None:
    watch = watched(Watch.start(PLAN), usual, 25)
    faulty = Look(
        counts=NOTHING,
        seconds=MINUTE,
        seen=100,
        faults={"age": {"wrong_type": 30}, "payload": {"omitted": 60}},
    )
    for _ in range(3):
        watch = watch.update(faulty)
    found = watch.findings()
    assert found.reason is Reason.DATA_INTEGRITY
    assert found.faults == "age: wrong type in 30 % of inferences"
    assert found.since_seconds == 3 * MINUTE


@pytest.mark.parametrize("kind", ["omitted", "not_a_number"])
def test_what_was_left_out_or_missing_is_no_fault_here(kind: str) -> None:
    watch = watched(Watch.start(PLAN), usual, 25)
    for _ in range(5):
        watch = watch.update(
            Look(counts=NOTHING, seconds=MINUTE, seen=100, faults={"x": {kind: 60}})
        )
    assert watch.findings().reason is Reason.NO_DRIFT


def test_a_fault_now_and_then_is_none() -> None:
    watch = Watch.start(PLAN)
    for _ in range(500):
        watch = watch.update(
            Look(counts=NOTHING, seconds=MINUTE, seen=1_000, faults={"age": {"wrong_type": 4}})
        )
    assert not watch.state.faults.raised


def test_ten_thousand_names_of_faults_keep_the_state_small() -> None:
    watch = Watch.start(PLAN)
    for begin in range(0, 10_000, 100):
        faults = {f"column {at}": {"wrong_type": 90} for at in range(begin, begin + 100)}
        watch = watch.update(Look(counts=NOTHING, seconds=MINUTE, seen=100, faults=faults))
    assert len(watch.stored()) < 8_000


@pytest.mark.parametrize(
    "made",
    [
        lambda: LabelBatch(losses=((101, 1),)),
        lambda: LabelBatch(losses=((3, -1),)),
        lambda: LabelBatch(rows=-1),
        lambda: Look(counts=NOTHING, seconds=-1),
        lambda: Look(counts=NOTHING, seconds=1, seen=-1),
    ],
)
def test_looks_that_contradict_themselves_are_refused(made: object) -> None:
    with pytest.raises(BatchError):
        made()  # type: ignore[operator]  # each is a function

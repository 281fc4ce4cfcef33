"""A revision is watched: what is asked, what is found, and when it is over."""

import base64
import gzip
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.profile import Counts
from driftline_stats.drift.rows import Feature, Rows
from driftline_stats.errors import BatchError, StateError
from driftline_stats.watch.findings import Question, Reason, Recommendation, missing
from driftline_stats.watch.look import Look
from driftline_stats.watch.narrow import narrowed
from driftline_stats.watch.plan import WatchPlan
from driftline_stats.watch.watch import Watch
from tests.stats.watch_builders import (
    KERNEL,
    MINUTE,
    PLAN,
    PROFILE,
    drawn,
    looks,
    older,
    trained,
    usual,
    watched,
)


def started(**settings: object) -> Watch:
    return Watch.start(replace(PLAN, **settings))  # type: ignore[arg-type]  # what replace takes


def test_asks_first_whether_rows_look_like_training_data_and_then_whether_they_change() -> None:
    watch = watched(started(), usual, 5)
    found = watch.findings()
    assert (found.reason, found.status) == (Reason.INSUFFICIENT_DATA, None)
    watch = watched(watch, usual, 10, seed=3)
    found = watch.findings()
    assert (found.reason, found.question) == (Reason.NO_DRIFT, Question.SKEW)
    assert found.message == "No difference from training in 1,500 of the first 2,000 rows."
    found = watched(watch, usual, 10, seed=4).findings()
    assert (found.reason, found.question) == (Reason.NO_DRIFT, Question.DRIFT)
    assert found.status is True


def test_says_skew_where_rows_never_looked_like_training_data() -> None:
    found = watched(started(), older, 10).findings()
    assert (found.reason, found.question) == (Reason.TRAINING_SERVING_SKEW, Question.SKEW)
    assert found.features[0].name == "age"
    assert found.features[0].effect == pytest.approx(0.5, abs=0.15)
    assert found.since_rows == found.seen
    assert "median" in found.message
    assert "monitoring.baseline.accept" in found.advice


def test_says_drift_where_rows_changed_after_the_first_ones() -> None:
    watch = watched(started(), usual, 30)
    found = watched(watch, older, 15, seed=5).findings()
    assert (found.reason, found.question) == (Reason.COVARIATE_DRIFT, Question.DRIFT)
    assert found.features[0].name == "age"
    assert found.evidence >= 1
    assert found.since_rows == pytest.approx(1_500, abs=700)
    assert found.since_seconds == pytest.approx(15 * MINUTE, abs=7 * MINUTE)


def test_a_change_during_the_first_rows_is_drift_and_no_skew() -> None:
    watch = watched(started(first=10_000), usual, 30)

    def far(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        return older(rng, rows, by=15.0)

    found = watched(watch, far, 3, 500, seed=5).findings()
    assert (found.reason, found.question) == (Reason.COVARIATE_DRIFT, Question.DRIFT)
    assert found.since_rows == 1_500


def test_never_speaks_of_training_where_the_baseline_was_learned() -> None:
    watch = watched(started(trained=False), older, 10)
    found = watch.findings()
    assert found.question is Question.DRIFT
    assert found.reason is Reason.COVARIATE_DRIFT
    assert watch.state.drifting.first.rows == 0


def test_clears_by_itself_when_rows_are_as_they_were() -> None:
    watch = watched(watched(started(), usual, 25), older, 15, seed=5)
    assert watch.findings().reason is Reason.COVARIATE_DRIFT
    watch = watched(watch, usual, 9, 1_000, seed=6)
    assert watch.findings().reason is Reason.COVARIATE_DRIFT
    watch = watched(watch, usual, 2, 1_000, seed=7)
    found = watch.findings()
    assert (found.reason, found.features, found.since_rows) == (Reason.NO_DRIFT, (), None)


def test_stays_while_rows_differ() -> None:
    watch = watched(watched(started(), usual, 25), older, 40, 1_000, seed=5)
    assert watch.findings().reason is Reason.COVARIATE_DRIFT


def test_skew_clears_too_when_serving_was_mended() -> None:
    watch = watched(started(), older, 15)
    assert watch.findings().reason is Reason.TRAINING_SERVING_SKEW
    found = watched(watch, usual, 12, 1_000, seed=6).findings()
    assert (found.reason, found.question) == (Reason.NO_DRIFT, Question.DRIFT)


def test_accepted_first_rows_become_the_reference() -> None:
    watch = watched(started(), older, 15)
    watch = watch.replanned(replace(watch.plan, accepted=True))
    assert watch.findings().reason is Reason.INSUFFICIENT_DATA
    assert "1,500 of the 2,000 first rows" in watch.findings().message
    watch = watched(watch, older, 40, seed=8)
    found = watch.findings()
    assert (found.reason, found.question) == (Reason.NO_DRIFT, Question.DRIFT)
    assert "the first live rows" in found.message
    found = watched(watch, usual, 30, seed=9).findings()
    assert found.reason is Reason.COVARIATE_DRIFT
    assert found.features[0].name == "age"


def test_a_shuffled_reference_lets_rows_tell_first_how_they_depend_on_each_other() -> None:
    profile = trained(in_order=False)
    watch = watched(Watch.start(replace(WatchPlan.of(profile), first=2_000)), usual, 15)
    assert watch.state.drifting.used == 0
    assert "20 looks" in watch.findings().message
    watch = watched(watch, usual, 20, seed=3)
    assert watch.findings().reason is Reason.NO_DRIFT


def test_skew_is_skew_however_many_rows_were_no_evidence_yet() -> None:
    """A shuffled reference waits for 20 looks, and dense looks have many rows."""
    profile = trained(in_order=False)

    def far(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        return older(rng, rows, by=15.0)

    watch = watched(Watch.start(WatchPlan.of(profile)), far, 25, 300)
    assert watch.findings().reason is Reason.TRAINING_SERVING_SKEW


def test_missing_values_are_a_fault_and_named() -> None:
    def holes(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        columns = usual(rng, rows)
        columns["income"][rng.random(rows) < 0.3] = np.nan
        return columns

    found = watched(watched(started(), usual, 25), holes, 10, seed=5).findings()
    assert found.reason is Reason.DATA_INTEGRITY
    assert found.recommendation is Recommendation.FIX_DATA
    assert "income: " in found.message
    assert "missing" in found.message


def test_a_fault_that_came_with_the_revision_asks_to_go_back() -> None:
    def in_cents(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        columns = usual(rng, rows)
        return columns | {"income": columns["income"] * 1e6}

    watch = watched(started(), in_cents, 10)
    before = watched(started(), usual, 25).findings()
    assert watch.findings().recommendation is Recommendation.FIX_DATA
    assert watch.findings(previous=before).recommendation is Recommendation.ROLL_BACK
    assert watch.findings().question is Question.SKEW


def test_predictions_that_moved_alone_are_named_so() -> None:
    def bolder(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        return usual(rng, rows) | {"prediction": rng.beta(5, 2, rows)}

    found = watched(watched(started(), usual, 25), bolder, 10, seed=5).findings()
    assert found.reason is Reason.PREDICTION_DRIFT
    assert {each.role for each in found.features} == {"prediction"}


def test_tolerated_features_do_not_alarm_and_others_still_do() -> None:
    watch = watched(started(tolerances={"age": 1.0}), usual, 25)
    assert watched(watch, older, 20, seed=5).findings().reason is Reason.NO_DRIFT

    def poorer(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        columns = older(rng, rows)
        return columns | {"debt": columns["debt"] * 2}

    found = watched(watch, poorer, 20, seed=5).findings()
    assert found.reason is Reason.COVARIATE_DRIFT
    assert found.features[0].name == "debt"


def test_excluded_features_are_not_watched_whoever_counts_them() -> None:
    watch = watched(started(exclude=("age",)), usual, 25)
    assert watched(watch, older, 20, seed=5).findings().reason is Reason.NO_DRIFT
    kernel = Kernel(narrowed(PROFILE, {"age"}).plan)
    rng = np.random.default_rng(5)
    rows = drawn(usual, rng, 100)
    less = type(rows)(numeric=rows.numeric[:, 1:], categorical=rows.categorical)
    narrow = watch.update(Look(counts=kernel.count(less), seconds=MINUTE))
    whole = watch.update(Look(counts=KERNEL.count(rows), seconds=MINUTE))
    assert narrow.stored() == whole.stored()


def test_everything_excluded_is_refused() -> None:
    names = tuple(each.name for each in PROFILE.plan.features)
    with pytest.raises(StateError, match="nothing is left to be watched"):
        started(exclude=names).update(next(looks(usual, 1)))


def test_counts_of_another_plan_are_refused_with_both_named() -> None:
    other = Counts(plan="other", rows=1, values=KERNEL.count(drawn(usual, _rng(), 1)).values)
    with pytest.raises(BatchError, match=f"by plan other, expected {PROFILE.plan.digest}"):
        started().update(Look(counts=other, seconds=MINUTE))


def test_goes_on_where_it_was_stored() -> None:
    watch = watched(started(), usual, 12)
    back = Watch.restored(watch.plan, watch.stored())
    assert back == watch
    after = watched(watched(watch, older, 20, seed=5), usual, 3, seed=6)
    also = watched(watched(back, older, 20, seed=5), usual, 3, seed=6)
    assert also.stored() == after.stored()
    assert also.findings() == after.findings()


def test_a_state_of_another_reference_is_refused() -> None:
    watch = watched(started(), usual, 3)
    with pytest.raises(StateError, match="of reference"):
        Watch.restored(WatchPlan.of(trained(seed=9)), watch.stored())
    with pytest.raises(StateError):
        Watch.restored(watch.plan, '{"kind":"watch"}')


def test_a_damaged_state_is_refused_when_it_is_read_and_not_at_the_next_look() -> None:
    watch = watched(watched(started(), usual, 12), older, 5)
    stored = json.loads(watch.stored())
    drifting = stored["drifting"]
    for part, name in (
        (drifting["recursion"], "log_r"),
        (drifting["first"], "counts"),
        (drifting["inflation"]["meter"], "sums"),
        (drifting, "moving"),
    ):
        whole, part[name] = part[name], "AAAA"
        with pytest.raises(StateError):
            Watch.restored(watch.plan, json.dumps(stored))
        part[name] = whole
    assert Watch.restored(watch.plan, json.dumps(stored)) == watch


def test_settings_change_without_loss_of_evidence_and_references_do_not() -> None:
    watch = watched(started(), usual, 12)
    looser = watch.replanned(replace(watch.plan, tolerance=0.2, false_alarms_per_year=4))
    assert looser.state == watch.state
    other = watch.replanned(replace(watch.plan, exclude=("age",)))
    assert other.state.drifting.seen.rows == 0


def test_looks_without_rows_only_let_time_pass() -> None:
    watch = watched(started(), usual, 12)
    nothing = Look(counts=Counts.none(PROFILE.plan), seconds=MINUTE)
    idle = watch
    for _ in range(50):
        idle = idle.update(nothing)
    assert idle.findings().evidence == watch.findings().evidence
    assert idle.state.drifting.seen.seconds == 62 * MINUTE


def test_an_idle_model_never_alarms_when_it_wakes() -> None:
    watch = watched(started(false_alarms_per_year=365.0), usual, 25)
    for _ in range(20):
        watch = watch.update(Look(counts=Counts.none(PROFILE.plan), seconds=1e7))
    assert watched(watch, usual, 3, seed=5).findings().reason is Reason.NO_DRIFT


def test_the_budget_is_told_in_rows_at_the_traffic_measured() -> None:
    found = watched(started(false_alarms_per_year=2.0), usual, 12).findings()
    assert found.budget == pytest.approx(100 * 60 * 24 * 365.25 / 2)


def test_an_operator_without_scipy_can_watch() -> None:
    """It is large, and the operator needs none of it."""
    code = (
        "import sys; sys.modules['scipy'] = None; "
        "import driftline_stats.watch.watch, driftline_stats.watch.learning"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_hundred_features_fit_into_a_configmap() -> None:
    """The state at its largest, and a profile that was learned, packed as a ConfigMap has them."""
    features = tuple(Feature(name=f"a rather long name of feature {at}") for at in range(100))
    rng = np.random.default_rng(3)

    def rows(number: int, by: float = 0.0) -> Rows:
        return Rows(numeric=rng.normal(by, 1, size=(number, 100)).astype(np.float32))

    profile = build(features, rows(2_000))
    kernel, watch = Kernel(profile.plan), Watch.start(WatchPlan.of(profile))
    largest = 0
    for at in range(26):
        look = Look(counts=kernel.count(rows(100, 1.0 * (at > 23))), seconds=MINUTE)
        watch = watch.update(look)
        packed = gzip.compress((watch.stored() + watch.plan.profile).encode())
        largest = max(largest, len(base64.b64encode(packed)))
    assert watch.state.drifting.condition is not None
    assert largest < 160 * 1024


def test_rows_that_moved_far_are_no_fault_although_some_leave_the_range() -> None:
    def much_older(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        return older(rng, rows, by=17.0)

    watch = watched(watched(started(), usual, 25), much_older, 10, 500, seed=5)
    condition = watch.state.drifting.condition
    assert condition is not None
    assert watch.findings().reason is Reason.COVARIATE_DRIFT
    assert watch.findings().material


def test_without_a_baseline_the_reason_is_told() -> None:
    found = missing("its digest is of another model")
    assert (found.reason, found.status) == (Reason.BASELINE_MISSING, None)
    assert "another model" in found.message
    assert "driftline profile build" in found.advice


def _rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_the_oldest_of_more_people_is_no_fault() -> None:
    def some_older_than_anybody(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        columns = usual(rng, rows)
        columns["age"][rng.random(rows) < 0.02] = 90.0
        return columns

    watch = watched(watched(started(), usual, 25), some_older_than_anybody, 10, 300, seed=5)
    found = watch.findings()
    assert (found.reason, found.features[0].name) == (Reason.COVARIATE_DRIFT, "age")


def test_a_fault_that_comes_and_goes_does_not_make_the_reason_waver() -> None:
    def holes(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        columns = older(rng, rows, by=10.0)
        columns["age"][rng.random(rows) < 0.5] = np.nan
        return columns

    watch = watched(watched(started(), usual, 25), holes, 5, seed=5)
    reasons = {watch.findings().reason}
    rng = np.random.default_rng(6)
    for _ in range(40):
        rows = drawn(lambda r, n: older(r, n, by=10.0), rng, 500)
        watch = watch.update(Look(counts=KERNEL.count(rows), seconds=MINUTE))
        reasons.add(watch.findings().reason)
    assert reasons == {Reason.DATA_INTEGRITY}
    assert watch.findings().features[0].name == "age"

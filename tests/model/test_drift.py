"""What is said of a Model's data, when it is written, and what it leaves alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from driftline_api.conditions import DRIFT_REASONS, Reason
from driftline_api.drift import BaselineStatus, DriftedFeature, Observation, Performance
from driftline_api.model import Condition, ModelSpec, ModelStatus
from driftline_operator.core.plan import Plan
from driftline_operator.drift.findings import FIGURES_EVERY, DriftBoard, DriftFindings
from driftline_operator.model.drift import status_of
from driftline_operator.model.observed import Observed, Subject
from driftline_operator.model.plan import plan_model
from tests.model.builders import (
    IMAGES,
    NOW,
    a_record,
    a_spec,
    later,
    some_findings,
)
from tests.model.states import NEW, STATES, watched

AGE = DriftedFeature(name="age", kind="Feature", effect=0.81234, change="mean 31 -> 39 years")


def plan(seen: Observed, **after: float) -> Plan:
    """Decide so much later than NOW."""
    return plan_model(seen, IMAGES, later(**after))


def status_after(made: Plan) -> ModelStatus:
    """Return the status that a plan writes."""
    assert made.status
    return ModelStatus.model_validate(made.status.status)


def told(seen: Observed, **after: float) -> ModelStatus:
    """Return the status that is written so much later than NOW."""
    return status_after(plan(seen, **after))


def once_told(seen: Observed) -> Observed:
    """Return the same Model after what was found was written."""
    return replace(seen, model=replace(seen.model, status=told(seen)))


def drift_free(status: ModelStatus) -> Condition:
    """Return the condition."""
    (found,) = (each for each in status.conditions if each.type == "DriftFree")
    return found


def events(seen: Observed, **after: float) -> list[str]:
    """Return the Events of the data that are told."""
    made = plan(seen, **after).events
    return [f"{each.type} {each.reason}: {each.message}" for each in made]


def test_every_reason_of_the_condition_says_whether_it_holds() -> None:
    by_status = {kind: set[str]() for kind in ("True", "False", "Unknown")}
    for reason in DRIFT_REASONS:
        by_status[status_of(reason)].add(reason.value)
    assert by_status == {
        "True": {"NoDrift"},
        "False": {
            "DataIntegrity",
            "CovariateDrift",
            "PredictionDrift",
            "ConceptDrift",
            "TrainingServingSkew",
        },
        "Unknown": {"InsufficientData", "BaselineMissing"},
    }


def test_status_names_what_has_moved_and_says_what_to_do() -> None:
    loss = Performance(loss=0.123456, baseline_loss=0.1, labels=900, coverage=0.75)
    status = told(
        watched(
            Reason.COVARIATE_DRIFT,
            summary="age has moved; evidence 3 of 1 after 40,000 rows",
            action="You: look at what feeds age. If the change is right, retrain.",
            recommendation="Investigate",
            evidence=3.14159,
            rows_since=700,
            features=(AGE,) * 9,
            performance=loss,
            warnings=("w" * 999,) * 20,
        )
    )
    found = drift_free(status)
    assert (found.status, found.reason) == ("False", "CovariateDrift")
    assert "age has moved" in found.message
    assert found.message.endswith("You: look at what feeds age. If the change is right, retrain.")
    drift = status.drift
    assert drift
    assert (drift.revision, drift.question, drift.since) == (NEW, "Drift", "2026-03-04T05:06:07Z")
    assert (drift.evidence, drift.rows, drift.rows_since) == (3.14, 40_000, 700)
    assert [(each.name, each.effect) for each in drift.features] == [("age", 0.812)] * 5
    assert drift.performance
    assert (drift.performance.loss, drift.performance.coverage) == (0.123, 0.75)
    assert [len(each) for each in drift.warnings] == [256] * 8
    assert drift.recommendation == "Investigate"


@pytest.mark.parametrize("reason", sorted(DRIFT_REASONS))
def test_nothing_but_what_is_said_of_the_data_depends_on_them(reason: Reason) -> None:
    for name in ("stable serves, nothing to do", "rollout comes up", "stable broke for good"):
        seen, seconds = STATES[name]
        shown = seen.model.status.stable_revision or NEW
        with_data = replace(seen, drift=some_findings(shown, reason))
        without, made = (plan(each, seconds=seconds) for each in (seen, with_data))
        assert (made.apply, made.delete) == (without.apply, without.delete)
        assert _but_drift(status_after(made)) == _but_drift(status_after(without))


def _but_drift(status: ModelStatus) -> ModelStatus:
    conditions = [each for each in status.conditions if each.type != "DriftFree"]
    return status.model_copy(update={"conditions": conditions, "drift": None})


def test_the_message_of_a_model_that_is_well_points_to_data_that_are_not() -> None:
    assert "Its data differ (ConceptDrift)" in told(watched(Reason.CONCEPT_DRIFT)).message
    assert "data" not in told(watched(Reason.NO_DRIFT)).message


def test_a_revision_of_an_earlier_operator_says_how_to_get_a_monitor() -> None:
    seen = replace(watched(Reason.NO_DRIFT), records=(a_record(NEW, 2),))
    found = drift_free(told(seen))
    assert (found.status, found.reason) == ("Unknown", "InsufficientData")
    assert "You: set spec.runtime.refreshToken" in found.message


def test_a_container_that_tells_nothing_is_told_of_the_proxy() -> None:
    seen, _ = STATES["container tells nothing"]
    found = drift_free(told(seen))
    assert "nothing of its 70 inferences" in found.message
    assert "You: set spec.runtime.container.observe to Proxy" in found.message


def test_a_server_of_ours_that_was_not_heard_yet_is_not_taken_for_one_that_cannot_tell() -> None:
    seen = watched(Reason.INSUFFICIENT_DATA, observation=Observation(unobserved=70))
    assert "Proxy" not in drift_free(told(seen)).message


def test_before_anything_serves_nobody_need_do_anything() -> None:
    seen, _ = STATES["at first sight"]
    assert drift_free(told(seen)).message.endswith("Nobody need do anything.")


def test_an_operator_that_starts_anew_says_what_the_one_before_it_said() -> None:
    seen = once_told(watched(Reason.COVARIATE_DRIFT, features=(AGE,)))
    made = plan(replace(seen, drift=None), hours=5)
    assert made.status is None
    assert made.events == ()


def test_findings_of_an_earlier_revision_are_not_said_of_the_next() -> None:
    seen = once_told(watched(Reason.COVARIATE_DRIFT))
    another = replace(seen, drift=None, model=_serving(seen, "iris-anotherone"))
    status = told(another)
    assert status.drift is None
    assert drift_free(status).status == "Unknown"


def _serving(seen: Observed, revision: str) -> Subject:
    status = seen.model.status.model_copy(update={"stable_revision": revision})
    return replace(seen.model, status=status)


def test_figures_alone_are_written_after_five_minutes_and_not_before() -> None:
    seen = once_told(watched(Reason.NO_DRIFT))
    moved = replace(seen, drift=some_findings(NEW, Reason.NO_DRIFT, rows=40_100, evidence=0.4))
    early = plan(moved, seconds=60)
    assert early.status is None
    assert early.requeue_after == pytest.approx(FIGURES_EVERY.total_seconds() - 60 + 1)
    drift = told(moved, seconds=301).drift
    assert drift
    assert (drift.rows, drift.updated) == (40_100, "2026-03-04T05:11:08Z")


def test_a_model_without_traffic_costs_no_write() -> None:
    seen = once_told(watched(Reason.NO_DRIFT))
    made = plan(seen, hours=12)
    assert made.status is None
    assert made.requeue_after is None


def test_figures_go_along_with_whatever_else_is_written() -> None:
    seen = once_told(watched(Reason.NO_DRIFT))
    moved = replace(seen, drift=some_findings(NEW, Reason.NO_DRIFT, rows=40_100))
    changed = replace(moved, model=replace(moved.model, generation=4))
    drift = told(changed, seconds=60).drift
    assert drift
    assert drift.rows == 40_100


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": Reason.COVARIATE_DRIFT},
        {"question": "TrainingServingSkew"},
        {"recommendation": "Retrain"},
        {"baseline": BaselineStatus(source="Learned", rows=10_000)},
        {"baseline": BaselineStatus(source="Profile", rows=10_000, problem="of another model")},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_an_answer_that_changes_is_written_at_once(fields: dict[str, object]) -> None:
    seen = once_told(watched(Reason.NO_DRIFT))
    reason = fields.pop("reason", Reason.NO_DRIFT)
    changed = some_findings(NEW, Reason(str(reason)), **fields)
    assert seen.drift
    assert seen.drift.edge != changed.edge
    assert plan(replace(seen, drift=changed), seconds=1).status


def test_the_condition_turns_with_one_event_and_clears_by_itself_with_another() -> None:
    seen = once_told(watched(Reason.NO_DRIFT))
    drifted = replace(
        seen, drift=some_findings(NEW, Reason.COVARIATE_DRIFT, summary="age has moved")
    )
    (detected,) = events(drifted, seconds=60)
    assert detected.startswith("Warning DriftDetected: CovariateDrift: revision ")
    assert "age has moved" in detected

    status = told(drifted, seconds=60)
    later_on = replace(drifted, model=replace(drifted.model, status=status))
    more = some_findings(NEW, Reason.COVARIATE_DRIFT, rows=50_000)
    assert events(replace(later_on, drift=more), seconds=900) == []

    well = replace(later_on, drift=some_findings(NEW, Reason.NO_DRIFT))
    (cleared,) = events(well, seconds=960)
    assert cleared.startswith("Normal DriftCleared: CovariateDrift is over.")
    moment = drift_free(told(well, seconds=960)).last_transition_time
    assert moment == "2026-03-04T05:22:07Z"


def test_drift_of_another_kind_is_told_anew() -> None:
    seen = once_told(watched(Reason.COVARIATE_DRIFT))
    worse = replace(seen, drift=some_findings(NEW, Reason.CONCEPT_DRIFT))
    assert [each.split(":")[0] for each in events(worse)] == ["Warning DriftDetected"]
    assert drift_free(told(worse, hours=1)).last_transition_time == "2026-03-04T05:06:07Z"


@pytest.mark.parametrize(
    ("source", "reason"),
    [("Learned", "BaselineLearned"), ("Accepted", "BaselineAccepted")],
)
def test_a_baseline_of_live_rows_is_told_once(source: str, reason: str) -> None:
    learning = BaselineStatus(source="Learning", rows=9_000, wanted_rows=10_000)
    seen = once_told(watched(Reason.BASELINE_MISSING, baseline=learning))
    made = BaselineStatus.model_validate({"source": source, "rows": 10_000})
    learned = replace(seen, drift=some_findings(NEW, Reason.NO_DRIFT, baseline=made))
    (event,) = events(learned)
    assert event.startswith(f"Normal {reason}: ")
    assert "10000" in event
    assert NEW in event
    assert events(once_told(learned), hours=1) == []


def test_a_profile_of_another_model_is_told_once_with_the_reason() -> None:
    seen = once_told(watched(Reason.INSUFFICIENT_DATA))
    problem = "it belongs to sha256:ff"
    refused = replace(
        seen,
        drift=some_findings(NEW, Reason.BASELINE_MISSING, baseline=BaselineStatus(problem=problem)),
    )
    (event,) = events(refused)
    assert event.startswith("Warning BaselineRefused: ")
    assert problem in event
    assert events(once_told(refused), hours=1) == []


def test_the_board_knows_a_model_by_its_uid() -> None:
    board = DriftBoard()
    found = DriftFindings(uid="first", at=NOW)
    board.note("team", "iris", found)
    assert board.of("team", "iris", "first") is found
    assert board.of("team", "iris", "second") is None
    board.note("team", "iris", None)
    assert board.of("team", "iris", "first") is None


def test_how_it_is_watched_changes_no_child() -> None:
    seen, seconds = STATES["stable serves, nothing to do"]
    spec = ModelSpec.model_validate(a_spec(monitoring={"tolerance": 0.5}))
    changed = replace(seen, model=replace(seen.model, spec=spec))
    now = NOW + timedelta(seconds=seconds)
    assert plan_model(changed, IMAGES, now).apply == plan_model(seen, IMAGES, now).apply

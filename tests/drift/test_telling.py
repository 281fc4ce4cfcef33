"""From polls to findings, edges and events."""

import json
from collections.abc import Sequence
from dataclasses import replace

from driftline_api.conditions import DRIFTED, Reason
from driftline_api.monitor import BaselineState
from driftline_api.monitoring import Monitoring
from driftline_operator.drift.keeping import drift_ref, parse_kept, render_kept
from driftline_operator.drift.model_drift import Heard, ModelDrift, advanced
from driftline_operator.drift.notices import CLEARED, DETECTED, MOST_WAITING, REFUSED, About
from driftline_operator.drift.pods import MonitorPod
from driftline_operator.drift.telling import Said, said
from driftline_stats.drift.profile import Counts
from tests.drift.builders import NOW, a_profile, a_summary, counted

ABOUT = About(namespace="team", model="m", uid="uid-1")
POD = MonitorPod(uid="pod-1", model="m", revision="m-1", address="10.0.0.1")
EMPTY = ModelDrift(uid="uid-1")


def polled(
    drift: ModelDrift, told: Counts, at: float, about: About | None = ABOUT, **given: object
) -> Said:
    """Take in one answer of one monitor, and tell."""
    heard = Heard(
        now=NOW + at,
        pods=(POD,),
        summaries={"pod-1": a_summary(told.rows, told, **given)},
        profiles={} if "m-1" in drift.revisions else {"m-1": a_profile()},
        known=frozenset({"m-1"}),
    )
    taken = advanced(drift, heard, Monitoring())
    assert not taken.problems
    return said(taken.drift, heard, Monitoring(), about)


def told_over(windows: Sequence[Counts]) -> list[Said]:
    drift, total, found = EMPTY, Counts.none(a_profile().plan), []
    for at, window in enumerate(windows):
        total = total + window
        found.append(polled(drift, total, 60.0 * at))
        drift = found[-1].drift
    return found


def test_one_event_for_each_edge() -> None:
    calm = [counted(300, seed=seed) for seed in range(40)]
    moved = [counted(300, seed=seed, shift=1.0) for seed in range(100, 110)]
    said_of = told_over([*calm, *moved])
    reasons = [each.findings.revisions["m-1"].reason for each in said_of]
    assert reasons[39] is Reason.NO_DRIFT
    assert reasons[-1] is Reason.COVARIATE_DRIFT
    events = [json.loads(each.body) for each in said_of[-1].drift.waiting]
    assert [each["type"] for each in events] == [DETECTED]
    (event,) = events
    assert event["specversion"] == "1.0"
    assert event["source"] == "/namespaces/team/models/m"
    assert event["subject"] == "m-1"
    assert event["data"]["features"][0]["name"] == "age"
    assert event["data"]["action"]


def test_the_condition_clears_by_itself_and_that_is_an_edge() -> None:
    moved = [counted(300, seed=seed, shift=1.0) for seed in range(20)]
    found = told_over(
        [*[counted(300, seed=seed) for seed in range(50, 90)], *moved]
        + [counted(2_000, seed=seed) for seed in range(200, 260)]
    )
    assert found[-1].findings.revisions["m-1"].reason is Reason.NO_DRIFT
    kinds = [json.loads(each.body)["type"] for each in found[-1].drift.waiting]
    assert kinds == [DETECTED, CLEARED]


def test_since_moves_only_with_the_answer() -> None:
    found = told_over([counted(300, seed=seed) for seed in range(30)])
    revisions = [each.findings.revisions["m-1"] for each in found]
    known = [each.since for each in revisions if each.reason is Reason.NO_DRIFT]
    assert len(known) > 5
    assert len(set(known)) == 1
    assert revisions[-1].rows_since > 0


def test_a_refused_profile_is_missing_with_the_reason_and_an_event() -> None:
    refused = BaselineState(source="none", problem="it belongs to another model")
    heard = Heard(
        now=NOW,
        pods=(POD,),
        summaries={"pod-1": a_summary(5, baseline=refused)},
        known=frozenset({"m-1"}),
    )
    taken = advanced(EMPTY, heard, Monitoring())
    found = said(taken.drift, heard, Monitoring(), ABOUT)
    revision = found.findings.revisions["m-1"]
    assert revision.reason is Reason.BASELINE_MISSING
    assert "another model" in revision.summary
    assert [each.type for each in found.drift.waiting] == [REFUSED]


def test_an_event_has_the_same_id_when_a_crash_makes_it_anew() -> None:
    windows = [counted(300, seed=seed, shift=1.0) for seed in range(40)]
    first, second = told_over(windows)[-1], told_over(windows)[-1]
    assert first.drift.waiting
    assert first.drift.waiting == second.drift.waiting


def test_no_event_is_kept_where_nobody_wants_any() -> None:
    total = counted(3_000, shift=1.0)
    assert polled(EMPTY, total, 0.0, about=None).drift.waiting == ()


def test_waiting_events_are_bounded_and_those_given_up_counted() -> None:
    found = told_over([counted(300, seed=seed, shift=1.0) for seed in range(40)])[-1]
    (event,) = found.drift.waiting
    full = replace(found.drift, waiting=tuple([event] * MOST_WAITING))
    cleared = replace(
        full,
        revisions={"m-1": replace(full.revisions["m-1"], watch=None, stored="", problem="gone")},
    )
    heard = Heard(now=NOW, pods=(POD,), known=frozenset({"m-1"}))
    after = said(cleared, heard, Monitoring(), ABOUT)
    assert len(after.drift.waiting) == MOST_WAITING
    assert after.given_up == 2


def test_nothing_is_told_before_a_monitor_counts_by_our_configuration() -> None:
    assert polled(EMPTY, counted(10), 0.0, config="").findings.revisions == {}


def test_nothing_is_told_between_a_restart_and_the_profile() -> None:
    """Else what was found would be taken back, and found again."""
    found = told_over([counted(300, seed=seed, shift=1.0) for seed in range(40)])[-1]
    assert found.findings.revisions["m-1"].reason in DRIFTED
    manifest = render_kept(drift_ref("team", "m"), "m", found.drift, 1)
    restarted = parse_kept(manifest, "uid-1")
    silent = Heard(now=NOW + 3_000, pods=(POD,), known=frozenset({"m-1"}))
    after = said(advanced(restarted, silent, Monitoring()).drift, silent, Monitoring(), ABOUT)
    assert after.findings.revisions == {}
    assert not after.edge
    assert after.drift.waiting == found.drift.waiting


def test_a_monitor_that_does_not_answer_is_told() -> None:
    found = polled(EMPTY, counted(300), 0.0)
    heard = Heard(now=NOW + 60, pods=(POD,), known=frozenset({"m-1"}))
    taken = advanced(found.drift, heard, Monitoring())
    observation = (
        said(taken.drift, heard, Monitoring(), ABOUT).findings.revisions["m-1"].observation
    )
    assert (observation.monitors, observation.pods, observation.seen) == (0, 1, 300)

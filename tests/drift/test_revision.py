"""What is asked of monitors, and what a revision is compared with."""

from typing import Any

import pytest

from driftline_api.monitor import BaselineState, Summary
from driftline_api.monitoring import Baseline, Monitoring
from driftline_operator.drift.revision import (
    Asks,
    RevisionDrift,
    asks_of,
    config_digest,
    configuration,
    looked,
    replanned,
    with_plan,
    with_profile,
)
from driftline_operator.drift.seen import Increment
from driftline_stats.drift.profile import Counts
from driftline_stats.watch.findings import Reason
from tests.drift.builders import NOW, a_profile, a_summary, counted

USUAL = Monitoring()
NEW = RevisionDrift()


def settled(revision: RevisionDrift = NEW, monitoring: Monitoring = USUAL, **given: Any) -> Summary:
    return a_summary(**{"config": config_digest(revision, monitoring), **given})


def brought(counts: Counts) -> Increment:
    return Increment(counts={counts.plan: counts})


def test_a_monitor_is_told_nothing_but_the_settings_before_anything_is_known() -> None:
    assert configuration(NEW, USUAL).plan is None
    assert config_digest(NEW, USUAL) == configuration(NEW, USUAL).digest


def test_nothing_is_asked_of_a_monitor_that_has_yet_to_be_configured() -> None:
    assert asks_of(NEW, [a_summary(5, counted(5), config="")], USUAL) == Asks()


def test_the_profile_is_asked_for_once() -> None:
    summary = settled(counts=counted(5))
    assert asks_of(NEW, [summary], USUAL) == Asks(profile_of="pod-1")
    known = with_profile(NEW, "m-1", a_profile(), USUAL)
    assert asks_of(known, [summary], USUAL) == Asks()


def test_another_profile_is_asked_for() -> None:
    known = with_profile(NEW, "m-1", a_profile(2_000), USUAL)
    assert asks_of(known, [settled(counts=counted(5))], USUAL) == Asks(profile_of="pod-1")


def test_bins_are_proposed_by_the_monitor_with_the_largest_sample_that_is_large_enough() -> None:
    few = settled(baseline=BaselineState(sampled=900))
    many = settled(pod="pod-2", baseline=BaselineState(sampled=1_500))
    assert asks_of(NEW, [few], USUAL) == Asks()
    assert asks_of(NEW, [few, many], USUAL) == Asks(plan_of="pod-2")


def test_no_bins_are_proposed_where_a_profile_is_refused() -> None:
    refused = BaselineState(problem="it belongs to another model", sampled=5_000)
    assert asks_of(NEW, [settled(baseline=refused)], USUAL) == Asks()


def test_a_proposed_plan_is_told_to_all_and_not_asked_for_again() -> None:
    chosen = with_plan(NEW, a_profile().plan.to_json())
    config = configuration(chosen, USUAL)
    assert config.plan
    assert config.digest == config_digest(chosen, USUAL)
    learned = BaselineState(source="learned")
    assert asks_of(chosen, [settled(chosen, baseline=learned)], USUAL) == Asks()


def test_excluded_features_are_left_out_of_what_is_told() -> None:
    monitoring = Monitoring(exclude=["pay"])
    config = configuration(with_plan(NEW, a_profile().plan.to_json()), monitoring)
    assert config.plan
    assert [each["name"] for each in config.plan["numeric"]] == ["age"]


def test_first_rows_that_differ_from_training_are_skew() -> None:
    revision = with_profile(NEW, "m-1", a_profile(), USUAL)
    for seed in range(40):
        moved = counted(200, seed=seed, shift=1.0)
        revision = looked(revision, brought(moved), USUAL, NOW + 60 * seed)
    assert revision.watch
    assert revision.watch.findings().reason is Reason.TRAINING_SERVING_SKEW


def test_rows_like_training_are_no_drift() -> None:
    revision = with_profile(NEW, "m-1", a_profile(), USUAL)
    for seed in range(40):
        revision = looked(revision, brought(counted(200, seed=seed)), USUAL, NOW + 60 * seed)
    assert revision.watch
    assert revision.watch.findings().reason is Reason.NO_DRIFT


def learn(revision: RevisionDrift, monitoring: Monitoring) -> RevisionDrift:
    for seed in range(30):
        counts = counted(100, seed=seed, shift=1.0)
        revision = looked(revision, brought(counts), monitoring, NOW + seed)
    return revision


def test_the_first_rows_over_all_replicas_become_the_baseline() -> None:
    monitoring = Monitoring(baseline=Baseline(rows=2_000))
    revision = learn(with_plan(NEW, a_profile().plan.to_json()), monitoring)
    assert revision.watch
    assert not revision.watch.plan.trained
    assert revision.watch.plan.unpacked().n_ref >= 2_000
    config = configuration(revision, monitoring)
    assert config.plan, "the monitors go on counting by the same bins"
    assert config.digest == config_digest(with_plan(NEW, a_profile().plan.to_json()), monitoring)


def test_a_profile_that_is_given_later_ends_what_was_learned() -> None:
    monitoring = Monitoring(baseline=Baseline(rows=2_000))
    learned = learn(with_plan(NEW, a_profile().plan.to_json()), monitoring)
    given = Monitoring(baseline=Baseline(uri="s3://bucket/profile.json"))
    after = replanned(learned, "m-1", given)
    assert after.watch is None
    assert configuration(after, given).plan is None


def test_settings_of_today_are_taken_over_and_evidence_is_kept() -> None:
    revision = with_profile(NEW, "m-1", a_profile(), USUAL)
    revision = looked(revision, brought(counted(500)), USUAL, NOW)
    wider = replanned(revision, "m-1", Monitoring(tolerance=0.3))
    assert wider.watch
    assert wider.watch.plan.tolerance == 0.3
    assert revision.watch
    assert wider.watch.state == revision.watch.state
    assert replanned(revision, "m-1", USUAL) is revision


@pytest.mark.parametrize("name", ["m-1", "m-2"])
def test_first_rows_are_accepted_for_the_revision_that_is_named(name: str) -> None:
    accepting = Monitoring(baseline=Baseline(accept="m-1"))
    revision = with_profile(NEW, name, a_profile(), accepting)
    assert revision.watch
    assert revision.watch.plan.accepted == (name == "m-1")

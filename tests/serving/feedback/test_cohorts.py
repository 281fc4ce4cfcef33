"""Counts by the hour of the prediction: bounded, and nothing is lost by that."""

from driftline_serving.monitor.feedback.cohorts import Cohort, Cohorts
from driftline_serving.monitor.feedback.memory import Origin

WAYS = [Origin(), Origin(arm="stable", epoch=1)]


def test_the_oldest_are_added_up_in_one() -> None:
    cohorts = Cohorts(most=10)
    for hour in range(100, 130):
        for way in WAYS:
            cohorts.predicted(Cohort(hour, way), 2)
            cohorts.labelled(Cohort(hour, way), 7, 1)
            cohorts.rewarded(Cohort(hour, way), 3.0)
    report = cohorts.report()
    assert len(report) <= 10
    assert [each.hour for each in report] == sorted(each.hour for each in report)
    assert (report[0].hour, report[0].arm, report[0].epoch) == (0, "", None)
    assert report[-1].hour == 129
    assert sum(each.rows for each in report) == 120
    assert sum(each.labelled for each in report) == 60
    assert sum(count for each in report for _, count in each.losses) == 60
    assert sum(each.delays[1] for each in report) == 60
    assert sum(each.rewards[0] for each in report) == 60
    assert sum(each.rewards[2] for each in report) == 540.0


def test_a_late_label_of_what_was_added_up_moves_nothing_else() -> None:
    cohorts = Cohorts(most=10)
    for hour in range(100, 130):
        cohorts.predicted(Cohort(hour, Origin()), 1)
    before = cohorts.report()
    cohorts.labelled(Cohort(100, Origin()), None, 0)
    after = cohorts.report()
    assert after[1:] == before[1:]
    assert (after[0].labelled, after[0].losses) == (1, [])

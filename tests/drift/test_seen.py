import pytest

from driftline_api.monitor import Faults, Totals
from driftline_operator.drift.seen import CountersError, Increment, Seen, taken_in
from driftline_stats.risk.cbpe import Cbpe
from tests.drift.builders import NOW, a_cohort, a_slot, a_summary, counted, drift_counts, labels


def after(*summaries: object) -> list[Increment]:
    """Take in answers one after the other; return what each brought."""
    seen: Seen | None = None
    found = []
    for summary in summaries:
        seen, increment = taken_in(seen, summary, NOW)  # type: ignore[arg-type]  # summaries all
        found.append(increment)
    return found


def test_the_first_answer_of_a_process_counts_from_nothing() -> None:
    counts = counted(500)
    (first,) = after(a_summary(500, counts))
    assert first.totals.seen == 500
    assert first.counts == {counts.plan: counts}


def test_a_later_answer_counts_only_what_came_since() -> None:
    early, late = counted(500), counted(300, seed=1)
    _, second = after(a_summary(500, early), a_summary(800, early + late))
    assert second.totals.seen == 300
    assert second.counts == {late.plan: late}


def test_a_lost_poll_loses_nothing() -> None:
    parts = [counted(100, seed=seed) for seed in range(3)]
    told = [parts[0], parts[0] + parts[1], parts[0] + parts[1] + parts[2]]
    heard = after(*(a_summary(each.rows, each) for each in (told[0], told[2])))
    assert sum((each.counts[told[0].plan].rows for each in heard), 0) == 300
    assert heard[1].counts[told[0].plan] == parts[1] + parts[2]


def test_another_configuration_counts_anew_while_totals_go_on() -> None:
    before, anew = counted(500), counted(40, seed=1)
    _, second = after(a_summary(500, before), a_summary(540, anew, config="c2"))
    assert second.counts[anew.plan] == anew
    assert second.totals.seen == 40


def test_counters_that_go_back_are_refused() -> None:
    with pytest.raises(CountersError, match="seen went back"):
        after(a_summary(500), a_summary(400))


def test_what_a_monitor_only_concludes_may_be_corrected() -> None:
    more, less = Totals(offered=9, seen=5, lost=4), Totals(offered=9, seen=7, lost=2)
    _, second = after(a_summary(totals=more), a_summary(totals=less))
    assert (second.totals.seen, second.totals.lost) == (2, 0)


def test_labels_of_hours_that_are_told_no_more_are_no_debt() -> None:
    early = labels(a_cohort(1, 100, 10), a_cohort(2, 50))
    _, second = after(a_summary(feedback=early), a_summary(feedback=labels(a_cohort(2, 60))))
    assert [(each.hour, each.rows) for each in second.cohorts] == [(2, 10)]


def test_counts_that_go_back_are_refused() -> None:
    more = counted(500)
    with pytest.raises(CountersError, match="below zero"):
        after(a_summary(500, more), a_summary(500, counted(400)))


def test_answers_of_two_processes_are_never_subtracted() -> None:
    seen, _ = taken_in(None, a_summary(500), NOW)
    with pytest.raises(CountersError, match="process p2 is not p1"):
        taken_in(seen, a_summary(600, process="p2"), NOW)


def test_damaged_counts_are_refused() -> None:
    summary = a_summary(3, counted(3))
    assert summary.drift
    broken = summary.drift.model_copy(
        update={"values": summary.drift.values.model_copy(update={"data": "AAAA"})}
    )
    with pytest.raises(CountersError, match="packed counts"):
        taken_in(None, summary.model_copy(update={"drift": broken}), NOW)


def test_a_slot_is_taken_in_once_and_when_it_is_over() -> None:
    at = int(NOW) - 60
    slots = [a_slot(at, us=[100, 200]), a_slot(int(NOW) - 5, us=[900])]
    first, second, third = after(
        a_summary(3, slots=slots),
        a_summary(3, slots=slots, now=NOW + 30),
        a_summary(3, slots=slots, now=NOW + 60),
    )
    assert [each.latency.total for each in (first, second, third)] == [2, 1, 0]


def test_the_last_summary_of_a_process_brings_its_last_slots() -> None:
    (only,) = after(a_summary(1, slots=[a_slot(int(NOW) - 5, us=[900])], final=True))
    assert only.latency.total == 1


def test_calls_past_the_routers_are_told_apart() -> None:
    slots = [a_slot(int(NOW) - 60, seen=7), a_slot(int(NOW) - 55, seen=2, epoch=None)]
    (only,) = after(a_summary(9, slots=slots))
    assert only.direct == 2


def test_labels_are_subtracted_by_hour() -> None:
    early = labels(a_cohort(1, 100, 10, 1), accepted=10)
    late = labels(a_cohort(1, 100, 30, 4), a_cohort(2, 50), accepted=30, duplicate=1)
    _, second = after(a_summary(feedback=early), a_summary(feedback=late))
    assert second.outcomes == {"accepted": 20, "duplicate": 1}
    old, new = second.cohorts
    assert (old.rows, old.labelled, old.losses, old.delays) == (0, 20, [(0, 17), (100, 3)], [20])
    assert (new.hour, new.rows) == (2, 50)


def test_labels_of_hours_that_a_monitor_adds_up_are_not_counted_twice() -> None:
    early = labels(a_cohort(0, 10, 5), a_cohort(1, 100, 10), a_cohort(2, 50))
    late = labels(a_cohort(0, 110, 16), a_cohort(2, 50, 2))
    _, second = after(a_summary(feedback=early), a_summary(feedback=late))
    assert [(each.hour, each.rows, each.labelled) for each in second.cohorts] == [
        (0, 0, 1),
        (2, 0, 2),
    ]


def test_faults_are_subtracted_by_name_and_kind() -> None:
    _, second = after(
        a_summary(faults=Faults(counts={"age": {"not_a_number": 2}})),
        a_summary(faults=Faults(counts={"age": {"not_a_number": 5}, "x": {"wrong_shape": 1}})),
    )
    assert second.faults == {"age": {"not_a_number": 3}, "x": {"wrong_shape": 1}}


def test_calibration_is_subtracted() -> None:
    import json  # noqa: PLC0415 - of this test alone

    early = Cbpe.of([0.9, 0.2], predicted=[True, False])
    late = early.merge(Cbpe.of([0.7], predicted=[True]))
    told = [json.loads(each.to_json()) for each in (early, late)]
    _, second = after(a_summary(calibration=told[0]), a_summary(calibration=told[1]))
    assert second.calibration == Cbpe.of([0.7], predicted=[True])


def test_increments_of_replicas_add() -> None:
    left, right = counted(100, seed=1), counted(50, seed=2)
    (one,) = after(a_summary(100, left, feedback=labels(a_cohort(1, 5, 2))))
    (other,) = after(a_summary(50, right, process="p2", feedback=labels(a_cohort(1, 3, 1))))
    both = one + other
    assert both.totals == Totals(offered=150, seen=150, counted=150, rows=150)
    assert both.counts[left.plan] == left + right
    assert [(each.rows, each.labelled) for each in both.cohorts] == [(8, 3)]


def test_counts_of_two_plans_stay_apart() -> None:
    mine = counted(10)
    other = drift_counts(mine).model_copy(update={"plan": "another"})
    (one,) = after(a_summary(10, mine))
    (two,) = after(a_summary(10, process="p2", drift=other))
    assert {plan: each.rows for plan, each in (one + two).counts.items()} == {
        mine.plan: 10,
        "another": 10,
    }

"""Who had how many inferences, and what became of them: nothing is lost unnoticed."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftline_api.monitor import MOST_SLOTS
from driftline_serving.monitor.slots import MOST_ENTRIES, Slots
from driftline_serving.monitor.workers import MOST_WORKERS, Tally, Workers
from driftline_serving.tap.frame import Frame
from driftline_serving.tap.layout import Counters
from driftline_serving.tap.records import Inference, Stamp
from driftline_stats.histogram import LatencyHistogram
from tests.serving.monitor.frames import a_frame, an_inference


def frame_of(count: int, counters: Counters, worker: str = "w") -> Frame:
    return a_frame([an_inference()] * count, counters, worker)


def test_what_was_dropped_before_anybody_listened_is_dropped() -> None:
    workers = Workers()
    workers.take(frame_of(2, Counters(offered=12, dropped=10, sent=0)))
    assert workers.tally() == Tally(offered=12, dropped=10)


def test_a_monitor_that_begins_anew_counts_only_what_came_since() -> None:
    workers = Workers()
    workers.take(frame_of(2, Counters(offered=107, dropped=5, sent=100)))
    assert workers.tally() == Tally(offered=2)
    workers.take(frame_of(1, Counters(offered=110, dropped=7, sent=102)))
    assert workers.tally() == Tally(offered=5, dropped=2)


def test_what_was_sent_and_never_came_is_lost() -> None:
    workers = Workers()
    workers.take(frame_of(2, Counters(offered=2)))
    workers.take(frame_of(1, Counters(offered=10, sent=9)))
    assert workers.tally() == Tally(offered=10, lost=7)


def test_workers_that_are_gone_stay_in_the_sums() -> None:
    workers = Workers()
    for number in range(3 * MOST_WORKERS):
        workers.take(frame_of(1, Counters(offered=3, dropped=2), f"w{number}"))
    assert workers.tally() == Tally(offered=9 * MOST_WORKERS, dropped=6 * MOST_WORKERS)
    assert len(workers._known) == MOST_WORKERS


_EVENTS = st.lists(st.sampled_from(["offer", "send", "drop", "cut", "restart"]), max_size=60)


@given(_EVENTS)
def test_counts_reconcile_whatever_happens(events: list[str]) -> None:
    """offered = seen + dropped + lost + waiting, for what was offered since the monitor began."""
    workers, seen = Workers(), 0
    offered = dropped = sent = waiting = 0
    for event in (*events, "send"):
        if event == "offer":
            offered, waiting = offered + 3, waiting + 3
        elif event == "drop":
            dropped, waiting = dropped + waiting, 0
        elif event == "restart":
            workers, seen = Workers(), 0
        elif event == "cut":
            sent, waiting = sent + waiting, 0
        else:
            counters = Counters(offered=offered, dropped=dropped, sent=sent)
            workers.take(frame_of(waiting, counters))
            sent, seen, waiting = sent + waiting, seen + waiting, 0
    tally = workers.tally()
    assert tally.offered == seen + tally.dropped + tally.lost
    assert tally.offered == offered if "restart" not in events and _sent_first(events) else True
    assert tally.offered <= offered


def _sent_first(events: list[str]) -> bool:
    """Whether a frame came before anything that was sent was lost."""
    first = next((each for each in events if each in ("send", "cut")), "send")
    return first == "send"


def stamped(slot: int | None, arm: str = "stable", status: int = 200) -> Inference:
    return an_inference(stamp=Stamp(arm, 7 if slot else None, slot), status=status)


def test_slots_are_those_of_the_router() -> None:
    slots = Slots()
    told = [stamped(1_700_000_003, status=503), stamped(1_700_000_004), stamped(1_700_000_005)]
    slots.take(a_frame([*told, stamped(1_700_000_004, "canary", status=422)]))
    found = {(each.arm, each.slot): each for each in slots.counts()}
    assert set(found) == {
        ("stable", 1_700_000_000), ("stable", 1_700_000_005), ("canary", 1_700_000_000)
    }  # fmt: skip
    first = found["stable", 1_700_000_000]
    assert (first.epoch, first.seen, first.failed, first.rejected) == (7, 2, 1, 0)
    assert found["canary", 1_700_000_000].rejected == 1


def test_where_no_router_stamps_it_is_the_time_of_the_server() -> None:
    slots = Slots()
    slots.take(a_frame([stamped(None, "")]))
    (only,) = slots.counts()
    assert (only.epoch, only.arm, only.slot) == (None, "", 1_700_000_000)


def test_latencies_are_a_histogram_that_the_operator_reads() -> None:
    slots, latencies = Slots(), [0, 99, 1_049, 1_050, 10**12, -5]
    for each in latencies:
        slots.take(a_frame([an_inference(latency_us=each)]))
    (only,) = slots.counts()
    assert only.latency is not None
    found = LatencyHistogram.from_json(json.dumps(only.latency))
    assert found == LatencyHistogram.of([0, *latencies[:-1]])


def test_slots_are_bounded_however_many_are_named() -> None:
    slots = Slots()
    for number in range(3 * MOST_ENTRIES):
        slots.take(a_frame([stamped(5 * number + 5, f"arm{number % 7}")]))
    found = slots.counts()
    assert len({each.slot for each in found}) == MOST_SLOTS
    assert found[-1].slot == 15 * MOST_ENTRIES
    for number in range(3 * MOST_ENTRIES):
        slots.take(a_frame([stamped(5, f"arm{number}")]))
    assert len(slots.counts()) == MOST_ENTRIES


def test_a_slot_is_counted_once_however_frames_are_cut() -> None:
    told = [stamped(1_700_000_000 + at) for at in range(40)]
    whole, parts = Slots(), Slots()
    whole.take(a_frame(told))
    for at in range(0, 40, 7):
        parts.take(a_frame(told[at : at + 7]))
    assert whole.counts() == parts.counts()
    assert sum(each.seen for each in whole.counts()) == 40
    assert np.sum([each.slot % 5 for each in whole.counts()]) == 0

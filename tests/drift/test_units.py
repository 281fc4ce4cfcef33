import random

from driftline_api.monitor import Totals
from driftline_operator.drift.units import Ledger, RouterCounts
from driftline_operator.router.stats import Arm, Outcome
from driftline_operator.router.traffic import RouterInstance

ROUTER = RouterInstance(pod_uid="r1")


def an_outcome(count: int, revision: str = "m-1", epoch: int = 1, code: int = 200) -> Outcome:
    return Outcome(
        arm=Arm(model="m", arm="stable", epoch=epoch),
        served_by=revision,
        code=code,
        grpc=None,
        flags=frozenset(),
        count=count,
    )


def test_units_are_what_a_router_counted_since_it_was_asked() -> None:
    counts, first = RouterCounts().after(ROUTER, [an_outcome(10), an_outcome(1, code=500)])
    counts, second = counts.after(ROUTER, [an_outcome(25), an_outcome(1, code=500)])
    assert (first, second) == ({"m-1": 11}, {"m-1": 15})


def test_each_router_and_each_start_of_it_counts_from_nothing() -> None:
    counts, _ = RouterCounts().after(ROUTER, [an_outcome(10)])
    again = RouterInstance(pod_uid="r1", restarts=1)
    counts, units = counts.after(again, [an_outcome(4)])
    assert units == {"m-1": 4}
    assert set(counts.only({"r1"}).counts) == {"r1/1"}


def test_a_series_that_was_dropped_and_begins_anew_is_not_subtracted() -> None:
    counts, _ = RouterCounts().after(ROUTER, [an_outcome(10), an_outcome(3, epoch=2)])
    counts, units = counts.after(ROUTER, [an_outcome(5, epoch=2)])
    assert units == {"m-1": 2}
    _, units = counts.after(ROUTER, [an_outcome(1), an_outcome(5, epoch=2)])
    assert units == {"m-1": 1}


def test_what_no_server_answered_is_no_unit_of_a_revision() -> None:
    _, units = RouterCounts().after(ROUTER, [an_outcome(10, revision="")])
    assert units == {}


def test_routers_that_are_gone_are_forgotten() -> None:
    counts, _ = RouterCounts().after(ROUTER, [an_outcome(10)])
    assert counts.only({"r2"}) == RouterCounts()


def test_units_reconcile() -> None:
    """router's units = seen + dropped + unobserved, whatever became of each."""
    draw = random.Random(3)
    ledger, lost = Ledger(), 0
    for _ in range(50):
        seen, dropped, unseen, direct = (draw.randrange(20) for _ in range(4))
        lost += unseen
        ledger = ledger.sent(seen + dropped + unseen)
        ledger = ledger.told(Totals(seen=seen + direct, dropped=dropped, rows=seen), direct)
        assert ledger.unobserved == lost
        assert ledger.units == ledger.seen - ledger.direct + ledger.dropped + ledger.unobserved


def test_what_is_on_its_way_is_never_less_than_nothing() -> None:
    assert Ledger().told(Totals(seen=3), 0).unobserved == 0

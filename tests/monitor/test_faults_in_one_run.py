"""Whatever happens to a monitor, clients of the server beside it notice nothing."""

import pytest

from e2e.drift.faults.faults import FAULTS
from e2e.drift.faults.run import ALPHA, Outcome, report, run

SECONDS = 3
RATE = 50


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run(FAULTS, SECONDS, RATE)


@pytest.mark.timeout(240)
def test_every_request_is_answered(outcome: Outcome) -> None:
    assert outcome.failed == 0, report(outcome)
    assert outcome.sent >= 0.95 * SECONDS * RATE * (2 * len(FAULTS) + 1)


def test_clients_wait_no_longer_than_in_quiet_spells(outcome: Outcome) -> None:
    assert outcome.p_value >= ALPHA, report(outcome)


def test_counts_add_up_to_what_was_sent(outcome: Outcome) -> None:
    assert 0 <= outcome.unobserved <= outcome.lost, report(outcome)
    assert outcome.totals.offered >= outcome.totals.seen


def test_the_monitor_was_started_again_for_each_time_it_died(outcome: Outcome) -> None:
    assert outcome.starts >= 2, "the kill at least ends one"

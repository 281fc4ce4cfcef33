"""Fewer rows under overload, and those that are left stand for all."""

import uuid

import numpy as np
import pytest

from driftline_serving.monitor.sampling import LOWEST, Governor, chosen
from driftline_serving.server.prediction_id import PredictionIds
from driftline_serving.server.tensors import Array


def ids(count: int) -> Array:
    """Ids as one pod makes them, a thousand in a millisecond."""
    made = PredictionIds(0xABCD, np.random.default_rng(3).bytes)
    raw = b"".join(uuid.UUID(made(1_700_000_000_000 + at // 1000)).bytes for at in range(count))
    return np.frombuffer(raw, np.uint8).reshape(count, 16)


IDS = ids(40_000)


@pytest.mark.parametrize("rate", [0.5, 0.25, 2**-5])
def test_the_share_is_the_rate(rate: float) -> None:
    found = int(chosen(IDS, rate).sum())
    deviation = np.sqrt(len(IDS) * rate * (1 - rate))
    assert abs(found - rate * len(IDS)) < 4 * deviation


def test_all_are_chosen_at_a_rate_of_one() -> None:
    assert chosen(IDS, 1.0).all()


def test_those_of_a_lower_rate_are_among_those_of_a_higher() -> None:
    assert not (chosen(IDS, 0.125) & ~chosen(IDS, 0.25)).any()


def test_neighbours_are_chosen_independently() -> None:
    found = chosen(IDS, 0.5)
    both = (found[1:] & found[:-1]).mean()
    assert abs(both - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(IDS))


def test_it_does_not_matter_how_frames_are_cut() -> None:
    parts = [chosen(IDS[at : at + 77], 0.25) for at in range(0, len(IDS), 77)]
    assert np.array_equal(np.concatenate(parts), chosen(IDS, 0.25))


class Machine:
    """A second passes at each look, of which some was taken."""

    def __init__(self, share: float) -> None:
        self.now = self.used = 0.0
        self.governor = Governor(share, clock=lambda: self.now, cpu=lambda: self.used)

    def second(self, used: float) -> float:
        self.now, self.used = self.now + 1, self.used + used
        return self.governor.look()


def test_one_bad_second_changes_nothing() -> None:
    machine = Machine(0.25)
    assert [machine.second(used) for used in (1.0, 0.1, 1.0, 0.1)] == [1.0] * 4


def test_the_rate_falls_until_the_share_is_kept_and_no_further() -> None:
    """Counting all takes .8 of a CPU, and .05 are taken whatever is counted."""
    machine = Machine(0.25)
    rate = 1.0
    rates = [rate := machine.second(0.05 + 0.8 * rate) for _ in range(20)]
    assert rates[-10:] == [0.25] * 10


def test_the_rate_recovers_when_the_load_has_gone() -> None:
    machine = Machine(0.25)
    for _ in range(30):
        machine.second(1.0)
    assert machine.governor.rate == LOWEST
    for _ in range(10):
        machine.second(0.01)
    assert machine.governor.rate == 1.0


def test_a_pause_is_no_load() -> None:
    """After SIGSTOP the clock has gone on, the CPU time has not."""
    machine = Machine(0.25)
    machine.now += 3600
    assert machine.second(0.3) == 1.0

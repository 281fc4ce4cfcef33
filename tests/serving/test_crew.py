"""When workers are started again, and when their end is that of all; with a clock of our own."""

import os
import signal
from collections.abc import Iterator

import pytest

from driftline_serving.errors import WorkerError
from driftline_serving.server.board import Board, State
from driftline_serving.server.crew import FIRST_PAUSE, LONG_LIFE, LONGEST_PAUSE, SILENCE, Crew
from driftline_serving.server.measures import PLACES, Measures
from tests.serving.processes import until

SLEEP = "/bin/sleep"


class Scene:
    """Two workers that do nothing; what they are said to do, the test writes on their desks."""

    def __init__(self) -> None:
        self.board = Board.create(2, PLACES)
        self.started: list[tuple[int, bool]] = []
        self.pids: dict[int, int] = {}
        self.crew = Crew(self.board, self._launch)

    def _launch(self, number: int, late: bool) -> int:
        self.started.append((number, late))
        pid = self.pids[number] = os.posix_spawn(SLEEP, [SLEEP, "1000"], {})
        return pid

    def all_ready(self, now: float) -> None:
        self.crew.look(now)
        for desk in self.board.desks:
            desk.state = State.READY
            desk.heartbeat = now
        self.crew.look(now)

    def kill(self, number: int) -> None:
        pid = self.pids[number]
        os.kill(pid, signal.SIGKILL)
        until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None, "it is dead")

    def count(self) -> int:
        return sum(number == 0 for number, _ in self.started)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.crew.dismiss(signal.SIGKILL)
    until(lambda: bool(list(scene.crew.reap())) or scene.crew.is_empty, "all are gone")
    while not scene.crew.is_empty:
        list(scene.crew.reap())


def test_ready_once_all_are_and_from_then_on_while_one_is(scene: Scene) -> None:
    scene.crew.look(1.0)
    scene.board.desks[0].state = State.READY
    scene.crew.look(1.0)
    assert (scene.crew.ready, scene.board.is_ready) == (1, False)
    scene.all_ready(1.0)
    assert scene.board.is_ready
    scene.kill(0)
    scene.crew.look(2.0)
    assert (scene.crew.ready, scene.board.is_ready) == (1, True)
    scene.kill(1)
    scene.crew.look(2.0)
    assert (scene.crew.ready, scene.board.is_ready) == (0, False)


def test_the_first_come_early_and_those_who_replace_them_late(scene: Scene) -> None:
    scene.all_ready(1.0)
    scene.kill(1)
    scene.crew.look(2.0)
    scene.crew.look(2.0 + FIRST_PAUSE)
    assert scene.started == [(0, False), (1, False), (1, True)]
    assert scene.crew.restarts == 1


def test_the_pause_doubles_while_it_dies_young_and_is_bounded(scene: Scene) -> None:
    now = 1.0
    scene.all_ready(now)
    pauses = []
    for _ in range(12):
        scene.kill(0)
        scene.crew.look(now)
        before, died = scene.count(), now
        while scene.count() == before:
            now += FIRST_PAUSE
            scene.board.desks[1].heartbeat = now
            scene.crew.look(now)
        pauses.append(now - died)
    expected = [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(12)]
    assert pauses == pytest.approx(expected, abs=2 * FIRST_PAUSE)
    now += LONG_LIFE
    scene.board.desks[1].heartbeat = now
    scene.kill(0)
    scene.crew.look(now)
    scene.crew.look(now + FIRST_PAUSE)
    assert scene.count() == 14, "it had lived long"


def test_a_death_before_all_were_ready_ends_all(scene: Scene) -> None:
    scene.crew.look(1.0)
    scene.kill(0)
    with pytest.raises(
        WorkerError, match=r"worker 0 ended by signal 9 \(.*\) before all"
    ) as caught:
        scene.crew.look(2.0)
    assert (caught.value.code, caught.value.left) == (137, b"")


def test_a_worker_that_leaves_its_reason_ends_all_at_any_time(scene: Scene) -> None:
    scene.all_ready(1.0)
    scene.board.desks[1].message = b'{"reason": "ArtifactInvalid"}'
    scene.kill(1)
    with pytest.raises(WorkerError) as caught:
        scene.crew.look(2.0)
    assert caught.value.left == b'{"reason": "ArtifactInvalid"}'


def test_a_worker_that_hangs_is_killed(scene: Scene) -> None:
    scene.all_ready(1.0)
    scene.board.desks[1].heartbeat = 1.0 + SILENCE
    scene.crew.look(1.0 + SILENCE)
    assert scene.crew.restarts == 0
    scene.crew.look(1.1 + SILENCE)

    def is_missed() -> bool:
        scene.crew.look(1.1 + SILENCE)
        return scene.crew.ready == 1

    until(is_missed, "its death is seen")
    scene.crew.look(1.2 + SILENCE + FIRST_PAUSE)
    assert scene.started[2:] == [(0, True)]


def test_what_the_dead_have_counted_is_kept_and_their_desk_is_cleared(scene: Scene) -> None:
    scene.all_ready(1.0)
    for _ in range(2):
        measures = Measures(scene.board.desks[0].counters)
        measures.refused("http", 200)
        measures.computed(3, 5)
        measures.holds(7, 1)
        scene.kill(0)
        scene.crew.look(2.0)
        assert not any(scene.board.desks[0].counters)
        scene.crew.look(3.0)
    assert scene.crew.retired[0] == 2
    assert sum(scene.crew.retired) == 2 + 2 * (1 + 3 + 1 + 5)

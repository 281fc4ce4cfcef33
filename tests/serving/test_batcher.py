"""Calls that arrive together are joined, and nobody can tell by the answers."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.errors import InferenceError, RequestError, UnavailableError
from driftline_serving.server.batcher import (
    MOST_ROWS,
    MOST_ROWS_INLINE,
    Batcher,
    Results,
    rows_of,
    run_together,
)
from driftline_serving.server.tensors import Array, Datatype, Signature, TensorSpec
from driftline_serving.server.trial import Trial

FAST = Trial(joins=True, reason="", fixed=1e-6, per_row=0.0)
DEAR = Trial(joins=True, reason="", fixed=1.0, per_row=0.0)
ALONE = Trial(joins=False, reason="", fixed=1e-6, per_row=0.0)
FOREVER = float("inf")


class Doubler:
    """Doubles each row; refuses 13, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.threads: list[str] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        axis = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, -1))
        self.signature = Signature(inputs=(axis,), outputs=(axis,))

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        self.batches.append(len(inputs["x"]))
        self.threads.append(threading.current_thread().name)
        self.begun.set()
        assert self.go_on.wait(10)
        if (inputs["x"] == 13).any():
            raise RequestError("13 brings bad luck")
        return [inputs["x"] * 2 for _ in outputs]


@dataclass(eq=False, kw_only=True)
class Kept:
    """A call whose results go wherever one likes; see `batcher.Call`."""

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    rows: int
    size: int
    deliver: Callable[[Results], None]
    expires: float
    abandoned: bool = False


class Asked:
    """A call and what came of it."""

    def __init__(self, value: float, rows: int = 1, columns: int = 1, **more: Any) -> None:
        self.got: asyncio.Future[Results] = asyncio.get_running_loop().create_future()
        inputs = {"x": np.full((rows, columns), value, dtype=np.float32)}
        self.call = Kept(
            inputs=inputs,
            outputs=more.pop("outputs", ("x",)),
            rows=rows_of(inputs),
            size=inputs["x"].size,
            deliver=self.got.set_result,
            expires=more.pop("expires", FOREVER),
        )

    async def value(self) -> float:
        """Return the one value that the answer is full of."""
        found = await asyncio.wait_for(self.got, 10)
        assert isinstance(found, list), found
        (value,) = set(found[0].ravel().tolist())
        return float(value)


def a_batcher(engine: Doubler, trial: Trial) -> Batcher:
    return Batcher(engine, trial, runs=1)


async def begun(engine: Doubler) -> None:
    """Wait until the first batch runs."""
    await asyncio.to_thread(engine.begun.wait, 10)


async def test_what_one_turn_receives_is_one_run_in_the_loop() -> None:
    engine = Doubler()
    batcher = a_batcher(engine, FAST)
    asked = [Asked(value, rows=1 + value) for value in range(3)]
    for each in asked:
        batcher.submit(each.call)
    assert engine.batches == []
    assert [await each.value() for each in asked] == [0, 2, 4]
    assert engine.batches == [6]
    assert engine.threads == [threading.current_thread().name]


async def test_other_shapes_and_other_outputs_do_not_join() -> None:
    engine = Doubler()
    batcher = a_batcher(engine, FAST)
    asked = [Asked(1), Asked(2, columns=2), Asked(3, outputs=("x", "x")), Asked(4)]
    for each in asked:
        batcher.submit(each.call)
    assert [await each.value() for each in asked] == [2, 4, 6, 8]
    assert sorted(engine.batches) == [1, 1, 2]


async def test_what_must_not_be_joined_runs_alone() -> None:
    engine = Doubler()
    batcher = a_batcher(engine, ALONE)
    asked = [Asked(value) for value in range(4)]
    for each in asked:
        batcher.submit(each.call)
    assert [await each.value() for each in asked] == [0, 2, 4, 6]
    assert engine.batches == [1, 1, 1, 1]


async def test_a_bad_row_fails_alone() -> None:
    engine = Doubler()
    batcher = a_batcher(engine, FAST)
    asked = [Asked(value) for value in (12, 13, 14)]
    for each in asked:
        batcher.submit(each.call)
    assert (await asked[0].value(), await asked[2].value()) == (24, 28)
    assert isinstance(await asked[1].got, RequestError)


async def test_what_arrives_while_a_thread_is_busy_is_the_next_batch() -> None:
    engine = Doubler()
    engine.go_on.clear()
    batcher = a_batcher(engine, DEAR)
    first, *others = [Asked(value) for value in range(5)]
    batcher.submit(first.call)
    await begun(engine)
    for each in others:
        batcher.submit(each.call)
        await asyncio.sleep(0)
    engine.go_on.set()
    assert [await each.value() for each in (first, *others)] == [0, 2, 4, 6, 8]
    assert engine.batches == [1, 4]
    assert all(name.startswith("infer") for name in engine.threads)


async def test_many_rows_leave_the_loop_alone() -> None:
    engine = Doubler()
    asked = Asked(1, rows=MOST_ROWS_INLINE + 1)
    a_batcher(engine, FAST).submit(asked.call)
    assert await asked.value() == 2
    assert engine.threads[0].startswith("infer")


async def test_a_batch_has_a_largest_size() -> None:
    engine = Doubler()
    engine.go_on.clear()
    batcher = a_batcher(engine, DEAR)
    asked = [Asked(value, rows=100) for value in range(6)]
    for each in asked:
        batcher.submit(each.call)
    engine.go_on.set()
    assert [await each.value() for each in asked] == [0, 2, 4, 6, 8, 10]
    assert engine.batches == [200, 200, 200]
    assert max(engine.batches) <= MOST_ROWS


async def test_a_model_whose_pace_depends_on_values_leaves_the_loop() -> None:
    engine = Doubler()
    times = iter([0, 1, 1, 1, 2, 3, 4, 5, 6, 7])
    batcher = Batcher(engine, FAST, runs=1, clock=lambda: float(next(times)))
    for value in range(6):
        asked = Asked(value)
        batcher.submit(asked.call)
        assert await asked.value() == 2 * value
    assert [name.startswith("infer") for name in engine.threads] == [False] * 5 + [True]


async def test_what_nobody_waits_for_is_not_computed() -> None:
    engine = Doubler()
    engine.go_on.clear()
    batcher = a_batcher(engine, DEAR)
    first, gone, late = Asked(1), Asked(2), Asked(3, expires=0.0)
    batcher.submit(first.call)
    await begun(engine)
    for each in (gone, late):
        batcher.submit(each.call)
    gone.call.abandoned = True
    engine.go_on.set()
    assert await first.value() == 2
    assert isinstance(await late.got, UnavailableError)
    assert isinstance(await gone.got, UnavailableError)
    assert engine.batches == [1]


async def test_the_dead_can_be_dropped_before_a_thread_is_free() -> None:
    engine = Doubler()
    engine.go_on.clear()
    batcher = a_batcher(engine, DEAR)
    first, gone, alive = Asked(1), Asked(2), Asked(3)
    batcher.submit(first.call)
    await begun(engine)
    for each in (gone, alive):
        batcher.submit(each.call)
    await asyncio.sleep(0)
    gone.call.abandoned = True
    batcher.drop_dead()
    assert (gone.got.done(), first.got.done()) == (True, False)
    engine.go_on.set()
    assert (await first.value(), await alive.value()) == (2, 6)


async def test_an_answer_that_cannot_be_delivered_costs_nobody_else_theirs() -> None:
    batcher = a_batcher(Doubler(), ALONE)
    bad, good = Asked(1), Asked(2)
    bad.call.deliver = lambda _: [].pop()
    batcher.submit(bad.call)
    batcher.submit(good.call)
    assert await good.value() == 4


async def test_runs_of_one_turn_share_what_time_the_loop_has() -> None:
    engine = Doubler()
    trial = Trial(joins=False, reason="", fixed=0.0009)
    batcher = a_batcher(engine, trial)
    asked = [Asked(value) for value in range(4)]
    for each in asked:
        batcher.submit(each.call)
    assert [await each.value() for each in asked] == [0, 2, 4, 6]
    assert [name.startswith("infer") for name in engine.threads] == [False, False, True, True]


async def test_a_bug_is_told_as_the_models_failure() -> None:
    class Broken(Doubler):
        def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
            raise KeyError(*inputs, *outputs)

    asked = Asked(1)
    a_batcher(Broken(), FAST).submit(asked.call)
    assert isinstance(await asked.got, InferenceError)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_each_gets_its_own_rows_back(lengths: list[int]) -> None:
    calls = [
        Kept(
            inputs={"x": np.arange(length, dtype=np.float32)[:, None] + 100 * number + 0.5},
            outputs=("x",),
            rows=length,
            size=length,
            deliver=lambda _: None,
            expires=FOREVER,
        )
        for number, length in enumerate(lengths)
    ]
    answers = [each for each in run_together(Doubler(), calls) if isinstance(each, list)]
    assert len(answers) == len(calls)
    for call, answer in zip(calls, answers, strict=True):
        np.testing.assert_array_equal(answer[0], call.inputs["x"] * 2)

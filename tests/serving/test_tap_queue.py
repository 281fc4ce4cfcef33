"""What waits to be told is bounded, and so is what is told of large tensors."""

import sys
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.server.tensors import Array, Datatype
from driftline_serving.tap import portions as cut
from driftline_serving.tap.decode import decode
from driftline_serving.tap.encode import Payload
from driftline_serving.tap.layout import Counters
from driftline_serving.tap.portions import LARGEST, SMALL, Allowance
from driftline_serving.tap.queue import Queue, Room
from driftline_serving.tap.records import Inference, Omitted, Tensors
from driftline_serving.tap.size import held_bytes
from tests.serving.tap_frames import (
    SOURCE,
    a_batch,
    an_inference,
    inferences,
    payloads,
    same,
    waiting,
)


def opened(frames: list[Payload]) -> list[Inference]:
    whole = [decode(each.header(Counters()) + each.content) for each in frames]
    return [inference for frame in whole for inference in frame.inferences()]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 10)), max_size=40),
    st.integers(5, 20),
    st.integers(10, 30),
    st.integers(),
)
def test_the_oldest_give_way_and_everyone_is_accounted_for(
    portions: list[tuple[int, int]], count: int, size: int, taking: int
) -> None:
    queue, taken = Queue(Room(count=count, size=size)), []
    for number, (rows, length) in enumerate(portions):
        queue.put(waiting([an_inference(number)] * rows, length))
        assert queue.count <= count
        assert queue.size <= size
        if taking >> number & 1 and (some := queue.take()):
            taken.append(some)
    while (some := queue.take()) is not None:
        taken.append(some)
    numbers = [UUID(each.batch().ids[0]).int for each in taken]
    assert numbers == sorted(numbers)
    assert numbers[-1:] == [len(portions) - 1][: len(portions)]
    assert queue.offered == sum(rows for rows, _ in portions)
    assert queue.offered == queue.dropped + sum(each.count for each in taken)
    assert (queue.count, queue.size) == (0, 0)


def test_what_is_given_up_is_dropped() -> None:
    queue = Queue(Room())
    queue.put(waiting([an_inference()] * 3))
    queue.clear()
    assert (queue.offered, queue.dropped, queue.count, queue.size) == (3, 3, 0, 0)


def test_a_view_counts_as_what_it_keeps_from_being_freed() -> None:
    body = bytes(1000)
    assert held_bytes(np.frombuffer(memoryview(body)[8:16], np.int64).reshape(1, 1)) == 1000
    assert held_bytes(np.zeros((64, 2), np.float32)[3:4]) == 8
    words = np.array(["word" * 100, ""], dtype=object)
    assert held_bytes(words) > 400


@given(st.lists(inferences, max_size=5))
def test_frames_hold_what_was_offered_in_its_order(told: list[Inference]) -> None:
    found = opened(payloads(told))
    assert all(same(one, other) for one, other in zip(told, found, strict=True))


@given(inferences, st.integers(1, 3))
def test_inferences_that_are_alike_are_written_with_less_ado(told: Inference, count: int) -> None:
    found = opened(payloads([told] * count))
    assert all(same(told, other) for other in found)
    assert len(found) == count


def test_a_frame_takes_256_or_about_a_mebibyte() -> None:
    many = [an_inference(number) for number in range(600)]
    assert [frame.count for frame in payloads(many)] == [256, 256, 88]
    assert all(same(*pair) for pair in zip(opened(payloads(many)), many, strict=True))
    large = [an_inference(number, rows=20_000) for number in range(6)]
    sizes = [len(frame.content) for frame in payloads(large)]
    assert len(sizes) == 3
    assert max(sizes) < 2 * LARGEST
    assert all(same(*pair) for pair in zip(opened(payloads(large)), large, strict=True))


def floats(mebibytes: float) -> Array:
    return np.zeros((1, int(mebibytes * LARGEST / 4)), np.float32)


def told_of(inputs: Tensors, rate: float = 1e12) -> Tensors:
    (found,) = opened(payloads([an_inference()._replace(inputs=inputs, outputs={})], rate))
    return found.inputs


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ((1.0,), [True]),
        ((1.01,), [False]),
        ((1.01, 0.01), [False, True]),
        ((0.3, 0.3, 0.3), [True, True, True]),
        ((0.01, 0.02, 3, 0.003), [True, False, False, True]),
        ((0.01, 0.01, 3), [False, False, False]),
    ],
)
def test_of_what_is_too_large_the_largest_are_left_out(
    sizes: tuple[float, ...], kept: list[bool]
) -> None:
    inputs = {str(place): floats(size) for place, size in enumerate(sizes)}
    found = told_of(inputs)
    assert [isinstance(each, np.ndarray) for each in found.values()] == kept
    for name, each in found.items():
        if isinstance(each, Omitted):
            assert each == Omitted(Datatype.FP32, inputs[name].shape)


def test_strings_count_with_all_their_characters() -> None:
    words = np.array(["word" * SMALL, ""], dtype=object)
    assert told_of({"words": words}, rate=1) == {"words": Omitted(Datatype.BYTES, (2,))}
    few = np.array(["a"], dtype=object)
    assert isinstance(told_of({"words": few}, rate=1)["words"], np.ndarray)


def test_only_so_much_is_told_of_large_inferences_in_a_second() -> None:
    now = 0.0
    allowance = Allowance(rate=1_000_000, clock=lambda: now)

    def told(count: int) -> int:
        image = an_inference()._replace(inputs={"image": floats(0.25)})
        found = opened(list(cut.portions(a_batch([image] * count), SOURCE, allowance)))
        assert len(found) == count
        assert all(isinstance(each.outputs["label"], np.ndarray) for each in found)
        return sum(isinstance(each.inputs["image"], np.ndarray) for each in found)

    assert told(5) == 3
    assert told(5) == 0
    now = 0.5
    assert told(5) == 2
    now = 100.0
    assert told(9) == 3


def test_small_inferences_are_told_however_many_there_are() -> None:
    allowance = Allowance(rate=1, clock=lambda: 0.0)
    many = [an_inference(number, rows=1 + number % 2) for number in range(1000)]
    found = opened(list(cut.portions(a_batch(many), SOURCE, allowance)))
    assert all(same(*pair) for pair in zip(found, many, strict=True))


def test_frames_stay_far_below_what_readers_take() -> None:
    wide = np.zeros((1, SMALL // 4), np.float32)
    frames = payloads([an_inference()._replace(inputs={"x": wide}, outputs={})] * 256)
    assert max(sys.getsizeof(frame.content) for frame in frames) < 5 * LARGEST

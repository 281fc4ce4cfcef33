"""The border of the model server under bytes that nobody would send, as the fuzzer judges it.

`make test-long` has the fuzzer seek them; here hypothesis draws some.
"""

import gc
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e.fuzz import reference, wire
from e2e.fuzz.mutate import MUTATORS
from e2e.fuzz.oracles import MODELS, ORACLES, Broken
from e2e.fuzz.seeds import corpus

CORPUS = corpus()
#: How often requests are played again, and bytes of what each would leave behind: no object of
#: Python's is smaller.
TIMES = 10
SMALLEST_LEAK = 32


@pytest.mark.parametrize("target", ORACLES)
def test_what_the_fuzzer_begins_with_is_right(target: str) -> None:
    for data in CORPUS[target]:
        ORACLES[target](data)


def test_the_fuzzer_begins_with_requests_that_are_taken() -> None:
    for data in CORPUS["json"]:
        assert reference.read(data[1:], None, MODELS[data[0]])
    answers = [wire.responses([data[1:]]) for data in CORPUS["http"]]
    assert {response.status for each in answers for response in each} == {200, 404}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(MUTATORS)), st.data(), st.integers(0, 2**32))
def test_a_request_with_a_change_is_read_as_a_naive_reader_would(
    target: str, data: st.DataObject, seed: int
) -> None:
    changed = MUTATORS[target](data.draw(st.sampled_from(CORPUS[target])), seed)
    if changed is not None:
        ORACLES[target](changed)


SPLICES = st.tuples(st.integers(0, 4000), st.integers(0, 40), st.binary(max_size=20))


def spliced(data: bytes, splices: list[tuple[int, int, bytes]]) -> bytes:
    """Cut pieces out, and put others in their place."""
    for at, length, piece in splices:
        at %= len(data) + 1  # noqa: PLW2901 - from here on it lies inside
        data = data[:at] + piece + data[at + length :]
    return data


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(ORACLES)), st.data(), st.lists(SPLICES, min_size=1, max_size=3))
def test_no_bytes_break_what_must_hold(
    target: str, data: st.DataObject, splices: list[tuple[int, int, bytes]]
) -> None:
    ORACLES[target](spliced(data.draw(st.sampled_from(CORPUS[target])), splices))


@pytest.mark.parametrize("target", ORACLES)
def test_nothing_is_kept_of_requests_that_are_over(target: str) -> None:
    """Right ones and broken ones, many times: memory is as it was after the first of them."""
    inputs = [
        data[:cut] for data in CORPUS[target][::2][:15] for cut in (len(data), len(data) // 2)
    ]
    judge = ORACLES[target]

    def play() -> None:
        for data in inputs:
            judge(data)

    assert growth(play) < SMALLEST_LEAK * len(inputs) * TIMES


def growth(work: Callable[[], None]) -> float:
    """Return the bytes by which memory grows whenever work is done `TIMES` times more.

    The least of some measurements: the interpreter's lists of what it keeps for later use fill
    once, and a leak never stops.
    """
    tracemalloc.start()
    try:
        sizes = [size_after(work) for _ in range(4)]
    finally:
        tracemalloc.stop()
    return min(after - before for before, after in pairwise(sizes))


def size_after(work: Callable[[], None]) -> int:
    for _ in range(TIMES):
        work()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_growth_would_be_seen() -> None:
    kept: list[bytes] = []
    assert growth(lambda: kept.extend(bytes(SMALLEST_LEAK) for _ in range(30))) > (
        SMALLEST_LEAK * 30 * TIMES
    )


def test_what_is_wrong_would_be_seen() -> None:
    """The judge is not deaf: a body whose values the codec reads is not what a changed one says."""
    number = next(n for n, m in enumerate(MODELS) if m.inputs[0].datatype == "FP32")
    body = CORPUS["json"][number * 12]
    with pytest.raises(reference.Refused):
        reference.read(body[1:-1], None, MODELS[body[0]])
    with pytest.raises(wire.Wrong):
        list(wire._heard(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"))
    with pytest.raises(wire.Wrong):
        list(wire._heard(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}"))
    assert issubclass(Broken, AssertionError)

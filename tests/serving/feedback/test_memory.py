"""What is remembered, and that it is bounded."""

import tracemalloc
from dataclasses import replace
from uuid import UUID

import numpy as np

from driftline_serving.monitor.feedback.memory import Memory, Origin, Told
from driftline_serving.monitor.feedback.seen import Seen
from driftline_serving.server.prediction_id import PredictionIds


def ids_of(count: int, start_ms: int = 1_767_268_800_000, per_ms: int = 3) -> list[UUID]:
    make = PredictionIds(0xABCD)
    return [UUID(make(start_ms + at // per_ms)) for at in range(count)]


def told(ids: list[UUID], first: int = 0, width: int = 1, rows: int = 1) -> Told:
    numbers = np.repeat(np.arange(first, first + len(ids)), rows)
    return Told(
        ids=np.frombuffer(b"".join(each.bytes for each in ids), np.uint8).reshape(-1, 16),
        origins=[Origin(), Origin(arm="canary", epoch=3)],
        origin=np.arange(first, first + len(ids)) % 2,
        rows=np.full(len(ids), rows, np.int64),
        values=np.tile(numbers[:, None].astype(np.float64), width),
    )


def test_the_newest_predictions_are_found_whatever_the_order_of_their_ids() -> None:
    ids = ids_of(20_000)
    mixed = [ids[at] for at in np.random.default_rng(1).permutation(len(ids))]
    memory = Memory()
    for first in range(0, len(mixed), 100):
        memory.add(told(mixed[first : first + 100], first, rows=2))
    for place in (0, 1, 99, 100, 7_777, 19_999):
        found = memory.find(mixed[place].bytes)
        assert found is not None
        assert found.values is not None
        assert (found.rows, found.values.tolist()) == (2, [[place], [place]])
        assert found.origin == (Origin(arm="canary", epoch=3) if place % 2 else Origin())
    assert memory.find(ids_of(1)[0].bytes) is None
    assert memory.find(bytes(16)) is None


def test_it_forgets_the_oldest_and_never_takes_more_than_it_may() -> None:
    ids = ids_of(200_000)
    memory = Memory(most=1_000_000)
    tracemalloc.start()
    try:
        for first in range(0, len(ids), 256):
            memory.add(told(ids[first : first + 256], first))
            assert memory.size <= 1_000_000
        memory.find(ids[-1].bytes)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2_000_000
    assert memory.count > 20_000
    assert memory.find(ids[0].bytes) is None
    assert memory.find(ids[-memory.count].bytes) is not None


def test_predictions_that_come_one_by_one_take_no_more_memory() -> None:
    ids = ids_of(20_000)
    memory = Memory()
    each = [told([one], number) for number, one in enumerate(ids)]
    tracemalloc.start()
    try:
        for one in each:
            memory.add(one)
        memory.count  # noqa: B018 - what waits is laid into one
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * memory.size
    found = memory.find(ids[12_345].bytes)
    assert found is not None
    assert found.values is not None
    assert found.values.tolist() == [[12_345]]


def test_what_has_no_values_and_what_has_stand_side_by_side() -> None:
    ids = ids_of(300)
    memory = Memory()
    for number, one in enumerate(ids):
        known = told([one], number, rows=number % 3 + 1)
        memory.add(known if number % 2 else replace(known, values=None))
    for number, one in enumerate(ids):
        found = memory.find(one.bytes)
        assert found is not None
        expected = [[number]] * (number % 3 + 1) if number % 2 else None
        assert (found.values.tolist() if found.values is not None else None) == expected


def test_a_prediction_too_large_to_keep_is_remembered_without_its_values() -> None:
    (one,) = ids_of(1)
    memory = Memory(most=64_000)
    memory.add(told([one], rows=1_000))
    found = memory.find(one.bytes)
    assert found is not None
    assert (found.rows, found.values) == (1_000, None)


def test_epochs_without_end_do_not_make_it_grow() -> None:
    ids = ids_of(10_000)
    memory = Memory()
    for epoch, one in enumerate(ids):
        each = told([one])
        origins = [Origin(arm="stable", epoch=epoch)]
        memory.add(
            Told(ids=each.ids, origins=origins, origin=each.origin, rows=each.rows, values=None)
        )
    last, early = memory.find(ids[-1].bytes), memory.find(ids[7].bytes)
    assert last is not None
    assert early is not None
    assert (early.origin.epoch, last.origin) == (7, Origin())


def test_the_first_value_of_a_row_is_told_from_the_same_and_another() -> None:
    seen = Seen()
    assert seen.first(b"row", b"1") == "new"
    assert seen.first(b"row", b"1") == "same"
    assert seen.first(b"row", b"2") == "other"
    assert seen.first(b"row", b"1") == "same"
    assert seen.first(b"another", b"1") == "new"


def test_rows_with_a_label_are_remembered_in_fixed_memory() -> None:
    seen = Seen(rows=2**12)
    size = seen.size
    keys = [at.to_bytes(4) for at in range(20_000)]
    assert {seen.first(key, b"") for key in keys} == {"new"}
    recent = [seen.first(key, b"") for key in keys[-1_000:]]
    assert recent.count("same") > 990
    assert seen.first(keys[0], b"") == "new"
    assert seen.size == size < 60_000

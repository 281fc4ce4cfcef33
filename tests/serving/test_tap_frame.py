"""The tap's frames, both ways, and whatever else a reader may be sent."""

import contextlib
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.server.tensors import Datatype
from driftline_serving.tap import layout
from driftline_serving.tap.columns import groups
from driftline_serving.tap.decode import decode
from driftline_serving.tap.encode import encode
from driftline_serving.tap.layout import Counters, FrameError
from driftline_serving.tap.records import Inference, Omitted
from tests.serving.tap_frames import SOURCE, a_batch, an_inference, inferences, same

COUNTED = Counters(offered=9, dropped=2, sent=3)
COUNTS = st.integers(0, 2**63 - 1)


def frame(*told: Inference, counters: Counters = COUNTED) -> bytes:
    batch = a_batch(told)
    payload = encode(batch, groups(batch.inputs, batch.outputs), SOURCE)
    return payload.header(counters) + payload.content


def read(data: bytes) -> list[Inference]:
    return list(decode(data).inferences())


@given(st.lists(inferences, max_size=5), COUNTS, COUNTS, COUNTS)
def test_what_is_written_is_read_back(
    told: list[Inference], offered: int, dropped: int, sent: int
) -> None:
    counters = Counters(offered=offered, dropped=dropped, sent=sent)
    found = decode(frame(*told, counters=counters))
    assert (found.source, found.counters, found.count) == (SOURCE, counters, len(told))
    assert all(same(one, other) for one, other in zip(told, found.inferences(), strict=True))


@given(inferences, st.lists(st.integers(0, 2), max_size=6))
def test_those_of_one_kind_are_read_back_as_well(told: Inference, changes: list[int]) -> None:
    """The same inference again and again, now and then without its outputs, or its inputs."""
    kinds = (told, told._replace(outputs={}), told._replace(inputs={}))
    several = [kinds[change] for change in changes]
    assert all(same(one, other) for one, other in zip(several, read(frame(*several)), strict=True))


def test_those_of_one_model_make_one_group_whatever_their_numbers_of_rows() -> None:
    told = [an_inference(number, rows) for number, rows in enumerate((1, 1, 5, 0, 2))]
    (group,) = decode(frame(*told)).groups
    assert group.inputs["X"].lengths is not None
    assert group.inputs["X"].lengths.tolist() == [1, 1, 5, 0, 2]
    assert group.inputs["X"].values is not None
    assert group.inputs["X"].values.shape == (9, 3)


def test_the_order_in_which_a_client_names_its_inputs_makes_no_group_of_its_own() -> None:
    inputs = {"a": np.zeros(1), "b": np.ones(1)}
    one = an_inference()._replace(inputs=inputs)
    other = an_inference()._replace(inputs=dict(reversed(inputs.items())))
    assert len(decode(frame(one, other)).groups) == 1


def test_arrays_need_not_lie_in_memory_as_they_read() -> None:
    across = np.arange(12, dtype=np.float32).reshape(3, 4).T
    (found,) = read(frame(an_inference()._replace(inputs={"X": across})))
    assert isinstance(found.inputs["X"], np.ndarray)
    assert found.inputs["X"].tolist() == across.tolist()


def test_what_was_left_out_is_told_by_its_shape() -> None:
    big = Omitted(Datatype.FP32, (2, 1000, 1000))
    (found,) = read(frame(an_inference()._replace(inputs={"X": big})))
    assert found.inputs["X"] == big


def test_blocks_lie_where_processors_like_them() -> None:
    """Readers in other languages may use the numbers where they are."""
    data = frame(an_inference()._replace(request_id="odd"), an_inference(1))
    *_, head, body = layout.PREFIX.unpack_from(data)
    assert (head % 8, body % 8, len(data)) == (0, 0, layout.HEADER_BYTES + head + body)


@given(st.binary(max_size=200))
def test_bytes_at_random_are_an_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(data)


@given(st.lists(inferences, max_size=3), st.data())
def test_a_damaged_frame_is_noticed(told: list[Inference], data: st.DataObject) -> None:
    sound = bytearray(frame(*told))
    place = data.draw(st.integers(0, len(sound) - 1))
    sound[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FrameError):
        decode(bytes(sound))


@given(st.lists(inferences, max_size=3), st.data())
def test_a_frame_cut_short_is_noticed(told: list[Inference], data: st.DataObject) -> None:
    sound = frame(*told)
    with pytest.raises(FrameError):
        decode(sound[: data.draw(st.integers(0, len(sound) - 1))])


def sealed(head: bytes, body: bytes, count: int) -> bytes:
    """A frame whose checksum is right, whatever is in it."""
    about = (layout.MAGIC, layout.VERSION, 0, 9, 2, 3, count, len(head), len(body))
    prefix = layout.PREFIX.pack(*about)
    checksum = zlib.crc32(prefix, zlib.crc32(head + body))
    return prefix + layout.CHECKSUM.pack(checksum) + head + body


def opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    *_, head, _ = layout.PREFIX.unpack_from(data)
    start = layout.HEADER_BYTES
    return orjson.loads(data[start : start + head]), data[start + head :]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of the head, however deep."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(value, key) for key, _ in items]
    deeper = [value[key] for _, key in found if isinstance(value[key], dict | list)]
    return found + [place for inner in deeper for place in places(inner)]


@given(st.lists(inferences, min_size=1, max_size=3), JSON, st.binary(max_size=64), st.data())
def test_a_frame_that_lies_is_read_or_refused(
    told: list[Inference], lie: object, tail: bytes, data: st.DataObject
) -> None:
    """The checksum is right; the head says something else than the body holds."""
    head, body = opened(frame(*told))
    holder, key = data.draw(st.sampled_from(places(head)))
    holder[key] = lie
    cut = data.draw(st.integers(0, len(body)))
    try:
        found = decode(sealed(orjson.dumps(head), body[:cut] + tail, len(told)))
    except FrameError:
        return
    assert len(list(found.inferences())) == len(told)


def tensor(**said: object) -> dict[str, object]:
    return {"name": "x", "datatype": "FP32", "row": [], "omitted": False, "bytes": 4, **said}


def one_tensor(length: int, values: bytes, **said: object) -> bytes:
    """A frame of one inference with one input."""
    head, body = opened(frame(an_inference()._replace(inputs={}, outputs={})))
    head["groups"] = [{"count": 1, "inputs": [tensor(**said)], "outputs": []}]
    body += struct.pack("<Q", length) if said.get("row", []) is not None else b""
    return sealed(orjson.dumps(head), body + values, 1)


def test_a_frame_put_together_by_hand_is_read() -> None:
    (found,) = read(one_tensor(1, struct.pack("<f4x", 1.5)))
    assert isinstance(found.inputs["x"], np.ndarray)
    assert found.inputs["x"].tolist() == [1.5]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (one_tensor(2**63, b""), "a length is 9223372036854775808"),
        (one_tensor(2**40, b"", row=[0, 2**40], bytes=0), "larger than any"),
        (one_tensor(2**40, b"", datatype="BYTES", bytes=0), "asks for 1099511627776 strings"),
        (one_tensor(1, b"", bytes=2**40), "are needed"),
        (one_tensor(1, bytes(8), bytes=8), "takes 4 bytes, the binary data has 8"),
        (one_tensor(1, bytes(16)), "only 64 are used"),
        (one_tensor(1, b"\2" + bytes(7), datatype="BOOL", bytes=1), "neither 0 nor 1"),
        (one_tensor(1, bytes(8), datatype="FP4"), "datatype"),
        (one_tensor(1, bytes(8), omitted=True), "is omitted, and has data"),
        (one_tensor(1, bytes(8), row=[1] * 32), "at most 31"),
        (one_tensor(1, b"\1\0\0\0\xff" + bytes(3), datatype="BYTES", bytes=5), "not UTF-8"),
        (one_tensor(1, b"\2\0\0\0a" + bytes(3), datatype="BYTES", bytes=5), "ends inside"),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode(data)


STRINGS = b"\2\0\0\0ab" * 100_000
HEAD = b'{"worker":"w","about":{},'
TENSOR = orjson.dumps(tensor(row=[0]))


@pytest.mark.parametrize(
    "data",
    [
        one_tensor(100_000, STRINGS, datatype="BYTES", bytes=len(STRINGS)),
        one_tensor(2**31, b"", row=[0], bytes=0),
        sealed(HEAD + b'"stamps":[' + b'{"arm":""},' * 100_000 + b"0]}", b"", 0),
        sealed(HEAD + b'"groups":[{"inputs":[' + (TENSOR + b",") * 10_000 + b"0]}]}", b"", 0),
        sealed(b"[" * 1_000_000, b"", 0),
    ],
    ids=["strings", "nothing, many times", "stamps", "tensors", "brackets"],
)
def test_memory_stays_in_proportion(data: bytes) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(FrameError):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 32 * len(data) + 100_000
    finally:
        tracemalloc.stop()


Head = dict[str, Any]
LIES: Mapping[str, tuple[Callable[[Head], object], str]] = {
    "no worker": (lambda head: head.pop("worker"), "worker"),
    "fewer groups": (lambda head: head["groups"].clear(), "do not hold 1"),
    "request ids": (lambda head: head.update(request_ids=["a", "b"]), "2 request ids for 1"),
    "no stamps": (lambda head: head["stamps"].clear(), "stamp 0 of 0"),
    "two of one name": (
        lambda head: head["groups"][0].update(inputs=[tensor(row=None), tensor(row=None)]),
        "are needed|one name",
    ),
}


@pytest.mark.parametrize(("lie", "message"), LIES.values(), ids=LIES)
def test_a_head_that_does_not_go_with_its_body_is_refused(
    lie: Callable[[Head], object], message: str
) -> None:
    head, body = opened(frame(an_inference()._replace(inputs={}, outputs={})))
    lie(head)
    with pytest.raises(FrameError, match=message):
        decode(sealed(orjson.dumps(head), body, 1))


def changed(place: int, form: str, value: object) -> bytes:
    data = bytearray(frame(an_inference()))
    struct.pack_into(form, data, place, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(4, "<H", 2), "of version 2, and only 1 is known"),
        (changed(0, "4s", b"HTTP"), "begins with b'DTAP', this with b'HTTP'"),
        (changed(32, "<I", 257), "257 inferences"),
        (changed(36, "<I", 2**32 - 1), "a head of 4294967295 bytes"),
        (changed(40, "<I", 2**32 - 1), "a body of 4294967295"),
        (changed(44, "<I", 0), "checksum"),
    ],
)
def test_a_header_is_refused_before_what_follows_is_read(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode(data)


def test_a_later_writer_may_say_more() -> None:
    head, body = opened(frame(an_inference()))
    head["later"] = head["groups"][0]["later"] = {"more": 1}
    assert same(read(sealed(orjson.dumps(head), body, 1))[0], an_inference())


def test_nothing_is_written_that_no_reader_takes() -> None:
    wide: Sequence[Inference] = [an_inference()._replace(inputs={"x" * 5_000_000: np.zeros(1)})]
    with pytest.raises(FrameError, match="more than may be"):
        frame(*wide)

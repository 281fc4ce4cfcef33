"""What clients may say, and what they are told where they cannot mean it."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline_serving.monitor.feedback.items import (
    MOST_ITEMS,
    FeedbackError,
    ItemError,
    read_body,
    read_item,
)

ID = "019b7a0e-4c00-7000-8000-00000000abcd"
_PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", ID, "good", "2026-01-01T12:00:00Z", "é"])
)
JSON = _PLAIN | st.lists(_PLAIN, max_size=3) | st.dictionaries(st.just("id"), _PLAIN)


def test_one_value_a_list_of_rows_and_one_row_are_told_apart() -> None:
    assert read_item({"id": ID, "label": "bad"}).values == ("bad",)
    rows = read_item({"id": ID, "label": [1, None, 0]})
    assert (rows.values, rows.is_list) == ((1, None, 0), True)
    one = read_item({"id": ID, "reward": 0.5, "row": 3})
    assert (one.values, one.row, one.reward) == ((0.5,), 3, True)


@pytest.mark.parametrize("time", [1_767_268_800, 1_767_268_800.0, "2026-01-01T12:00:00Z"])
def test_a_time_is_a_number_or_a_date(time: object) -> None:
    assert read_item({"id": ID, "label": 1, "time": time}).time == 1_767_268_800.0


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (7, "an item is an object"),
        ({"label": 1}, "give the prediction's receipt, or its id"),
        ({"id": ID}, "either label or reward"),
        ({"id": ID, "label": 1, "reward": 1}, "either label or reward"),
        ({"id": ID, "lable": 1}, "'lable' is no member"),
        ({"id": "17", "label": 1}, "driftline-prediction-id"),
        ({"id": ID[:-1] + "é", "label": 1}, "driftline-prediction-id"),
        ({"id": "019b7a0e-4c00-4000-8000-00000000abcd", "label": 1}, "id is no prediction's"),
        ({"id": 17, "label": 1}, "are strings"),
        ({"id": ID, "label": None}, "says nothing"),
        ({"id": ID, "label": []}, "says nothing"),
        ({"id": ID, "label": [[1]]}, "label of row 0 is a list"),
        ({"id": ID, "label": [0, {}]}, "label of row 1 is an object"),
        ({"id": ID, "reward": "much"}, "reward of row 0 is a string"),
        ({"id": ID, "reward": True}, "write a number"),
        ({"id": ID, "reward": 1e200}, "beyond"),
        ({"id": ID, "label": [1], "row": 0}, "one value with row"),
        ({"id": ID, "label": 1, "row": -1}, "row is a number from 0"),
        ({"id": ID, "label": 1, "row": True}, "row is a number from 0"),
        ({"id": ID, "label": 1, "time": "yesterday"}, "time is Unix seconds"),
        ({"id": ID, "label": 1, "time": "2026-01-01T12:00:00"}, "time is Unix seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(item: object, told: str) -> None:
    with pytest.raises(ItemError, match=told):
        read_item(item)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"label=1", 400, "no JSON"),
        (b'{"label": 1}', 400, "send a list of items.*an object"),
        (b'[{"label": NaN}]', 400, "no JSON"),
        (b"[" + b"1," * MOST_ITEMS + b"1]", 413, "10001 items"),
        (b" " * (4 * 1024 * 1024 + 1), 413, "more than 4194304 bytes"),
    ],
)
def test_a_body_that_is_no_list_of_items_is_refused_whole(
    body: bytes, status: int, told: str
) -> None:
    with pytest.raises(FeedbackError, match=told) as refused:
        read_body(body)
    assert refused.value.status == status


@given(st.dictionaries(st.sampled_from(["id", "receipt", "label", "reward", "row", "time"]), JSON))
def test_whatever_is_sent_becomes_an_item_or_a_refusal(item: dict[str, Any]) -> None:
    (raw,) = read_body(orjson.dumps([item]))
    with contextlib.suppress(ItemError):
        assert read_item(raw).values

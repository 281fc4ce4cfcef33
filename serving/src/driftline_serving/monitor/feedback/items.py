"""What a client says was true: read, and refused where it cannot be meant."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from driftline_serving.errors import ServingError

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_ITEMS: Final = 10_000
MOST_ROWS: Final = 100_000
#: Absolute value of a reward: its square is still a number.
MOST_REWARD: Final = 1e100
_MEMBERS: Final = frozenset({"receipt", "id", "label", "reward", "row", "time"})
_UUID_CHARACTERS: Final = 36

#: A class by its name or number, or a quantity; None where it is not known yet.
Truth: TypeAlias = str | int | float | bool | None


class FeedbackError(ServingError):
    """What was sent is no list of items; nothing of it was taken."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ItemError(ServingError):
    """One item cannot be meant as it stands; the message says what to write."""

    status = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is said of one prediction.

    Attributes:
        id: UUID of the prediction; empty where only a receipt is given.
        receipt: as the client got it; empty where only an id is given.
        values: labels or rewards: of all rows from the first on, or of `row` alone.
        row: the row that the one value is of; None where the values are of all rows.
        is_list: the client sent a list, which has a value for each row.
        reward: the values are rewards, and not labels.
        time: when it became known, Unix seconds; None: now.
    """

    id: str = ""
    receipt: str = ""
    values: tuple[Truth, ...]
    row: int | None = None
    is_list: bool = False
    reward: bool = False
    time: float | None = None


def read_body(body: bytes) -> list[Any]:
    """Return the items of a request, each still as it came.

    Raises:
        FeedbackError: it is no list of items, or too long a one.
    """
    if len(body) > MOST_BYTES:
        raise FeedbackError(f"the body has more than {MOST_BYTES} bytes: send fewer items", 413)
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise FeedbackError(f"the body is no JSON: {error}") from error
    if not isinstance(found, list):
        raise FeedbackError(
            'send a list of items, as in [{"receipt": "...", "label": 1}]; '
            f"this is {_called(found)}"
        )
    if len(found) > MOST_ITEMS:
        raise FeedbackError(f"{len(found)} items: send at most {MOST_ITEMS} at a time", 413)
    return found


def read_item(raw: Any) -> Item:
    """Return what one item says.

    Raises:
        ItemError: it cannot be meant as it stands.
    """
    if not isinstance(raw, Mapping):
        raise ItemError(f"an item is an object with id or receipt, this is {_called(raw)}")
    if unknown := sorted(set(raw) - _MEMBERS):
        raise ItemError(f"{unknown[0]!r} is no member of an item: {', '.join(sorted(_MEMBERS))}")
    if ("label" in raw) == ("reward" in raw):
        raise ItemError("give either label or reward")
    reward = "reward" in raw
    said = raw["reward"] if reward else raw["label"]
    values = tuple(said) if isinstance(said, list) else (said,)
    _check_values(values, reward=reward)
    row = _row(raw.get("row"), is_list=isinstance(said, list))
    return Item(
        **_names(raw),
        values=values,
        row=row,
        is_list=isinstance(said, list),
        reward=reward,
        time=_time(raw.get("time")),
    )


def _names(raw: Mapping[str, Any]) -> dict[str, str]:
    identity, receipt = raw.get("id") or "", raw.get("receipt") or ""
    if not (identity or receipt):
        raise ItemError("give the prediction's receipt, or its id: headers of the answer have them")
    if not (isinstance(identity, str) and isinstance(receipt, str)):
        raise ItemError("id and receipt are strings, as they stand in the headers of the answer")
    if identity:
        _check_id(identity)
    return {"id": identity, "receipt": receipt}


def _check_id(identity: str) -> None:
    try:
        known = len(identity) == _UUID_CHARACTERS and UUID(identity).version == 7
    except ValueError:
        known = False
    if not known:
        raise ItemError("id is no prediction's: copy the answer's header driftline-prediction-id")


def _check_values(values: tuple[Any, ...], *, reward: bool) -> None:
    what = "reward" if reward else "label"
    if not values or all(each is None for each in values):
        raise ItemError(f"{what} says nothing: leave the item out until something is known")
    if len(values) > MOST_ROWS:
        raise ItemError(f"{what} has {len(values)} rows; at most {MOST_ROWS} are taken")
    for at, each in enumerate(values):
        if isinstance(each, float) and not math.isfinite(each):
            raise ItemError(f"{what} of row {at} is no finite number")
        if reward and each is not None and not _is_number(each):
            raise ItemError(f"reward of row {at} is {_called(each)}: write a number or null")
        if reward and each is not None and abs(each) > MOST_REWARD:
            raise ItemError(f"reward of row {at} is beyond {MOST_REWARD:g}")
        if not isinstance(each, str | int | float | None):
            raise ItemError(f"label of row {at} is {_called(each)}: write one value or null")


def _row(row: Any, *, is_list: bool) -> int | None:
    if row is None:
        return None
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < MOST_ROWS:
        raise ItemError(f"row is a number from 0 to {MOST_ROWS - 1}")
    if is_list:
        raise ItemError("give one value with row, or a list of all rows without row")
    return row


def _time(said: Any) -> float | None:
    """Return Unix seconds of what is such a number, or a date with time and zone."""
    if said is None:
        return None
    if _is_number(said) and math.isfinite(said):
        return float(said)
    if isinstance(said, str):
        try:
            at = datetime.fromisoformat(said)
        except ValueError:
            at = None
        if at and at.tzinfo:
            return at.timestamp()
    raise ItemError('time is Unix seconds, or as in "2026-01-02T03:04:05Z"')


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _called(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return kinds.get(type(value), "null" if value is None else "a number")

"""What was true of a prediction, and what became of saying so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from driftline.client.errors import MisuseError
from driftline.client.values import Prediction

Truth: TypeAlias = str | int | float | bool | None

#: Outcomes after which to send the same again.
AGAIN: Final = "unavailable"


@dataclass(frozen=True, slots=True)
class Label:
    """What was true.

    Attributes:
        of: the prediction, or the name that it was kept under.
        value: a class or a value; for several rows a list, None where it is not known yet.
        row: the one row that the value is of, counted from 0.
        time: when it became known; None: now.
    """

    of: Prediction | str
    value: Truth | Sequence[Truth]
    row: int | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reward:
    """How good it was; the attributes are those of `Label`."""

    of: Prediction | str
    value: float | Sequence[float | None]
    row: int | None = None
    time: datetime | None = None


Said: TypeAlias = Label | Reward


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        what: `accepted`; `duplicate` and `correction`, where there was a label already, which
            counts; `unknown`, `expired` or `invalid`, where it could not be taken; `unavailable`,
            where nobody could take it just now.
        message: why, for people.
    """

    what: str
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether there is a label now: this one, or the same before."""
        return self.what in ("accepted", "duplicate")


def item_of(said: Said, prediction: Prediction) -> dict[str, Any]:
    """Return an item as the monitor reads it: by its receipt, or else by its id.

    Raises:
        MisuseError: the prediction has neither, or the time no time zone.
    """
    if not (prediction.receipt or prediction.id):
        raise MisuseError("this prediction has neither receipt nor id: its server gave none")
    known = "receipt" if prediction.receipt else "id"
    kind = "label" if isinstance(said, Label) else "reward"
    item = {known: getattr(prediction, known), kind: _plain(said.value)}
    if said.row is not None:
        item["row"] = said.row
    if said.time is not None:
        if said.time.tzinfo is None:
            raise MisuseError("time has no time zone: use datetime.now(UTC)")
        item["time"] = said.time.timestamp()
    return item


def _plain(value: Any) -> Any:
    """Return a value or a list of them, of whatever array they were."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value

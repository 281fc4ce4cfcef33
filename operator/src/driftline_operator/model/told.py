"""What an Event is made of."""

from dataclasses import dataclass
from typing import Literal

from driftline_api.conditions import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An Event's content."""

    type: Literal["Normal", "Warning"]
    reason: Reason
    message: str

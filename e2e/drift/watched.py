"""What a Model's status says of its data while rows are replayed against it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from driftline_api.drift import DriftStatus
from e2e.drift.replay import Replaying
from e2e.install import POLL_SECONDS
from e2e.kubectl import Object, condition
from e2e.workspace import Workspace

DRIFT_FREE = "DriftFree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the condition.

    Attributes:
        at: the row that the replay had come to when it was first seen.
        status, reason, message: of the condition.
        drift: of the status; None where there is none.
    """

    at: int
    status: str
    reason: str
    message: str
    drift: DriftStatus | None


def answer(model: Object, at: int) -> Answer:
    """Return what a Model says now."""
    found = condition(model, DRIFT_FREE)
    block: dict[str, Any] | None = model.get("status", {}).get("drift")
    return Answer(
        at=at,
        status=found.get("status", ""),
        reason=found.get("reason", ""),
        message=found.get("message", ""),
        drift=DriftStatus.model_validate(block) if block else None,
    )


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Follows the condition of a Model, and keeps each answer that differs from the one before."""

    space: Workspace
    name: str
    replaying: Replaying
    answers: list[Answer]

    def look(self) -> Answer:
        """Look once."""
        model = self.space.get(self.name)
        found = answer(model, self.replaying.account().at)
        last = self.answers[-1] if self.answers else None
        if last is None or (last.status, last.reason) != (found.status, found.reason):
            self.answers.append(found)
        return found

    def until(self, *reasons: str, within: float) -> Answer:
        """Look until one of these reasons is given.

        Raises:
            AssertionError: it is not in time; the message holds all answers.
        """
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = self.look()
            if found.reason in reasons:
                return found
            time.sleep(0.5)
        raise AssertionError(f"none of {reasons} within {within:g} s: {told(self.answers)}")

    def until_row(self, row: int, within: float) -> None:
        """Look until the replay has come to a row."""
        deadline = time.monotonic() + within
        while self.look().at >= 0 and self.replaying.account().at < row:
            assert time.monotonic() < deadline, f"row {row} is not sent within {within:g} s"
            time.sleep(0.5)


def told(answers: Sequence[Answer]) -> str:
    """Return answers as a person reads them."""
    lines = [f"row {each.at}: {each.status} {each.reason}: {each.message}" for each in answers]
    last = answers[-1].drift if answers else None
    block = json.dumps(last.model_dump(mode="json", exclude_none=True)) if last else ""
    return "\n".join([*lines, block])


def one_look(rows_a_second: float) -> float:
    """Return the rows that pass before a change that was found is seen by us.

    A poll, another that was just over when the rows came, and what reports and watches take.
    """
    return rows_a_second * (2 * POLL_SECONDS + 4)

"""What is counted of labels and rewards: by the hour of the prediction, and where it was routed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from driftline_api.monitor import LabelCohort
from driftline_serving.monitor.feedback.memory import Origin
from driftline_stats.risk.coverage import CLASSES

MOST_COHORTS: Final = 400
#: Where the oldest are added up.
OLDEST_HOUR: Final = 0


class Cohort(NamedTuple):
    """Predictions of one hour that went the same way."""

    hour: int
    origin: Origin


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    labelled: int = 0
    losses: Counter[int] = field(default_factory=Counter)
    delays: list[int] = field(default_factory=lambda: [0] * CLASSES)
    rewards: int = 0
    sum: float = 0.0
    squares: float = 0.0

    def add(self, other: "_Counts") -> None:
        self.rows += other.rows
        self.labelled += other.labelled
        self.losses.update(other.losses)
        self.delays = [a + b for a, b in zip(self.delays, other.delays, strict=True)]
        self.rewards += other.rewards
        self.sum += other.sum
        self.squares += other.squares


_OLDEST: Final = Cohort(OLDEST_HOUR, Origin())


class Cohorts:
    """Counts since the process began, for a bounded number of hours and ways.

    Args:
        most: cohorts that are told apart. The oldest of more are added to one, of hour 0.
    """

    def __init__(self, most: int = MOST_COHORTS) -> None:
        self._most = most
        self._counts: dict[Cohort, _Counts] = {}

    def predicted(self, cohort: Cohort, rows: int) -> None:
        """Count rows that were predicted."""
        self._of(cohort).rows += rows

    def labelled(self, cohort: Cohort, loss_bin: int | None, age: int) -> None:
        """Count a label; `loss_bin` is None where the loss is not known, `age` its age class."""
        counts = self._of(cohort)
        counts.labelled += 1
        counts.delays[age] += 1
        if loss_bin is not None:
            counts.losses[loss_bin] += 1

    def rewarded(self, cohort: Cohort, reward: float) -> None:
        """Count a reward."""
        counts = self._of(cohort)
        counts.rewards += 1
        counts.sum += reward
        counts.squares += reward * reward

    def report(self) -> list[LabelCohort]:
        """Return all of them, oldest first."""
        return [_told(each, self._counts[each]) for each in sorted(self._counts, key=_age)]

    def _of(self, cohort: Cohort) -> _Counts:
        if cohort not in self._counts and len(self._counts) >= self._most:
            if _age(cohort) < _age(self._first()):
                cohort = _OLDEST
            else:
                self._make_room()
        return self._counts.setdefault(cohort, _Counts())

    def _make_room(self) -> None:
        """Add the oldest to those that were added up before, until there is room for another."""
        while len(self._counts) >= self._most - (_OLDEST not in self._counts):
            gone = self._counts.pop(self._first())
            self._counts.setdefault(_OLDEST, _Counts()).add(gone)

    def _first(self) -> Cohort:
        return min((each for each in self._counts if each != _OLDEST), key=_age)


def _age(cohort: Cohort) -> tuple[int, int, str]:
    epoch = cohort.origin.epoch
    return cohort.hour, -1 if epoch is None else epoch, cohort.origin.arm


def _told(cohort: Cohort, counts: _Counts) -> LabelCohort:
    losses: Mapping[int, int] = counts.losses
    return LabelCohort(
        hour=cohort.hour,
        epoch=cohort.origin.epoch,
        arm=cohort.origin.arm,
        rows=counts.rows,
        labelled=counts.labelled,
        losses=sorted(losses.items()),
        delays=counts.delays if counts.labelled else [],
        rewards=(counts.rewards, counts.sum, counts.squares),
    )

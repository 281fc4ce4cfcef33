"""What two models got right and wrong on the same requests, counted."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.errors import BatchError
from driftline_stats.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs(State):
    """Rows with a label that both models have scored, by who was wrong.

    Counts add over replicas and over batches alike: a pair is its own control, so no rate that
    drifts from batch to batch is left in it.

    >>> Pairs(better=3, worse=1, ties=96).difference
    0.02

    Attributes:
        better: rows that only stable got wrong (b01; gains of the canary).
        worse: rows that only the canary got wrong (b10; losses of the canary).
        ties: rows that both got right or both wrong.
    """

    KIND: ClassVar[str] = "pairs"

    better: int = 0
    worse: int = 0
    ties: int = 0

    def __post_init__(self) -> None:
        if min(self.better, self.worse, self.ties) < 0:
            raise BatchError(
                f"pairs cannot be negative, got {self.better} better, {self.worse} worse and "
                f"{self.ties} ties"
            )

    @classmethod
    def of(cls, *, stable_wrong: npt.ArrayLike, canary_wrong: npt.ArrayLike) -> Self:
        """Count rows.

        >>> Pairs.of(stable_wrong=[True, False, True], canary_wrong=[False, False, True])
        Pairs(better=1, worse=0, ties=2)

        Args:
            stable_wrong: per row, whether stable was wrong.
            canary_wrong: the same of the canary, in the same order.

        Raises:
            BatchError: they are not of the same length.
        """
        stable, canary = np.asarray(stable_wrong, bool), np.asarray(canary_wrong, bool)
        if stable.shape != canary.shape:
            raise BatchError(f"{stable.size} rows of stable cannot pair {canary.size} of canary")
        better, worse = int((stable & ~canary).sum()), int((canary & ~stable).sum())
        return cls(better=better, worse=worse, ties=stable.size - better - worse)

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs(
            better=self.better + other.better,
            worse=self.worse + other.worse,
            ties=self.ties + other.ties,
        )

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Better, worse and ties, as an array."""
        return np.array([self.better, self.worse, self.ties], np.int64)

    @property
    def swapped(self) -> "Pairs":
        """The same rows with the models' places exchanged."""
        return Pairs(better=self.worse, worse=self.better, ties=self.ties)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.better + self.worse + self.ties

    @property
    def discordant(self) -> int:
        """Rows that exactly one of the models got wrong."""
        return self.better + self.worse

    @property
    def difference(self) -> float:
        """By how much the canary's error rate is lower than stable's; 0 without rows."""
        return (self.better - self.worse) / self.rows if self.rows else 0.0


NO_PAIRS = Pairs()

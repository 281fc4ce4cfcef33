"""Labels: whether the risk rose above what the first labels of the revision had.

The reference is the risk of the first labels, known better as they come (after 1,000, 2,000, ...
labels, while nothing is raised), and then frozen. Its upper end is Wilson's (1927) of 95 %, by
which errors vary at least as much as other losses between 0 and 1 of the same mean. The detector is
`risk.detector.RiskDetector`; see there for the null hypothesis and what is guaranteed.

When it is wrong: where labels of errors come sooner than others, or the first labels are of easier
cases. A risk that was too high from the first label on is not seen: it is the reference.
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from driftline_stats.risk.coverage import CLASSES
from driftline_stats.risk.detector import LossWindow, RiskDetector
from driftline_stats.state import State
from driftline_stats.watch.look import LabelBatch
from driftline_stats.watch.plan import WatchPlan

Ints = npt.NDArray[np.int64]

#: The reference is known well enough to begin with after so many labels.
FEWEST_LABELS = 1_000
#: A rise by this share of the reference's upper end does not matter.
TOLERATED = 0.05
#: The mean loss that is told is of about so many labels.
RECENT = 5_000
_Z = 1.645
_LONGEST_WAIT = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(State):
    """A mean of numbers that came, of all or of the last ones.

    >>> Mean().add(4, 2.0).value, Mean(rows=8, total=4.0).add(4, 4.0, recent=6).rows
    (0.5, 6.0)
    """

    KIND: ClassVar[str] = "watch-mean"

    rows: float = 0.0
    total: float = 0.0

    def add(self, rows: float, total: float, recent: float = math.inf) -> Self:
        """Return it with more; where there are more than `recent`, half as many count."""
        after = replace(self, rows=self.rows + rows, total=self.total + total)
        half = after.rows > recent
        return replace(after, rows=after.rows / 2, total=after.total / 2) if half else after

    @property
    def value(self) -> float:
        """The mean; nan of nothing."""
        return self.total / self.rows if self.rows else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses(State):
    """All that is known of labels.

    Attributes:
        predicted: rows.
        labelled: labels.
        delays: labels by class of their delay.
        reference: losses that the reference risk is made of.
        recent: losses of late.
        rewards_first: rewards that came first.
        rewards: rewards of late.
        detector: None before there is a reference.
        waited: seconds since the last label.
        quiet: labels when evidence was quiet for the last time.
        since: labels when the risk that is reported began to rise; None if none is.
    """

    KIND: ClassVar[str] = "watch-losses"

    predicted: int = 0
    labelled: int = 0
    delays: tuple[int, ...] = (0,) * CLASSES
    reference: Mean = field(default_factory=Mean)
    recent: Mean = field(default_factory=Mean)
    rewards_first: Mean = field(default_factory=Mean)
    rewards: Mean = field(default_factory=Mean)
    detector: RiskDetector | None = None
    waited: float = 0.0
    quiet: float = 0.0
    since: float | None = None

    def update(self, plan: WatchPlan, batches: tuple[LabelBatch, ...], seconds: float) -> Self:
        """Return it after the labels of one look."""
        waited = min(self.waited + seconds, _LONGEST_WAIT)
        after = replace(self._counted(batches), waited=waited)
        losses = _losses(batches)
        if not losses.any():
            return after
        share = plan.share("labels", int(losses.sum()), waited)
        return replace(after, waited=0.0)._judged(losses, share, plan.first)  # noqa: SLF001 - own

    def _counted(self, batches: tuple[LabelBatch, ...]) -> Self:
        delays = list(self.delays)
        first, rewards = self.rewards_first, self.rewards
        for batch in batches:
            for at, count in enumerate(batch.delays[:CLASSES]):
                delays[at] += count
            number, total, _ = batch.rewards
            first = first if first.rows >= FEWEST_LABELS else first.add(number, total)
            rewards = rewards.add(number, total, RECENT)
        return replace(
            self,
            predicted=self.predicted + sum(each.rows for each in batches),
            labelled=self.labelled + sum(each.labelled for each in batches),
            delays=tuple(delays),
            rewards_first=first,
            rewards=rewards,
        )

    def _judged(self, losses: Ints, share: float, first: int) -> Self:
        rows, total = int(losses.sum()), float(losses @ np.arange(losses.size)) / 100
        after = replace(self, recent=self.recent.add(rows, total, RECENT))
        if self.detector is not None:
            budget = rows / share if share else math.inf
            detector = replace(self.detector, budget=budget)
            detector = detector.update(_window(detector, losses))
            after = replace(after, detector=detector)._turned(share)  # noqa: SLF001 - its own
        return after._learned(rows, total, first)  # noqa: SLF001 - its own

    def _turned(self, share: float) -> Self:
        detector, quiet = self.detector, self.quiet
        assert detector is not None
        labels = self.reference.rows if self.quiet == 0 else self.quiet
        if not detector.raised:
            calm = detector.log_evidence <= min(math.log(100 * share), math.log(0.01))
            quiet = float(self.labelled) if calm else labels
            return replace(self, quiet=quiet, since=None)
        return replace(self, since=labels if self.since is None else self.since)

    def _learned(self, rows: int, total: float, first: int) -> Self:
        """Return it with a reference that is known better, while there is need and no doubt."""
        if self.reference.rows >= max(first, FEWEST_LABELS) or self.since is not None:
            return self
        reference = self.reference.add(rows, total)
        after = replace(self, reference=reference)
        if reference.rows < FEWEST_LABELS:
            return after
        grown = math.log2(reference.rows) // 1 > math.log2(max(self.reference.rows, 1)) // 1
        if self.detector is not None and not grown:
            return after
        risk = min(1.0, upper_end(reference) * (1 + TOLERATED))
        if self.detector is None:
            return replace(after, detector=RiskDetector.start({"all": risk}, budget=math.inf))
        return replace(
            after, detector=replace(self.detector, reference={"all": risk}, otherwise=risk)
        )


def upper_end(mean: Mean) -> float:
    """Return Wilson's one-sided upper end of 95 %, for losses in [0, 1].

    >>> round(upper_end(Mean(rows=1_000, total=56.0)), 4), round(upper_end(Mean(rows=1_000)), 4)
    (0.0692, 0.0027)
    """
    n, p = mean.rows, mean.value
    centre = p + _Z**2 / (2 * n)
    error = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n))
    return (centre + error) / (1 + _Z**2 / n)


def _losses(batches: tuple[LabelBatch, ...]) -> Ints:
    found = np.zeros(101, np.int64)
    for batch in batches:
        for at, count in batch.losses:
            found[at] += count
    return found


def _window(detector: RiskDetector, losses: Ints) -> LossWindow:
    """Return losses in bins as the sums that a detector takes."""
    values, rows = np.arange(losses.size) / 100, int(losses.sum())
    tilts = np.array(detector.odds)[:, None] - 1
    logs = np.log1p(tilts * values) @ losses
    return LossWindow(
        total=rows,
        missing=0,
        loss=float(values @ losses),
        log_sums=logs - rows * np.log1p(tilts[:, 0] * detector.otherwise),
    )
